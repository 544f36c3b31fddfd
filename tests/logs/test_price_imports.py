"""What an import changes is told with what it would have cost the last 30 days' customers, exactly, before it is written."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage, send_mail
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from cometsite.celery import app
from logs import call_ids, repricing, tasks
from logs.models import Call
from pricing import catalogue, groups, importing, markups
from pricing.listings import UNDATED_FROM, Listing
from pricing.models import Model, PriceVersion
from pricing.publishing import DatedRates
from tests.metering.conftest import gateway
from tests.metering.gateway import Gateway, call, give
from tests.pricing.lists import listing, rates
from tokens import keys
from wallet.models import Wallet

__all__ = ["gateway"]  # a fixture of the metering tests

pytestmark = pytest.mark.django_db
LISTS: list[Listing] = []


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob@example.com")


@pytest.fixture(autouse=True)
def _lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The price lists that the product carries are those of the test."""
    catalogue.forget()
    monkeypatch.setattr("pricing.genai_listings.listings", lambda: iter(LISTS))
    monkeypatch.setattr("pricing.per_use_listings.listings", lambda: iter(()))
    LISTS[:] = [listing()]
    importing.run(LISTS)
    yield
    catalogue.forget()


def listed(prompt: int, completion: int = 10_000_000, **more: Any) -> None:
    LISTS[:] = [listing(history=(DatedRates(UNDATED_FROM, rates(prompt, completion)),), **more)]


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("import_prices", *arguments, stdout=out, **options)
    return out.getvalue()


def use(gateway: Gateway, user: User, number: int = 1, **more: Any) -> Wallet:
    wallet = give(user, 10**9)
    key = keys.issue(wallet, "key").key
    results = gateway.record(*(call(key, **{"model": "gpt-test", **more}) for _ in range(number)))
    assert {result["result"] for result in results} == {"accepted"}
    return wallet


def test_a_dry_run_shows_what_would_change_and_cost_and_writes_nothing(
    gateway: Gateway, alice: User, bob: User
) -> None:
    use(gateway, alice, 2)
    use(gateway, bob, 1, usage={"input_tokens": 1, "output_tokens": 0})
    use(gateway, bob, 1, status="failed")
    listed(3_000_001)
    text = run("--dry-run")
    assert "1 models: 0 would be new, 1 would change" in text
    assert "gpt-test, from 20" in text
    assert "Prompt: $2.50 → $3.000001 / 1M tokens" in text
    # 2 × (1,200 × 3.000001 + 300 × 10) and 1 × 3.000001 millionths: rounded for each call to nano-dollars.
    assert "3 calls of 2 customers cost $0.0120025, and would have cost $0.013203002 (+$0.001200502)" in text
    assert PriceVersion.objects.count() == 1
    assert "1 changed" in run()
    assert PriceVersion.objects.count() == 2
    assert "nothing would change" in run("--dry-run")


def test_what_nobody_used_in_thirty_days_cost_nothing(gateway: Gateway, alice: User) -> None:
    old = timezone.now() - timedelta(days=31)
    listed(2_000_000)
    assert "nobody called it in the last 30 days" in run("--dry-run")
    key = keys.issue(give(alice, 10**9), "key").key
    call_id = str(call_ids.new(int(old.timestamp() * 1000)))
    (result,) = gateway.record(call(key, model="gpt-test", call_id=call_id, started_at=old.isoformat()))
    assert (result["result"], Call.objects.count()) == ("accepted", 1)
    assert "nobody called it in the last 30 days" in run("--dry-run")


def test_groups_pay_their_rate_of_the_new_price_too(gateway: Gateway, alice: User) -> None:
    wallet = give(alice, 10**9)
    Wallet.objects.filter(pk=wallet.pk).update(customer_group=groups.create("Friends", 5_000))
    catalogue.forget()
    use(gateway, alice)
    listed(2_000_000)
    assert "1 calls of 1 customers cost $0.003, and would have cost $0.0027 (-$0.0003)" in run("--dry-run")


def test_the_markup_is_in_what_it_would_have_cost(gateway: Gateway, alice: User) -> None:
    use(gateway, alice)
    markups.of_provider("openai", 9_000, effective_from=timezone.now() + timedelta(seconds=70))
    listed(2_000_000)
    summary = importing.run(LISTS, dry_run=True)
    found = repricing.costs(summary.changes, timezone.now())
    assert [cost.would_nanousd for cost in found][-1] == 4_860_000


