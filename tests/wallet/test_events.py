"""What follows from events: the real ones of the stand-in, sent through the door and handled."""

import datetime
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from tests.books import assert_books
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox, payment
from tests.wallet.books import balance_cents
from tests.wallet.test_topups import pay, started
from tests.wallet.test_webhook import URL, signature
from wallet import events, ledger, rounds, stripe_api, tasks, topups
from wallet.models import StripeEvent, TopUp, Wallet
from wallet.stripe_api import StripeFailed, StripeUnavailable

State = StripeEvent.State

pytestmark = pytest.mark.usefixtures("no_queue")


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)


def told(sandbox: Sandbox, top_up: TopUp) -> dict[str, dict[str, Any]]:
    """What Stripe has to tell about a top-up, by type."""
    reply = sandbox.request("GET", "/v1/events?limit=100").json["data"]
    ours = [one for one in reply if _names(one, top_up)]
    return {one["type"]: one for one in ours}


def _names(event: dict[str, Any], top_up: TopUp) -> bool:
    return (event["data"]["object"].get("metadata") or {}).get("top_up_id") == str(top_up.pk)


def deliver(event: dict[str, Any]) -> int:
    body = json.dumps(event).encode()
    answer = Client().post(URL, body, content_type="application/json", HTTP_STRIPE_SIGNATURE=signature(body))
    return answer.status_code


def keep(event: dict[str, Any]) -> StripeEvent:
    assert deliver(event) == 200
    return StripeEvent.objects.get(pk=event["id"])


def handled(event: dict[str, Any]) -> StripeEvent:
    kept = keep(event)
    events.handle(kept.pk)
    kept.refresh_from_db()
    return kept


def test_every_event_of_a_payment_credits_it_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    found = told(stripe_at_hand, top_up)
    assert handled(found["payment_intent.succeeded"]).state == State.HANDLED
    assert balance_cents(alices) == 100
    assert handled(found["checkout.session.completed"]).state == State.HANDLED
    assert handled(found["charge.succeeded"]).state == State.IGNORED
    assert balance_cents(alices) == 100


def test_fifty_copies_the_return_page_and_the_clock_at_once(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    found = told(stripe_at_hand, top_up)
    turn = iter(range(50))

    def one_of_all(_: int) -> int:
        place = next(turn)
        if place % 10 == 8:
            topups.settle_unfinished()
            return 200
        if place % 10 == 9:
            return as_alice.get(f"/wallet/top-ups/{top_up.pk}/").status_code
        event = found["checkout.session.completed" if place % 2 else "payment_intent.succeeded"]
        status = deliver(event)
        events.handle(event["id"])
        return status

    assert at_once(50, one_of_all) == [200] * 50
    assert StripeEvent.objects.count() == 2
    assert balance_cents(alices) == 100


def test_a_bank_that_pays_later_tells_twice_in_any_order(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up, "bank")
    completed = told(stripe_at_hand, top_up)["checkout.session.completed"]
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    succeeded = told(stripe_at_hand, top_up)["checkout.session.async_payment_succeeded"]
    assert handled(succeeded).state == State.HANDLED
    assert balance_cents(alices) == 100
    assert completed["data"]["object"]["payment_status"] == "unpaid"
    assert handled(completed).state == State.HANDLED
    top_up.refresh_from_db()
    assert (top_up.state, balance_cents(alices)) == (TopUp.State.PAID, 100)


def test_a_bank_that_does_not_pay_tells_it(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up, "bank_fails")
    handled(told(stripe_at_hand, top_up)["checkout.session.completed"])
    top_up.refresh_from_db()
    assert top_up.state == TopUp.State.PENDING
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="fails")
    handled(told(stripe_at_hand, top_up)["checkout.session.async_payment_failed"])
    top_up.refresh_from_db()
    assert (top_up.state, balance_cents(alices)) == (TopUp.State.FAILED, 0)


