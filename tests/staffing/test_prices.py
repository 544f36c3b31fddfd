"""Markups, customer groups and who belongs to them: once, with a reason, by whom it may be, and never to their own gain."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import timezone

from accounts.audit import AlreadySent, Refused
from accounts.models import AuditEntry, User
from pricing import catalogue, groups
from pricing.models import CustomerGroup, GroupRate, Markup, Model, PriceVersion
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, sell
from tests.parallel import at_once
from tests.staffing.conftest import REASON, browser, by
from tokens import keys
from wallet import prices
from wallet.models import Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def pricer(hire: Any) -> User:
    """May act on prices, and on nothing else."""
    found: User = hire("pricer", "act_on_prices")
    return found


def later() -> datetime:
    return timezone.now() + timedelta(days=8)


def soon() -> datetime:
    return timezone.now() + timedelta(minutes=2)


def page(name: str, row: object) -> str:
    return reverse(f"admin:{name}", args=[row])


def open_form(client: Any, path: str) -> dict[str, str]:
    answer = client.get(path)
    assert answer.status_code == 200, path
    found = re.search(r'name="request_id" value="([^"]+)"', answer.text)
    moment = re.search(r'name="effective_from" value="([^"]+)"', answer.text)
    assert found
    return {"request_id": found[1], "reason": REASON} | ({"effective_from": moment[1]} if moment else {})


def test_a_markup_is_written_once_with_its_reason(pricer: User) -> None:
    model, wish, moment = sell(), by(pricer), later()
    for _ in range(2):
        prices.mark_up_model(wish, model, 12_000, moment)
    assert (Markup.objects.count(), PriceVersion.objects.count()) == (1, 2)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_id, entry.reason) == ("pricing.mark_up_model", str(model.pk), REASON)
    assert entry.details == {"multiplier_bp": 12_000, "effective_from": moment.isoformat()}


def test_what_pricing_refuses_leaves_no_trace(pricer: User) -> None:
    model = sell()
    with pytest.raises(Refused, match="rises at the earliest 7 days"):
        prices.mark_up_provider(by(pricer), model, 12_000, soon())
    assert (Markup.objects.count(), AuditEntry.objects.count(), PriceVersion.objects.count()) == (0, 0, 1)


def test_only_who_may(alice: User, keeper: User, viewer: User, wallet: Wallet) -> None:
    model, group = sell(), groups.create("Partners", 9_000)
    for actor in (alice, keeper, viewer):
        for act in (
            lambda who: prices.mark_up_model(by(who), model, 9_000, later()),
            lambda who: prices.mark_up_provider(by(who), model, 9_000, later()),
            lambda who: prices.create_group(by(who), "Friends", 9_000),
            lambda who: prices.change_rate(by(who), group, 8_000, later()),
            lambda who: prices.join(by(who), wallet, group),
            lambda who: prices.leave(by(who), wallet),
        ):
            with pytest.raises(PermissionDenied):
                act(actor)
    assert not AuditEntry.objects.exists()
    assert (Markup.objects.count(), GroupRate.objects.count()) == (0, 1)


def test_a_group_is_made_once(pricer: User) -> None:
    wish = by(pricer)
    assert prices.create_group(wish, "Partners", 9_000) == prices.create_group(wish, "Partners", 9_000)
    with pytest.raises(Refused, match="named Partners already"):
        prices.create_group(by(pricer), "Partners", 8_000)
    other = by(pricer)
    prices.mark_up_model(other, sell(), 9_000, later())
    with pytest.raises(AlreadySent):
        prices.create_group(other, "Friends", 9_000)
    for told in (("Friends", 9_000), ("Partners", 8_000)):
        with pytest.raises(AlreadySent):
            prices.create_group(wish, *told)
    assert (CustomerGroup.objects.count(), GroupRate.objects.count()) == (1, 1)


def test_a_rate_that_rises_is_announced(pricer: User) -> None:
    group = groups.create("Partners", 9_000)
    with pytest.raises(Refused, match="A rate rises at the earliest 7 days"):
        prices.change_rate(by(pricer), group, 9_001, soon())
    moment, in_a_week = soon(), later()
    prices.change_rate(by(pricer), group, 8_000, moment)
    prices.change_rate(by(pricer), group, 9_001, in_a_week)
    assert [groups.multiplier_at(group, at) for at in (moment - timedelta(seconds=1), moment, in_a_week)] == [
        9_000,
        8_000,
        9_001,
    ]


def test_nobody_changes_the_rate_of_their_own_wallet(pricer: User, hire: Any) -> None:
    group, moment = groups.create("Partners", 9_000), soon()
    mine = wallet_of(pricer)
    Wallet.objects.filter(pk=mine.pk).update(customer_group=group)
    with pytest.raises(Refused, match="Your own wallet is in it"):
        prices.change_rate(by(pricer), group, 1, moment)
    assert (GroupRate.objects.count(), AuditEntry.objects.count()) == (1, 0)
    prices.change_rate(by(hire("second", "act_on_prices")), group, 8_000, moment)
    assert groups.multiplier_at(group, moment) == 8_000


def test_a_member_pays_the_rate_from_the_next_call_on(pricer: User, wallet: Wallet, alice: User) -> None:
    sell()
    issued, gateway, group = keys.issue(wallet, "laptop"), Gateway(), groups.create("Partners", 9_000)
    catalogue.forget()
    wish = by(pricer)
    prices.join(wish, wallet, group)
    prices.join(wish, wallet, group)
    (result,) = gateway.record(call(issued.key))
    assert result["charged_nanousd"] == 5_400_000
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_id, entry.details) == (
        "wallet.join_group",
        str(wallet.pk),
        {"group": group.pk},
    )
    assert_books()


def test_a_call_pays_what_its_wallet_paid_when_it_started(
    pricer: User, wallet: Wallet, settings: Any
) -> None:
    """Wherever the wallet was moved while it ran, also where nobody has to be told of a rise before."""
    settings.PRICE_RISE_NOTICE_DAYS = 0
    sell()
    issued, gateway = keys.issue(wallet, "laptop"), Gateway()
    cheap, dear = groups.create("Partners", 5_000), groups.create("Heavy", 20_000)

    def charged(*started: str) -> list[int]:
        told = gateway.record(*(call(issued.key, started_at=moment) for moment in started))
        return [each["charged_nanousd"] for each in told]

    before = timezone.now().isoformat()
    prices.join(by(pricer), wallet, cheap)
    in_cheap = timezone.now().isoformat()
    assert charged(before, in_cheap) == [6_000_000, 3_000_000]
    prices.join(by(pricer), wallet, dear)
    in_dear = timezone.now().isoformat()
    assert charged(in_cheap, in_dear) == [3_000_000, 12_000_000]
    prices.leave(by(pricer), wallet)
    assert charged(in_dear, timezone.now().isoformat()) == [12_000_000, 6_000_000]
    assert_books()


def test_nobody_pays_more_at_once_and_nobody_moves_themselves(
    pricer: User, wallet: Wallet, settings: Any
) -> None:
    cheap, dear = groups.create("Partners", 9_000), groups.create("Heavy", 11_000)
    with pytest.raises(Refused, match="rise sooner than"):
        prices.join(by(pricer), wallet, dear)
    prices.join(by(pricer), wallet, cheap)
    with pytest.raises(Refused, match="rise sooner than"):
        prices.leave(by(pricer), wallet)
    with pytest.raises(Refused, match="in Partners already"):
        prices.join(by(pricer), wallet, cheap)
    with pytest.raises(Refused, match="your own wallet"):
        prices.join(by(pricer), wallet_of(pricer), cheap)
    assert list(Wallet.objects.exclude(customer_group=None)) == [wallet]
    settings.PRICE_RISE_NOTICE_DAYS = 0
    prices.leave(by(pricer), wallet)
    with pytest.raises(Refused, match="in no group"):
        prices.leave(by(pricer), wallet)
    assert AuditEntry.objects.count() == 2


def test_a_rise_that_others_were_told_of_is_none_that_a_new_member_was(pricer: User, wallet: Wallet) -> None:
    rising = groups.create("Rising", 9_000)
    moment = timezone.now() + timedelta(days=1)
    rising.rates.create(effective_from=moment, multiplier_bp=11_000)
    with pytest.raises(Refused, match="rise sooner than"):
        prices.join(by(pricer), wallet, rising)
    # Who pays as much from that moment on anyway loses nothing.
    like_it = groups.create("Like it", 9_500)
    like_it.rates.create(effective_from=moment, multiplier_bp=11_000)
    Wallet.objects.filter(pk=wallet.pk).update(customer_group=like_it)
    prices.join(by(pricer), wallet, rising)
    # Nor is a fall that was announced taken back unsaid.
    falling = groups.create("Falling", 9_000)
    falling.rates.create(effective_from=moment, multiplier_bp=8_000)
    Wallet.objects.filter(pk=wallet.pk).update(customer_group=falling)
    with pytest.raises(Refused, match="rise sooner than"):
        prices.join(by(pricer), wallet, groups.create("Steady", 9_000))


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_by_many_at_once_has_one_effect(pricer: User, wallet: Wallet) -> None:
    group, wish, model, moment = groups.create("Partners", 9_000), by(pricer), sell(), later()
    at_once(4, lambda _: prices.join(wish, wallet, group))
    assert AuditEntry.objects.count() == 1
    other = by(pricer)
    at_once(4, lambda _: prices.mark_up_provider(other, model, 9_000, moment))
    assert (AuditEntry.objects.count(), Markup.objects.count(), PriceVersion.objects.count()) == (2, 1, 2)


def test_the_forms_in_the_panel(pricer: User, wallet: Wallet) -> None:
    model, client = sell(), browser(pricer)
    shown = client.get(page("pricing_model_change", model.pk)).text
    for name in ("mark_up_model", "mark_up_provider"):
        path = page(f"pricing_model_{name}", model.pk)
        assert path in shown
        form = {**open_form(client, path), "multiplier": "1.2345"}
        assert client.post(path, form).status_code == 302
    assert list(Markup.objects.values_list("provider_code", "model", "multiplier_bp").order_by("id")) == [
        ("", model.pk, 12_345),
        ("openai", None, 12_345),
    ]
    add = reverse("admin:pricing_customergroup_add")
    assert add in client.get(reverse("admin:pricing_customergroup_changelist")).text
    answer = client.post(
        add, {**open_form(client, add), "name": "Partners", "multiplier": "0.9"}, follow=True
    )
    assert "× 0.9000" in answer.text
    group = CustomerGroup.objects.get()
    path = page("pricing_customergroup_change_rate", group.pk)
    assert client.post(path, {**open_form(client, path), "multiplier": "0.8"}).status_code == 302
    path = page("wallet_wallet_join_group", wallet.pk)
    assert path in client.get(page("wallet_wallet_change", wallet.pk)).text
    assert client.post(path, {**open_form(client, path), "group": str(group.pk)}).status_code == 302
    listed = client.get(
        reverse("admin:wallet_wallet_changelist"), {"customer_group__id__exact": group.pk}
    ).text
    assert "alice@example.com" in listed
    assert AuditEntry.objects.count() == 5


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("multiplier", "", "Enter a multiplier"),
        ("multiplier", "0", "between 0.0001 and 100"),
        ("multiplier", "100.0001", "between 0.0001 and 100"),
        ("multiplier", "1,2", "at most four decimals"),
        ("multiplier", "1.23456", "at most four decimals"),
        ("multiplier", "-1", "at most four decimals"),
        ("multiplier", "NaN", "at most four decimals"),
        ("multiplier", "١", "at most four decimals"),
        ("effective_from", "2026-02-30 00:00", "day and a time that exist"),
        ("effective_from", "", "from when on"),
        ("effective_from", "2020-01-01 00:00", "at the earliest 60 seconds"),
        ("reason", "no", "5 characters"),
    ],
)
def test_bad_input_is_refused_by_name(pricer: User, field: str, text: str, sentence: str) -> None:
    model, client = sell(), browser(pricer)
    path = page("pricing_model_mark_up_model", model.pk)
    form = {**open_form(client, path), "multiplier": "0.9", field: text}
    answer = client.post(path, form)
    assert (answer.status_code, sentence in answer.text) == (422, True)
    assert (Markup.objects.count(), Model.objects.count()) == (0, 1)
    assert json.dumps(list(AuditEntry.objects.values_list("pk"))) == "[]"


def test_who_may_not_is_offered_nothing(viewer: User, wallet: Wallet) -> None:
    model, client, group = sell(), browser(viewer), groups.create("Partners", 9_000)
    paths = [
        page("pricing_model_mark_up_model", model.pk),
        page("pricing_model_mark_up_provider", model.pk),
        page("pricing_customergroup_change_rate", group.pk),
        page("wallet_wallet_join_group", wallet.pk),
        page("wallet_wallet_leave_group", wallet.pk),
        reverse("admin:pricing_customergroup_add"),
    ]
    for path in paths:
        assert client.get(path).status_code == 403, path
        assert client.post(path, {}).status_code == 403, path
    assert paths[0] not in client.get(page("pricing_model_change", model.pk)).text
