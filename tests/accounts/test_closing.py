"""Closing an account: who it was is gone from every table, what was paid and used stays to the nano-dollar."""

import uuid
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from accounts import audit, closing, lockouts
from accounts.audit import Instruction, Refused
from accounts.models import AuditEntry, Session, User
from logs.models import Call, CallDetails, RejectedCall
from tests.accounts.leaving import (
    ADDRESS,
    CALLER,
    MISHAP,
    OTHER_ADDRESS,
    PASSWORD,
    TRACES,
    close_page,
    signed_up,
    traces,
    with_a_past,
)
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.models import ApiKey
from wallet import events, ledger
from wallet.models import StripeCustomer, StripeEvent, TopUp, Transfer
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db
CENT = 10_000_000


def by(
    actor: User, reason: str = "Asked for in ticket 17.", request_id: uuid.UUID | None = None
) -> Instruction:
    return Instruction(actor, reason, request_id or uuid.uuid4())


def desk(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db(transaction=True)
def test_nothing_tells_of_the_person_any_more(staff: User) -> None:
    gateway = Gateway()
    dora, client, issued = with_a_past(gateway)
    StripeCustomer.objects.create(wallet=issued.key.wallet, customer_id="cus_1")
    calls, transfers = list(Call.objects.values()), list(Transfer.objects.values())
    assert traces() == set(TRACES)
    mail.outbox.clear()
    assert close_page(client) == 302
    assert traces() == set()
    assert (list(Call.objects.values()), list(Transfer.objects.values())) == (calls, transfers)
    dora.refresh_from_db()
    assert dora.email.endswith("@account.invalid")
    assert (dora.name, dora.is_active, dora.has_usable_password(), dora.last_login) == (
        "",
        False,
        False,
        None,
    )
    assert str(dora) == f"closed account {dora.pk}"
    assert [message.to for message in mail.outbox] == [[ADDRESS]]
    assert StripeCustomer.objects.get().customer_id == "cus_1"
    assert_books()
    page = desk(staff).get(reverse("admin:accounts_user_change", args=[dora.pk])).content.decode()
    assert f"closed account {dora.pk}" in page
    assert "account.invalid" not in page


def test_everybody_is_signed_out_and_the_keys_stop() -> None:
    gateway = Gateway()
    dora, client, issued = with_a_past(gateway)
    other = Client()
    other.post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD})
    stranger = signed_up("erin@example.com")[1]
    assert gateway.authorize(issued.text).status_code == 200
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    answer = client.post("/accounts/close/", {"sure": "on"}, follow=True)
    assert b"Your account is closed" in answer.content
    assert (client.get("/wallet/").status_code, other.get("/wallet/").status_code) == (302, 302)
    assert stranger.get("/wallet/").status_code == 200
    assert not Session.objects.filter(user_id=dora.pk).exists()
    assert gateway.authorize(issued.text).json()["error"]["code"] == "invalid_key"
    again = Client().post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD})
    assert again.status_code == 200
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_a_key_that_is_made_in_that_moment_lets_nobody_in() -> None:
    gateway = Gateway()
    dora, client, _ = with_a_past(gateway)
    assert close_page(client) == 302
    late = keys.issue(wallet_of(dora), "late")
    assert gateway.authorize(late.text).json()["error"]["code"] == "account_suspended"
    closing.forget_late()
    assert gateway.authorize(late.text).json()["error"]["code"] == "invalid_key"


def test_it_asks_for_the_password_and_for_a_yes() -> None:
    dora, client = signed_up()
    for answer in (client.get("/accounts/close/"), client.post("/accounts/close/", {"sure": "on"})):
        assert (answer.status_code, answer["Location"]) == (
            302,
            "/accounts/reauthenticate/?next=%2Faccounts%2Fclose%2F",
        )
    for answer in (Client().get("/accounts/close/"), Client().post("/accounts/close/", {"sure": "on"})):
        assert answer["Location"].startswith("/accounts/login/")
    client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert client.get("/accounts/close/").status_code == 302
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get("/accounts/close/")
    assert (page.status_code, b"Close my account" in page.content, b"$0.10" in page.content) == (
        200,
        True,
        True,
    )
    unsure = client.post("/accounts/close/", {})
    assert (unsure.status_code, b"Tick the box" in unsure.content) == (422, True)
    dora.refresh_from_db()
    assert (dora.is_active, dora.email, AuditEntry.objects.count()) == (True, ADDRESS, 0)


def test_a_form_of_another_site_closes_nothing() -> None:
    dora, _ = signed_up()
    client = Client(enforce_csrf_checks=True)
    client.force_login(dora)
    assert client.post("/accounts/close/", {"sure": "on"}).status_code == 403
    assert User.objects.get(pk=dora.pk).is_active


