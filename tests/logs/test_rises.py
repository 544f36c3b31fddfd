"""People are told by mail, once and before it happens, that a price rises of a model that they used in the last 30 days."""

from collections.abc import Callable
from datetime import datetime, timedelta
from smtplib import SMTPRecipientsRefused

import pytest
from django.core.mail import EmailMessage, send_mail
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import User
from logs import rises, tasks
from logs.models import RiseNotice
from pricing import catalogue, groups, markups
from pricing.models import CustomerGroup, Model
from pricing.publishing import publish
from pricing.rating import Rates
from tests.metering.conftest import gateway
from tests.metering.gateway import Gateway, call, give, sell
from tests.parallel import at_once
from tokens import keys
from tokens.models import DailyUsage
from wallet.models import UnsentMail, Wallet

__all__ = ["gateway"]  # a fixture of the metering tests

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob@example.com")


type Forward = Callable[[timedelta], None]
type Use = Callable[[User, str], Wallet]
DEARER: Rates = (
    (0, {"input_tokens": 3_000_000, "cached_input_tokens": 1_250_000, "output_tokens": 9_000_000}),
)


@pytest.fixture(autouse=True)
def forward(monkeypatch: pytest.MonkeyPatch) -> Forward:
    """Moves the clock of Django, and lets the catalogue look at the database each time."""
    real, ahead = timezone.now, [timedelta()]
    monkeypatch.setattr("django.utils.timezone.now", lambda: real() + ahead[0])
    monkeypatch.setattr(catalogue, "TTL_SECONDS", 0.0)
    monkeypatch.setattr(catalogue, "FRESH_SECONDS", 0.0)

    def move(by: timedelta) -> None:
        ahead[0] += by

    return move


@pytest.fixture
def use(gateway: Gateway) -> Use:
    """Somebody uses a model once; returns their wallet."""

    def record(user: User, model: str = "gpt-4o") -> Wallet:
        wallet = give(user, 1_000_000_000)
        (result,) = gateway.record(call(keys.issue(wallet, "key").key, model=model))
        assert result["result"] == "accepted", result
        return wallet

    return record


def rise(model: str = "gpt-4o", *, days: float = 8, rates: Rates = DEARER) -> datetime:
    at = timezone.now() + timedelta(days=days)
    publish(Model.objects.get(name=model), rates, effective_from=at, source="test")
    return at


def test_who_used_it_is_told_once_what_rises_and_when(
    use: Use, alice: User, bob: User, mailoutbox: list[EmailMessage]
) -> None:
    sell()
    sell("other")
    use(alice, "gpt-4o")
    use(bob, "other")
    at = rise()
    for _ in range(3):
        tasks.tell_of_rises()
    (mail,) = mailoutbox
    assert mail.to == [alice.email]
    assert "The price of gpt-4o rises" in mail.subject
    body = str(mail.body)
    assert f"{at:%H:%M} UTC" in body
    assert "Prompt: $2.50 → $3.00 for 1M tokens" in body
    assert "Completion: $10.00 → $9.00" in body
    assert "Cached" not in body
    assert "/pricing/gpt-4o/" in body
    notice = RiseNotice.objects.get()
    assert notice.told_at is not None
    assert notice.price_version is not None
    assert notice.price_version.effective_from == at


def test_a_fall_is_nothing_to_tell(use: Use, alice: User, mailoutbox: list[EmailMessage]) -> None:
    sell()
    use(alice, "gpt-4o")
    rise(days=1, rates=((0, {"input_tokens": 1, "cached_input_tokens": 1, "output_tokens": 1}),))
    tasks.tell_of_rises()
    assert (mailoutbox, RiseNotice.objects.count()) == ([], 0)


@pytest.mark.parametrize(("days_ago", "is_told"), [(30, True), (31, False)])
def test_use_counts_for_thirty_days(
    use: Use, alice: User, mailoutbox: list[EmailMessage], days_ago: int, is_told: bool
) -> None:
    sell()
    use(alice, "gpt-4o")
    rise()
    DailyUsage.objects.update(day=(timezone.now() - timedelta(days=days_ago)).date())
    tasks.tell_of_rises()
    assert bool(mailoutbox) is is_told


def test_who_begins_to_use_it_meanwhile_is_told_too_and_nobody_afterwards(
    use: Use, alice: User, bob: User, charlie: User, forward: Forward, mailoutbox: list[EmailMessage]
) -> None:
    sell()
    use(alice, "gpt-4o")
    rise(days=7.5)
    tasks.tell_of_rises()
    use(bob, "gpt-4o")
    tasks.tell_of_rises()
    assert [mail.to for mail in mailoutbox] == [[alice.email], [bob.email]]
    forward(timedelta(days=8))
    use(charlie, "gpt-4o")
    tasks.tell_of_rises()
    assert len(mailoutbox) == 2


