"""Every page of the admin panel, with something in every table."""

from datetime import date
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, models
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from accounts.models import User
from tests.admin.conftest import HOSTILE, World
from tests.metering.gateway import Gateway, call
from tokens.models import ApiKey, GatewayKey
from wallet.models import AutoTopUp, SavedCard, TopUp

SHOWN = {
    "accounts.user", "accounts.auditentry", "auth.group", "wallet.proposal",
    "wallet.wallet", "wallet.account", "wallet.transfer", "wallet.funds", "wallet.hold",
    "wallet.topup", "wallet.dispute", "wallet.stripeevent", "wallet.checkrun", "wallet.dayseal", "wallet.dayrest",
    "tokens.apikey", "wallet.refund", "wallet.reconciliation", "wallet.stripetransaction", "wallet.difference",
    "wallet.unsentmail",
    "tokens.gatewaykey", "pricing.model", "pricing.priceversion", "pricing.markup",
    "pricing.customergroup", "logs.call", "logs.rejectedcall",
}  # fmt: skip
MAY_BE_EMPTY = {"auth.group"}


def address(model: type[Model], page: str, *arguments: object) -> str:
    from django.urls import reverse

    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def every_address() -> list[str]:
    """Index, search, and list, search, filters, first row and its history of every model."""
    found = ["/admin/", "/admin/search/?s=wallet", "/admin/wallet/"]
    for model, page in admin.site._registry.items():
        listed = address(model, "changelist")
        found += [listed, f"{listed}?q=no-such-thing", f"{listed}?p=2", f"{listed}?_facets=1"]
        row = model._default_manager.first()
        assert row is not None or model._meta.label_lower in MAY_BE_EMPTY, (
            f"no {model._meta.label} to look at"
        )
        if row is not None:
            found += [address(model, "change", row.pk), address(model, "history", row.pk)]
        for name in page.list_filter:
            if isinstance(name, str) and (choices := model._meta.get_field(name).choices):  # type: ignore[union-attr]
                found += [f"{listed}?{name}__exact={value}" for value, _ in choices]
    return found


def test_the_panel_holds_what_staff_need_and_nothing_else(db: None) -> None:
    assert {model._meta.label_lower for model in admin.site._registry} == SHOWN


def test_every_page_answers_staff_without_any_permission(world: World, viewer: User, client: Client) -> None:
    client.force_login(viewer)
    closed = {each for each in every_address() if client.get(each, follow=True).status_code != 200}
    assert closed == {each for each in every_address() if each.startswith("/admin/auth/group/")}


def test_every_page_answers_without_a_secret_or_a_script(world: World, staff: User, desk: Client) -> None:
    secrets = secrets_of(world, staff)
    for each in every_address():
        answer = desk.get(each, follow=True)
        page = answer.content.decode()
        assert answer.status_code == 200, each
        assert [secret for secret in secrets if secret in page] == [], each
        assert HOSTILE not in page, each


def secrets_of(world: World, staff: User) -> list[str]:
    """Keys, what of them is hidden, digests and password hashes, in every form that a page could print them in."""
    digests = [bytes(each.digest) for each in (ApiKey.objects.get(), GatewayKey.objects.get())]
    hashes = [world.alice.password, staff.password, world.alice.password.rpartition("$")[2], "md5$"]
    hidden = [world.key_text[11:-4], world.gateway_key_text[8:]]
    return [*hidden, *hashes, *(each.hex() for each in digests), *map(str, digests)]


def test_money_is_shown_in_dollars(world: World, desk: Client) -> None:
    assert b"$5.00" in desk.get(f"/admin/wallet/transfer/{world.transfer.pk}/change/").content
    page = desk.get(f"/admin/logs/call/{world.call_id}/change/").content.decode()
    for part in ("$0.006", "1,200", "$0.0000025", "$0.003"):
        assert part in page


def test_the_list_of_calls_marks_an_estimate(world: World, gateway: Gateway, desk: Client) -> None:
    assert "succeeded, estimated" not in desk.get("/admin/logs/call/").text
    gateway.record(call(world.key, estimated=True), call(world.key, status="failed", estimated=True))
    assert desk.get("/admin/logs/call/").text.count("succeeded, estimated") == 1


def test_a_wallet_shows_its_balances_and_its_lists(world: World, desk: Client) -> None:
    page = desk.get(f"/admin/wallet/wallet/{world.wallet.pk}/change/").content.decode()
    assert "$5.094" in page
    for model in ("wallet_transfer", "wallet_hold", "wallet_topup", "tokens_apikey", "logs_call"):
        listed = f"/admin/{model.replace('_', '/')}/?wallet__id__exact={world.wallet.pk}"
        assert listed in page
        assert desk.get(listed).status_code == 200


def test_a_wallet_shows_its_card_and_its_automatic_top_ups(world: World, desk: Client) -> None:
    shown = f"/admin/wallet/wallet/{world.wallet.pk}/change/"
    assert "Never switched on." in desk.get(shown).content.decode()
    SavedCard.objects.create(
        wallet=world.wallet,
        payment_method_id="pm_1",
        brand="visa",
        last_four="4242",
        expires=date(2020, 1, 31),
    )
    AutoTopUp.objects.create(
        wallet=world.wallet,
        is_on=True,
        below_cents=600,
        add_cents=2_100,
        monthly_cents=9_900,
        paused_for=HOSTILE,
    )
    page = desk.get(shown).content.decode()
    told = ("Visa ending in 4242, expired 01/2020", "On, paused", "Below $6.00 adds $21.00", "At most $99.00")
    for part in (*told, escape(f"Paused for: {HOSTILE}")):
        assert part in page
    AutoTopUp.objects.update(is_on=False, paused_for="")
    assert "Paused for" not in desk.get(shown).content.decode()