def test_bought_money_has_to_go_first() -> None:
    dora, client = signed_up()
    wallet = give(dora, CENT)
    before = ledger.balances(wallet)
    assert close_page(client) == 422
    page = client.get("/accounts/close/").content.decode()
    assert "$0.01 of what was paid is not used yet" in page
    assert "Close my account</button>" not in page
    with pytest.raises(Refused, match="refundable"):
        closing.close_own(dora)
    after = ledger.balances(wallet)
    assert (after.paid_nanousd, after.promotional_nanousd) == (
        before.paid_nanousd,
        before.promotional_nanousd,
    )
    assert User.objects.get(pk=dora.pk).is_active
    assert not AuditEntry.objects.exists()
    assert_books()


@pytest.mark.parametrize("paid_nanousd", [CENT - 1, 1])
def test_less_than_a_cent_does_not_stand_in_the_way(paid_nanousd: int) -> None:
    dora, client = signed_up()
    give(dora, paid_nanousd)
    assert close_page(client) == 302
    assert ledger.balances(wallet_of(dora)).paid_nanousd == paid_nanousd
    assert_books()


@pytest.mark.parametrize("state", TopUp.State.values)
def test_a_payment_under_way_has_to_end_first(state: str) -> None:
    dora, client = signed_up()
    TopUp.objects.create(wallet=wallet_of(dora), amount_cents=100, state=state)
    assert close_page(client) == (422 if state in TopUp.UNFINISHED else 302)
    assert User.objects.get(pk=dora.pk).is_active == (state in TopUp.UNFINISHED)


def test_all_reasons_are_named_at_once() -> None:
    dora, _ = signed_up()
    wallet = give(dora, 5 * CENT)
    TopUp.objects.create(wallet=wallet, amount_cents=100, state=TopUp.State.PENDING)
    with pytest.raises(Refused, match=r"\$0\.05.*bank"):
        closing.close_own(dora)


def test_late_calls_are_charged_and_what_they_tell_is_deleted_later() -> None:
    gateway = Gateway()
    dora, client, issued = with_a_past(gateway)
    admitted = gateway.authorize(issued.text).json()["call_id"]
    wallet = wallet_of(dora)
    before = ledger.balances(wallet).balance_nanousd
    assert close_page(client) == 302
    late = call(issued.key, call_id=admitted, client_ip=CALLER, usage={"output_tokens": 50_000})
    (result,) = gateway.record(late)
    assert (result["result"], result["charged_nanousd"]) == ("accepted", 500_000_000)
    funds = ledger.balances(wallet)
    assert (funds.balance_nanousd, funds.held_nanousd) == (before - 500_000_000, 0)
    assert funds.balance_nanousd < 0
    assert gateway.record(late)[0]["result"] == "duplicate"
    gateway.record(call(issued.key, status="failed", error=MISHAP))
    assert CallDetails.objects.count() == 2
    assert closing.forget_late() == 1
    assert traces() == set()
    assert Call.objects.filter(pk=admitted).exists()
    assert_books()


def test_the_same_inbox_may_come_back_without_a_second_credit() -> None:
    dora, client = signed_up()
    first = wallet_of(dora)
    assert close_page(client) == 302
    again, browser = signed_up()
    assert again.pk != dora.pk
    second = wallet_of(again)
    assert (second.pk == first.pk, ledger.balances(second).balance_nanousd) == (False, 0)
    assert Transfer.objects.filter(code="starter_grant").count() == 1
    assert browser.get("/wallet/").status_code == 200
    assert close_page(browser) == 302
    assert_books()


def test_twice_is_fine() -> None:
    dora, _ = signed_up()
    closing.close_own(dora)
    closed = User.objects.values().get(pk=dora.pk)
    closing.close_own(dora)
    assert User.objects.values().get(pk=dora.pk) == closed
    assert AuditEntry.objects.count() == 1


def test_a_failure_in_the_middle_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dora, client, _ = with_a_past(Gateway())
    known = traces()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the last step")

    monkeypatch.setattr("wallet.leaving.forget", broken)
    with pytest.raises(RuntimeError):
        closing.close_own(dora)
    assert traces() == known
    assert User.objects.get(pk=dora.pk).is_active
    assert ApiKey.objects.filter(revoked_at=None).count() == 1
    assert client.get("/wallet/").status_code == 200
    assert not AuditEntry.objects.exists()


def test_a_closed_account_stays_closed(staff: User) -> None:
    dora, _ = signed_up()
    stale = User.objects.get(pk=dora.pk)
    closing.close_own(dora)
    with pytest.raises(IntegrityError, match="stays closed"), transaction.atomic():
        stale.save()
    for sql in ("UPDATE accounts_user SET is_active = true", "DELETE FROM accounts_user"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"{sql} WHERE id = %s", [dora.pk])
    for act in (lockouts.reinstate, lockouts.lock_out):
        with pytest.raises(Refused, match="stays closed"):
            act(by(staff), dora)
    page = reverse("admin:accounts_user_change", args=[dora.pk])
    assert desk(staff).post(page, {"name": "Dora", "is_staff": "on"}).status_code == 403
    assert desk(staff).get(reverse("admin:auth_user_password_change", args=[dora.pk])).status_code == 403
    assert str(User.objects.get(pk=dora.pk)) == f"closed account {dora.pk}"