def test_calls_that_could_not_be_charged_are_told(gateway: Gateway, alice: User) -> None:
    with_searches = ((0, {**rates()[0][1], "web_searches": 10_000_000_000}),)
    LISTS[:] = [listing("searching", history=(DatedRates(UNDATED_FROM, with_searches),)), *LISTS]
    importing.run(LISTS)
    catalogue.forget()
    use(gateway, alice, model="searching", usage={"input_tokens": 1, "web_searches": 1})
    listed(2_500_000, 11_000_000, name="searching")
    LISTS.append(listing())
    assert "1 calls could not have been charged" in run("--dry-run")


def test_a_jump_is_refused_until_it_is_forced_by_name() -> None:
    listed(10_000_000)
    for arguments in (["--dry-run"], []):
        text = run(*arguments)
        assert "1 prices not taken over" in text
        assert "not taken over: gpt-test: Prompt would cost 4 times as much, and 3 is the most" in text
    assert PriceVersion.objects.count() == 1
    assert "Prompt: $2.50 → $10.00" in run("--force", "gpt-test", "--dry-run")
    assert PriceVersion.objects.count() == 1
    run("--force", "gpt-test")
    assert PriceVersion.objects.count() == 2


def test_a_name_that_no_list_has_is_refused_before_anything_is_written() -> None:
    listed(2_000_000)
    with pytest.raises(CommandError, match="no-such-model"):
        run("--force", "no-such-model")
    assert PriceVersion.objects.count() == 1


@pytest.fixture
def pricer() -> User:
    found = User.objects.create_user("pricer@example.com", is_staff=True)
    found.user_permissions.add(Permission.objects.get(codename="act_on_prices"))
    return found


def test_every_night_where_the_operator_turned_it_on(
    settings: Settings, pricer: User, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    schedule = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {"logs.tasks.import_prices", "logs.tasks.tell_of_rises"} <= schedule
    listed(2_000_000)
    tasks.import_prices()
    assert (PriceVersion.objects.count(), mailoutbox) == (1, [])
    settings.PRICE_IMPORT_DAILY = True
    tasks.import_prices()
    assert PriceVersion.objects.count() == 2
    (mail,) = mailoutbox
    assert mail.to == [pricer.email]
    assert "Prompt: $2.50 → $2.00 / 1M tokens" in str(mail.body)
    assert alice.email not in str(mail.message())
    tasks.import_prices()
    assert len(mailoutbox) == 1


def test_the_nightly_import_may_take_longer_than_other_tasks() -> None:
    """It rates a month's calls again before it writes to staff, and finds nothing to tell when it is tried again."""
    task = tasks.import_prices
    assert app.conf.task_time_limit < (task.soft_time_limit or 0) < (task.time_limit or 0)


def test_what_the_nightly_import_refuses_is_mailed_and_not_sold_dearer(
    settings: Settings, pricer: User, mailoutbox: list[EmailMessage]
) -> None:
    settings.PRICE_IMPORT_DAILY = True
    listed(10_000_000)
    tasks.import_prices()
    assert "not taken over: gpt-test" in str(mailoutbox[0].body)
    assert "--force" in str(mailoutbox[0].body)
    assert PriceVersion.objects.count() == 1


def test_staff_who_may_not_act_on_prices_get_no_mail(
    settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    settings.PRICE_IMPORT_DAILY = True
    User.objects.create_user("helper@example.com", is_staff=True)
    listed(2_000_000)
    tasks.import_prices()
    assert (mailoutbox, PriceVersion.objects.count()) == ([], 2)


def test_a_model_without_a_complete_price_is_never_sold() -> None:
    LISTS.append(listing("half", history=(DatedRates(UNDATED_FROM, ((0, {"input_tokens": 1}),)),)))
    run()
    assert Model.objects.filter(name="half").exists()
    assert catalogue.find("half") is None
    assert catalogue.find("gpt-test") is not None


def test_a_mail_to_staff_that_fails_holds_up_no_other(
    settings: Settings, pricer: User, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PRICE_IMPORT_DAILY = True
    User.objects.create_superuser("chief@example.com", "correct horse battery")

    def refuse(subject: str, text: str, sender: None, to: list[str]) -> object:
        if to == [pricer.email]:
            raise OSError("away")
        return send_mail(subject, text, sender, to)

    monkeypatch.setattr("logs.price_imports.send_mail", refuse)
    listed(2_000_000)
    tasks.import_prices()
    assert [mail.to for mail in mailoutbox] == [["chief@example.com"]]
    assert PriceVersion.objects.count() == 2