def test_a_markup_of_a_provider_is_one_mail_about_all_models_that_were_used(
    use: Use, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    for name in ("gpt-4o", "gpt-b", "gpt-c"):
        sell(name)
    use(alice, "gpt-4o")
    use(alice, "gpt-b")
    markups.of_provider("openai", 11_000, effective_from=timezone.now() + timedelta(days=8))
    tasks.tell_of_rises()
    (mail,) = mailoutbox
    assert "$2.50 → $2.75" in str(mail.body)
    assert "gpt-b, from" in str(mail.body)
    assert "gpt-c" not in str(mail.body)


def test_of_what_another_version_replaces_nobody_is_told(
    use: Use, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    model = sell()
    use(alice, "gpt-4o")
    at = timezone.now() + timedelta(days=8)
    markups.of_provider("openai", 30_000, effective_from=at)
    # Acts sooner, so the version of the provider's moment is replaced by another.
    markups.of_model(model, 5_000, effective_from=timezone.now() + timedelta(minutes=2))
    tasks.tell_of_rises()
    (mail,) = mailoutbox
    assert "Prompt: $1.25 → $3.75" in str(mail.body)
    assert "$7.50 " not in str(mail.body)


def test_a_member_of_a_group_reads_their_own_prices(
    use: Use, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    sell()
    use(alice, "gpt-4o")
    Wallet.objects.update(customer_group=groups.create("Friends", 8_000))
    rise()
    tasks.tell_of_rises()
    assert "Prompt: $2.00 → $2.40" in str(mailoutbox[0].body)


def test_a_rate_that_rises_is_told_to_members_who_use_anything(
    use: Use, alice: User, bob: User, charlie: User, mailoutbox: list[EmailMessage]
) -> None:
    sell()
    for user in (alice, bob):
        use(user, "gpt-4o")
    group = groups.create("Friends", 8_000)
    give(charlie, 1)
    Wallet.objects.exclude(owner=bob).update(customer_group=group)
    groups.change_rate(group, 9_000, effective_from=timezone.now() + timedelta(days=8))
    groups.change_rate(group, 8_500, effective_from=timezone.now() + timedelta(days=9))
    for _ in range(2):
        tasks.tell_of_rises()
    (mail,) = mailoutbox
    assert mail.to == [alice.email]
    assert "“Friends”" in str(mail.body)
    assert "pay 0.9 times" in str(mail.body)
    assert RiseNotice.objects.get().group_rate == group.rates.get(multiplier_bp=9_000)


def test_a_rate_that_rises_after_it_falls_is_not_said_to_be_above_that_of_today(
    use: Use, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    sell()
    use(alice, "gpt-4o")
    group = groups.create("Friends", 10_000)
    Wallet.objects.update(customer_group=group)
    groups.change_rate(group, 5_000, effective_from=timezone.now() + timedelta(days=8))
    groups.change_rate(group, 8_000, effective_from=timezone.now() + timedelta(days=9))
    tasks.tell_of_rises()
    assert "pay 0.8 times the prices of the list, which is more than before." in str(mailoutbox[0].body)


def test_who_closed_their_account_is_left_alone(
    use: Use, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    sell()
    use(alice, "gpt-4o")
    rise()
    rises.note()
    User.objects.filter(pk=alice.pk).update(closed_at=timezone.now(), is_active=False)
    rises.tell()
    assert mailoutbox == []
    assert RiseNotice.objects.get().told_at is not None


def test_a_mail_that_fails_is_sent_later_and_holds_up_no_other(
    use: Use,
    alice: User,
    bob: User,
    forward: Forward,
    mailoutbox: list[EmailMessage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sell()
    use(alice, "gpt-4o")
    use(bob, "gpt-4o")
    rise()

    def refuse(subject: str, text: str, sender: None, to: list[str]) -> object:
        if to == [alice.email]:
            raise OSError("away")
        return send_mail(subject, text, sender, to)

    with monkeypatch.context() as patch:
        patch.setattr("logs.rises.send_mail", refuse)
        tasks.tell_of_rises()
    assert [mail.to for mail in mailoutbox] == [[bob.email]]
    tasks.tell_of_rises()  # As good as under way.
    assert len(mailoutbox) == 1
    forward(timedelta(minutes=11))
    tasks.tell_of_rises()
    assert [mail.to for mail in mailoutbox] == [[bob.email], [alice.email]]


def test_a_mail_that_no_server_takes_is_given_up_after_a_day(
    use: Use, alice: User, forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell()
    wallet = use(alice, "gpt-4o")
    rise()
    asked = []

    def refuse(subject: str, text: str, sender: None, to: list[str]) -> object:
        asked.append(subject)
        raise SMTPRecipientsRefused({to[0]: (550, b"No such person")})

    monkeypatch.setattr("logs.rises.send_mail", refuse)
    for _ in range(60):
        tasks.tell_of_rises()
        forward(timedelta(hours=1))
    assert 1 < len(asked) < 12
    assert RiseNotice.objects.get().told_at is not None
    mail = UnsentMail.objects.get()
    assert (mail.wallet, mail.is_given_up) == (wallet, True)
    assert alice.email not in mail.problem


def test_nothing_is_asked_of_usage_while_nothing_rises(
    use: Use, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sell()
    use(alice, "gpt-4o")
    catalogue.sellable()
    with django_assert_num_queries(2):  # the catalogue's revision, and groups' rates
        rises.note()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_write_once(use: Use, alice: User, mailoutbox: list[EmailMessage]) -> None:
    sell()
    use(alice, "gpt-4o")
    rise()
    at_once(4, lambda _: tasks.tell_of_rises())
    assert len(mailoutbox) == RiseNotice.objects.count() == 1


def test_a_notice_is_of_a_version_or_of_a_rate(alice: User) -> None:
    wallet = give(alice, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        RiseNotice.objects.create(wallet=wallet)
    assert not CustomerGroup.objects.exists()