def test_an_expired_page_tells_it(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    stripe_at_hand.client().v1.checkout.sessions.expire(str(top_up.session_id))
    handled(told(stripe_at_hand, top_up)["checkout.session.expired"])
    top_up.refresh_from_db()
    assert top_up.state == TopUp.State.EXPIRED


def test_the_event_finds_a_row_whose_answer_got_lost(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(session_id=None, state=TopUp.State.CREATED)
    assert handled(told(stripe_at_hand, top_up)["payment_intent.succeeded"]).state == State.HANDLED
    assert balance_cents(alices) == 100


@pytest.mark.parametrize("version", ["2020-08-27", "2026-10-28.endive", "2099-01-01.future", None])
def test_an_event_of_any_api_version_brings_the_same_books(
    alices: Wallet, stripe_at_hand: Sandbox, version: str | None
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    completed = told(stripe_at_hand, top_up)["checkout.session.completed"]
    old: dict[str, Any] = {
        "id": top_up.session_id,
        "object": "checkout.session",
        "display_items": [],
        "amount": "100",
    }
    assert handled({**completed, "api_version": version, "data": {"object": old}}).state == State.HANDLED
    assert balance_cents(alices) == 100


def test_a_wallet_that_is_locked_for_long_does_not_keep_stripe_waiting(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    """The event is stored beside the lock, and its work is done when the lock is gone."""
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    event = told(stripe_at_hand, top_up)["checkout.session.completed"]
    is_locked, go_on = threading.Event(), threading.Event()

    def hold_on() -> None:
        with transaction.atomic():
            Wallet.objects.select_for_update().get(pk=alices.pk)
            TopUp.objects.select_for_update().get(pk=top_up.pk)
            ledger.lock([alices.pk])
            is_locked.set()
            go_on.wait(30)
        connection.close()

    def work() -> None:
        events.handle(event["id"])
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(hold_on)
        assert is_locked.wait(10)
        began = time.monotonic()
        keep(event)
        assert time.monotonic() - began < 1
        worker = pool.submit(work)
        time.sleep(1)
        assert StripeEvent.objects.get().state == State.PENDING
        go_on.set()
        holder.result(10)
        worker.result(30)
    StripeEvent.objects.update(next_attempt_at=timezone.now())
    events.handle_due()
    assert StripeEvent.objects.get().state == State.HANDLED
    assert balance_cents(alices) == 100


def test_what_the_event_says_of_amounts_is_not_believed(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    event = {
        "id": "evt_forged",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "api_version": "2020-08-27",
        "data": {"object": {"id": top_up.session_id, "payment_status": "paid", "amount_total": 10**9}},
    }
    assert handled(event).state == State.HANDLED
    top_up.refresh_from_db()
    assert (top_up.state, balance_cents(alices)) == (TopUp.State.OPEN, 0)


@pytest.mark.parametrize("change", [{"livemode": True}, {"account": "acct_1"}])
def test_events_of_others_are_parked(alices: Wallet, stripe_at_hand: Sandbox, change: dict[str, Any]) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    event = told(stripe_at_hand, top_up)["checkout.session.completed"] | change
    parked = handled(event)
    assert parked.state == State.PARKED
    assert parked.error
    assert balance_cents(alices) == 0


@pytest.mark.parametrize("reference", [None, "not one of ours", "0190a7e2-0000-7000-8000-000000000001"])
def test_a_session_that_is_not_ours_is_parked(
    alices: Wallet, stripe_at_hand: Sandbox, reference: str | None
) -> None:
    fields = payment(**({"client_reference_id": reference} if reference else {}))
    session = stripe_at_hand.client().v1.checkout.sessions.create(fields)
    stripe_at_hand.command(f"sessions/{session.id}/pay", method="card")
    reply = stripe_at_hand.request("GET", "/v1/events?limit=100").json["data"]
    [event] = [one for one in reply if one["data"]["object"]["id"] == session.id]
    assert "belongs to no top-up" in handled(event).error
    assert_books()


def test_a_second_session_that_names_our_order_is_parked(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    fields = payment(client_reference_id=str(top_up.pk), metadata={"top_up_id": str(top_up.pk)})
    session = stripe_at_hand.client().v1.checkout.sessions.create(fields)
    stripe_at_hand.command(f"sessions/{session.id}/pay", method="card")
    assert handled(told(stripe_at_hand, top_up)["checkout.session.completed"]).state == State.PARKED
    top_up.refresh_from_db()
    assert (top_up.state, balance_cents(alices)) == (TopUp.State.OPEN, 0)


def test_an_object_that_stripe_does_not_know_is_parked(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    for kind, object_id in {
        "checkout.session.completed": "cs_test_of_nobody",
        "payment_intent.succeeded": "pi_of_nobody",
    }.items():
        made = {
            "id": f"evt_{object_id}",
            "type": kind,
            "livemode": False,
            "data": {"object": {"id": object_id}},
        }
        assert handled({"object": "event", **made}).state == State.PARKED


def due_again(event: StripeEvent) -> None:
    StripeEvent.objects.filter(pk=event.pk).update(next_attempt_at=timezone.now())


def test_a_poison_event_is_parked_at_last_and_holds_up_nothing(
    alices: Wallet,
    stripe_at_hand: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    poison, good = started(alices), started(alices)
    pay(stripe_at_hand, poison)
    pay(stripe_at_hand, good)
    apply = topups.apply

    def apply_others(top_up_id: Any, session: Any) -> Any:
        if top_up_id == poison.pk:
            raise RuntimeError("poison\x00")
        return apply(top_up_id, session)

    monkeypatch.setattr(topups, "apply", apply_others)
    bad = keep(told(stripe_at_hand, poison)["checkout.session.completed"])
    keep(told(stripe_at_hand, good)["checkout.session.completed"])
    assert events.handle_due() == 2
    assert balance_cents(alices) == 100
    assert events.handle_due() == 0
    for attempt in range(1, events.ATTEMPTS):
        bad.refresh_from_db()
        assert (bad.state, bad.attempts) == (State.PENDING, attempt)
        assert bad.next_attempt_at > timezone.now() + events.wait_before(attempt) / 2
        due_again(bad)
        events.handle_due()
    bad.refresh_from_db()
    assert (bad.state, bad.error) == (State.PARKED, "RuntimeError: poison")
    assert "poison" in caplog.text
    assert balance_cents(alices) == 100


def test_while_stripe_is_away_events_wait(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)

    def away(*_: Any, **__: Any) -> None:
        raise StripeUnavailable("Stripe is away.")

    event = keep(told(stripe_at_hand, top_up)["checkout.session.completed"])
    monkeypatch.setattr(stripe_api, "session", away)
    for _ in range(events.ATTEMPTS + 3):
        due_again(event)
        assert events.handle_due() == 0
    event.refresh_from_db()
    assert (event.state, event.error) == (State.PENDING, "Stripe is away.")
    monkeypatch.undo()
    due_again(event)
    events.handle_due()
    event.refresh_from_db()
    assert (event.state, event.error, balance_cents(alices)) == (State.HANDLED, "", 100)


def test_an_event_that_stripe_fails_about_holds_up_no_other(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = started(alices), started(alices)
    read = stripe_api.session

    def failing(session_id: str, **how: Any) -> Any:
        if session_id == bad.session_id:
            raise StripeFailed("An error of its own.")
        return read(session_id, **how)

    for top_up in (bad, good):
        pay(stripe_at_hand, top_up)
        keep(told(stripe_at_hand, top_up)["checkout.session.completed"])
    monkeypatch.setattr(stripe_api, "session", failing)
    assert events.handle_due() == 1
    assert balance_cents(alices) == 100


def test_a_round_ends_where_stripe_answers_nothing(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StripeUnavailable("Stripe is away.")

    for top_up in [started(alices) for _ in range(rounds.MOST_UNANSWERED + 1)]:
        pay(stripe_at_hand, top_up)
        keep(told(stripe_at_hand, top_up)["checkout.session.completed"])
    monkeypatch.setattr(stripe_api, "session", away)
    assert events.handle_due() == 0
    assert StripeEvent.objects.filter(error="").count() == 1, "one was not asked about"


def test_who_the_payer_is_is_not_kept(transactional_db: None) -> None:
    customer = {
        "id": "cus_1",
        "object": "customer",
        "name": "Alice Example",
        "email": "alice@example.com",
        "tax_ids": [{"value": "DE123456789"}],
        "invoice_settings": {"custom_fields": [{"name": "Order", "value": "Alice"}]},
        "paypal": {"payer_email": "alice@example.com", "payer_id": "ABC"},
        "cashapp": {"cashtag": "$alice"},
    }
    event = {"id": "evt_people", "object": "event", "type": "customer.updated", "livemode": False}
    told_before = {"name": "Alice Other", "email": "other@example.com"}
    events.store({**event, "data": {"object": customer, "previous_attributes": told_before}})
    kept = str(StripeEvent.objects.get(pk="evt_people").payload)
    assert "cus_1" in kept
    for secret in ("Alice", "alice", "Other", "other", "DE123456789"):
        assert secret not in kept


def test_an_event_in_the_hands_of_one_is_not_taken_by_another(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    event = keep(told(stripe_at_hand, top_up)["checkout.session.completed"])
    asked: list[str] = []
    session = stripe_api.session

    def noted(session_id: str) -> stripe_api.Session:
        asked.append(session_id)
        return session(session_id)

    monkeypatch.setattr(stripe_api, "session", noted)
    at_once(10, lambda _: events.handle(event.pk))
    assert asked == [top_up.session_id]
    assert balance_cents(alices) == 100


def test_lost_webhooks_are_made_up_for_and_late_copies_change_nothing(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    tasks.settle_open_top_ups()
    assert balance_cents(alices) == 100
    for event in told(stripe_at_hand, top_up).values():
        deliver(event)
    tasks.handle_pending_events()
    assert not StripeEvent.objects.filter(state=State.PENDING).exists()
    assert balance_cents(alices) == 100


def test_waits_double_up_to_an_hour() -> None:
    waits = [events.wait_before(attempt) for attempt in range(1, 10)]
    assert waits[0] == datetime.timedelta(seconds=30)
    assert waits[-1] == datetime.timedelta(hours=1)
    assert waits == sorted(waits)