def test_automatic_top_ups_are_listed_by_themselves(world: World, desk: Client) -> None:
    own = TopUp.objects.create(wallet=world.wallet, amount_cents=700, is_automatic=True)
    for begun, there, not_there in (("automatic", own, world.top_up), ("owner", world.top_up, own)):
        page = desk.get(f"/admin/wallet/topup/?begun={begun}").content.decode()
        assert str(there.pk) in page
        assert str(not_there.pk) not in page


def test_the_menu_leads_to_what_stripe_moved_and_how_it_compares(world: World, desk: Client) -> None:
    page = desk.get("/admin/").content.decode()
    assert 'href="/admin/wallet/stripetransaction/"' in page
    assert 'href="/admin/wallet/reconciliation/"' in page


@pytest.mark.parametrize("path", ["stripeevent/evt_5F1", "stripetransaction/txn_5F1", "dispute/du_5F1"])
def test_a_heading_keeps_an_id_as_it_is(world: World, desk: Client, path: str) -> None:
    page = desk.get(f"/admin/wallet/{path}/change/").content.decode()
    stored = path.partition("/")[2].replace("_5F", "_")
    assert f">{stored}</a>" in page
    assert stored.capitalize() not in page


def test_times_are_printed_in_full(world: World, desk: Client) -> None:
    page = desk.get(f"/admin/wallet/transfer/{world.transfer.pk}/change/").content.decode()
    assert world.transfer.created_at.strftime("%Y-%m-%d %H:%M:%S") in page


def test_house_accounts_show_their_balance(world: World, desk: Client) -> None:
    page = desk.get("/admin/wallet/account/?whose=house").content.decode()
    assert "-$5.00" in page
    assert "-$0.30" in page  # alice, charlie and staff had starter credit


@pytest.mark.parametrize("listed", ["logs/call", "wallet/transfer", "wallet/account", "logs/rejectedcall"])
def test_lists_are_not_counted(world: World, desk: Client, listed: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        desk.get(f"/admin/{listed}/")
    statements = [each["sql"] for each in asked.captured_queries]
    assert [sql for sql in statements if "COUNT(" in sql.upper()] == []
    assert len(statements) < 12


def test_a_list_of_many_asks_as_often_as_a_list_of_few(world: World, desk: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as found:
            desk.get("/admin/tokens/apikey/")
        return len(found)

    from tokens import keys

    few = asked()
    for number in range(10):
        keys.issue(world.wallet, f"key {number}")
    assert asked() == few


@pytest.mark.parametrize(
    "query",
    [
        "?digest__startswith=a",
        "?wallet__owner__password__startswith=a",
        "?name__contains=a",
        "?o=1.2.3&p=abc",
        "?p=999999999",
        "?wallet__id__exact=99999999999999999999999",
        "?wallet__id__exact=abc",
        "?q=%EF%BC%91&q=2",
        "?q=" + "9" * 5000,
    ],
)
def test_bad_queries_are_refused_or_ignored(world: World, desk: Client, query: str) -> None:
    answer: Any = desk.get(f"/admin/tokens/apikey/{query}", follow=True)
    assert answer.status_code in (200, 400)
    if "__startswith" in query or "__contains" in query:
        assert answer.status_code == 400


@pytest.mark.parametrize("row", ["abc", "0", "9" * 40, "%FF", "_5F"])
def test_rows_that_are_not_there_lead_back_to_the_index(world: World, desk: Client, row: str) -> None:
    for model in admin.site._registry:
        listed = address(model, "changelist")
        assert desk.get(f"{listed}{row}/change/", follow=True).status_code in (200, 404), listed


def test_the_search_over_everything_takes_any_text(world: World, desk: Client) -> None:
    assert desk.get("/admin/search/?s=calls&page=x").status_code == 200
    assert desk.get("/admin/search/?s=" + "x" * 5000).status_code == 200


def test_the_index_shows_today(world: World, desk: Client) -> None:
    page = desk.get("/admin/").content.decode()
    for part in ("$5.00", "in 1 payment", "$0.006", "in 2 calls", "Parked events", "Expired holds"):
        assert part in page
    assert "/admin/wallet/stripeevent/?state__exact=parked" in page


def test_the_index_reads_its_numbers_once_in_a_while(world: World, desk: Client) -> None:
    desk.get("/admin/")
    with CaptureQueriesContext(connection) as asked:
        desk.get("/admin/")
    assert [each["sql"] for each in asked.captured_queries if "logs_call" in each["sql"]] == []


def test_no_field_of_a_secret_is_on_any_page() -> None:
    for model, page in admin.site._registry.items():
        secret = {field.name for field in model._meta.get_fields() if isinstance(field, models.BinaryField)}
        shown = {str(name) for name in (*page.list_display, *(page.fields or ()))}
        assert not secret & shown