def test_nobody_is_deleted_instead() -> None:
    dora, _, _ = with_a_past(Gateway())
    with pytest.raises(ProtectedError):
        dora.delete()
    with pytest.raises(ProtectedError):
        User.objects.filter(pk=dora.pk).delete()
    statements = ["DELETE FROM accounts_user", "DELETE FROM wallet_wallet", "TRUNCATE accounts_user CASCADE"]
    for sql in statements:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"{sql}; SET CONSTRAINTS ALL IMMEDIATE")
    assert User.objects.filter(pk=dora.pk).exists()
    assert_books()


def test_rejected_calls_keep_nothing_of_a_person() -> None:
    with_a_past(Gateway())
    assert RejectedCall.objects.count() == 2
    for kept in RejectedCall.objects.all():
        assert {"call_id", "token_id", "status", "usage"} <= kept.payload.keys()
        assert not {"client_ip", "error", "user"} & kept.payload.keys()


def test_stripes_events_are_kept_without_who_paid() -> None:
    intent = {
        "id": "pi_1",
        "amount": 100,
        "last_payment_error": {"code": "x", "billing_details": {"name": "D"}},
    }
    about = {
        "object": {**intent, "charges": [{"receipt_email": ADDRESS, "amount": 100}]},
        "account": "acct_1",
    }
    events.store({"id": "evt_1", "type": "payment_intent.succeeded", "livemode": False, "data": about})
    kept = StripeEvent.objects.get()
    assert kept.object_id == "pi_1"
    assert kept.payload["data"] == {
        "object": {
            "id": "pi_1",
            "amount": 100,
            "last_payment_error": {"code": "x"},
            "charges": [{"amount": 100}],
        },
        "account": "acct_1",
    }


@pytest.mark.parametrize(
    "reason", ["for dora@example.com", "<d.q+1@mail.example.co.uk> asked", "ask A@B.DE again"]
)
def test_the_audit_trail_takes_no_address(staff: User, reason: str) -> None:
    with pytest.raises(Refused, match="e-mail address"):
        by(staff, reason)
    assert audit.checked_reason("paid @ 5.00 in ticket@17") == "paid @ 5.00 in ticket@17"


def test_addresses_that_look_like_a_closed_account_block_nobody() -> None:
    dora, client = signed_up()
    for guess in (f"closed-{dora.pk}@account.invalid", f"closed-{dora.pk}-0000000000000000@account.invalid"):
        signed_up(guess)
    assert close_page(client) == 302


def staff_form(client: Client, person: User) -> tuple[str, dict[str, Any]]:
    path = reverse("admin:accounts_user_close", args=[person.pk])
    assert client.get(path).status_code == 200
    return path, {"request_id": str(uuid.uuid4()), "reason": "Asked for in ticket 17."}


def test_staff_close_on_request_once(staff: User) -> None:
    sell()
    dora, _ = signed_up()
    wallet = give(dora, CENT)
    client = desk(staff)
    path, form = staff_form(client, dora)
    shown = reverse("admin:accounts_user_change", args=[dora.pk])
    assert path in client.get(shown).content.decode()
    refused = client.post(path, form)
    assert (refused.status_code, b"is not used yet" in refused.content) == (422, True)
    assert not AuditEntry.objects.exists()
    spent = {"output_tokens": 11_000}
    Gateway().record(call(keys.issue(wallet, "laptop").key, usage=spent))
    assert client.post(path, {**form, "reason": ""}).status_code == 422
    for _ in range(2):
        assert client.post(path, form)["Location"] == shown
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target_id) == (staff, "accounts.close", str(dora.pk))
    assert path not in client.get(shown).content.decode()
    again = client.post(path, {**form, "request_id": str(uuid.uuid4())})
    assert (again.status_code, b"closed already" in again.content) == (422, True)
    assert AuditEntry.objects.count() == 1
    assert ADDRESS not in client.get("/admin/accounts/auditentry/").content.decode()
    assert_books()


def test_who_may_not_close_whom(staff: User, alice: User, charlie: User) -> None:
    clerk = User.objects.create_user("clerk@example.com", PASSWORD, is_staff=True)
    for actor, person in [(clerk, alice), (charlie, alice), (staff, staff), (staff, clerk)]:
        with pytest.raises(PermissionDenied):
            closing.close(by(actor), person)
        if actor.is_staff:
            path = reverse("admin:accounts_user_close", args=[person.pk])
            assert desk(actor).post(path, {}).status_code == 403
    with pytest.raises(Refused, match="on the staff"):
        closing.close_own(clerk)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    with pytest.raises(PermissionDenied):
        closing.close_own(charlie)
    assert not User.objects.exclude(closed_at=None).exists()
    assert not AuditEntry.objects.exists()
    closing.close(by(staff), charlie)
    assert User.objects.get(pk=charlie.pk).closed_at is not None


def test_an_account_without_a_wallet_closes_too(alice: User) -> None:
    EmailAddress.objects.create(user=alice, email=OTHER_ADDRESS)
    closing.close_own(alice)
    assert not EmailAddress.objects.exists()
