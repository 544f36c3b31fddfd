"""Top-ups from the click to the credit, against the stand-in over HTTP."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.books import assert_books
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from wallet import stripe_api, topups
from wallet.models import Code, StripeCustomer, TopUp, Transfer, Wallet
from wallet.stripe_api import StripeUnavailable

State = TopUp.State


def started(wallet: Wallet, cents: int = 100) -> TopUp:
    checkout = topups.start(wallet, cents)
    assert checkout.page_url
    return checkout.top_up


def pay(sandbox: Sandbox, top_up: TopUp, method: str = "card") -> None:
    sandbox.command(f"sessions/{top_up.session_id}/pay", method=method)


def test_a_paid_top_up_is_credited_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices, 1001)
    assert (top_up.state, balance_cents(alices)) == (State.OPEN, 0)
    pay(stripe_at_hand, top_up)
    for _ in range(3):
        settled = topups.settle(top_up.pk).top_up
    assert (settled.state, settled.received_cents, settled.tax_cents) == (State.PAID, 1001, 0)
    assert settled.paid_at
    [transfer] = Transfer.objects.all()
    assert transfer.reference == f"top_up:{settled.payment_intent_id}"
    assert transfer.details["session"] == settled.session_id
    assert (transfer.code, transfer.amount_nanousd) == (Code.TOP_UP, 1001 * CENT)
    assert balance_cents(alices) == 1001


def test_the_session_carries_our_order(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    v1 = stripe_at_hand.client().v1
    session = v1.checkout.sessions.retrieve(str(top_up.session_id), {"expand": ["payment_intent"]})
    intent: Any = session.payment_intent
    for metadata in (session.metadata, intent.metadata):
        assert metadata is not None
        assert metadata["top_up_id"] == str(top_up.pk)
    assert session.client_reference_id == str(top_up.pk)
    assert str(session.success_url).endswith(f"/wallet/top-ups/{top_up.pk}/")
    assert session.customer == StripeCustomer.objects.get(wallet=alices).customer_id


def test_fifty_at_once_give_one_credit(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    told = stripe_api.session(str(top_up.session_id))
    states = at_once(50, lambda _: topups.record(top_up.pk, told).top_up.state)
    assert set(states) == {State.PAID}
    assert balance_cents(alices) == 100


def test_many_that_find_it_unpaid_at_once_give_one_credit(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """The race is real: all have read "open" before the first of them settles."""
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    gate = threading.Barrier(8)

    def look(_: int) -> str:
        state = TopUp.objects.get(pk=top_up.pk).state
        gate.wait(20)
        topups.settle(top_up.pk)
        return state

    assert at_once(8, look) == [State.OPEN] * 8
    assert balance_cents(alices) == 100


def test_settling_locks_the_row(
    alices: Wallet, stripe_at_hand: Sandbox, django_assert_num_queries: Any
) -> None:
    top_up = started(alices)
    told = stripe_api.session(str(top_up.session_id))
    with django_assert_num_queries(4) as captured:
        topups.record(top_up.pk, told)
    assert "FOR UPDATE" in captured[1]["sql"]


def test_a_bank_that_pays_later(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up, "bank")
    assert topups.settle(top_up.pk).top_up.state == State.PENDING
    assert balance_cents(alices) == 0
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    assert topups.settle(top_up.pk).top_up.state == State.PAID
    assert balance_cents(alices) == 100


def test_a_bank_that_does_not_pay(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up, "bank_fails")
    assert topups.settle(top_up.pk).top_up.state == State.PENDING
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="fails")
    assert topups.settle(top_up.pk).top_up.state == State.FAILED
    assert balance_cents(alices) == 0


def test_a_declined_card_does_not_end_it(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up, "declined")
    checkout = topups.settle(top_up.pk)
    assert checkout.top_up.state == State.OPEN
    assert checkout.page_url
    pay(stripe_at_hand, top_up)
    assert topups.settle(top_up.pk).top_up.state == State.PAID
    assert balance_cents(alices) == 100


def test_a_page_that_was_closed(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    stripe_at_hand.client().v1.checkout.sessions.expire(str(top_up.session_id))
    checkout = topups.settle(top_up.pk)
    assert (checkout.top_up.state, checkout.page_url) == (State.EXPIRED, None)
    assert balance_cents(alices) == 0


def test_money_that_came_after_we_gave_up_is_credited(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(state=State.EXPIRED)
    topups.record(top_up.pk, stripe_api.session(str(top_up.session_id)))
    assert balance_cents(alices) == 100


@pytest.mark.parametrize(
    "change", [{"amount_cents": 101}, {"amount_cents": 1000}, {"session_id": "cs_test_of_something_else"}]
)
def test_what_differs_from_the_order_is_parked(
    alices: Wallet, stripe_at_hand: Sandbox, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    told = stripe_api.session(str(top_up.session_id))
    TopUp.objects.filter(pk=top_up.pk).update(**change)
    parked = topups.record(top_up.pk, told).top_up
    assert parked.state == State.PARKED
    assert parked.problem in caplog.text
    assert balance_cents(alices) == 0


def test_a_live_deployment_takes_no_test_money(
    alices: Wallet, stripe_at_hand: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    settings.STRIPE_LIVEMODE = True
    assert topups.settle(top_up.pk).top_up.problem == "Its livemode is False."
    assert "livemode" in caplog.text
    assert balance_cents(alices) == 0


def test_one_payment_is_not_credited_to_two_top_ups(
    alices: Wallet, stripe_at_hand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = started(alices), started(alices)
    pay(stripe_at_hand, first)
    paid = topups.settle(first.pk).top_up
    pay(stripe_at_hand, second)
    TopUp.objects.filter(pk=first.pk).update(payment_intent_id=None)
    told = stripe_api.session(str(second.session_id))
    TopUp.objects.filter(pk=first.pk).update(payment_intent_id=told.payment_intent_id)
    assert topups.record(second.pk, told).top_up.state == State.PARKED
    assert "another top-up" in caplog.text
    TopUp.objects.filter(pk=first.pk).update(payment_intent_id=paid.payment_intent_id)
    assert balance_cents(alices) == 100


def test_an_unpaid_page_that_names_the_payment_of_another_is_parked(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    first, second = started(alices), started(alices)
    pay(stripe_at_hand, first)
    paid = topups.settle(first.pk).top_up
    told = replace(stripe_api.session(str(second.session_id)), payment_intent_id=paid.payment_intent_id)
    found = topups.record(second.pk, told).top_up
    assert found.state == State.PARKED
    assert "another top-up" in found.problem


def test_two_pages_that_are_both_paid_are_two_credits(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    for top_up in [started(alices), started(alices)]:
        pay(stripe_at_hand, top_up)
        topups.settle(top_up.pk)
    assert balance_cents(alices) == 200


def test_a_form_that_is_sent_five_times_at_once_leads_to_one_page(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    form_id = str(uuid4())
    pages = at_once(5, lambda _: topups.start(alices, 500, form_id).page_url)
    assert len(set(pages)) == 1
    assert TopUp.objects.count() == 1
    assert topups.start(alices, 600, form_id).page_url not in pages
    pay(stripe_at_hand, TopUp.objects.get(amount_cents=500))
    # The form is old, and its page is used up: a new one.
    assert topups.start(alices, 500, form_id).page_url not in pages
    assert balance_cents(alices) == 500


def test_a_form_sent_again_while_stripe_is_slow_waits_for_the_first(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    """Longer than the library tries again by itself: the second call finds its key in use and takes its turn."""
    form_id = str(uuid4())
    with ThreadPoolExecutor(1) as pool, stripe_at_hand.stalled():
        pages = pool.submit(at_once, 2, lambda _: topups.start(alices, 500, form_id).page_url)
        time.sleep(2.5)
    assert len(set(pages.result())) == 1
    assert TopUp.objects.count() == 1


def test_parallel_first_top_ups_make_one_customer(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    at_once(4, lambda _: started(alices))
    customers = {
        stripe_at_hand.client().v1.checkout.sessions.retrieve(str(one.session_id)).customer
        for one in TopUp.objects.all()
    }
    assert customers == {StripeCustomer.objects.get().customer_id}


def test_no_more_than_so_many_an_hour(alices: Wallet, stripe_at_hand: Sandbox, settings: Any) -> None:
    settings.TOP_UPS_PER_HOUR = 2
    started(alices)
    started(alices)
    with pytest.raises(topups.TooManyTopUps):
        topups.start(alices, 100)
    assert TopUp.objects.count() == 2


def test_an_answer_that_got_lost_is_asked_for_again(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe made the session, we never heard of it: the same key gives the same session."""
    create, made = stripe_api.create_session, []

    def lost(**arguments: Any) -> Any:
        made.append(create(**arguments))
        raise StripeUnavailable("The connection broke.")

    monkeypatch.setattr(stripe_api, "create_session", lost)
    with pytest.raises(StripeUnavailable):
        topups.start(alices, 100)
    monkeypatch.undo()
    [top_up] = TopUp.objects.all()
    assert (top_up.state, top_up.session_id) == (State.CREATED, None)
    stripe_at_hand.command(f"sessions/{made[0].id}/pay", method="card")
    assert topups.settle_unfinished() == 1
    top_up.refresh_from_db()
    # The stored answer of the creation says "open"; the next round reads how it is now.
    assert (top_up.state, top_up.session_id) == (State.OPEN, made[0].id)
    topups.settle_unfinished()
    assert balance_cents(alices) == 100


def test_stripe_is_away(alices: Wallet, stripe_at_hand: Sandbox, settings: Any) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(StripeUnavailable):
        topups.start(alices, 100)
    assert TopUp.objects.get().state == State.CREATED
    assert topups.settle_unfinished() == 0
    settings.STRIPE_API_BASE = stripe_at_hand.url
    assert topups.settle_unfinished() == 1
    assert TopUp.objects.get().state == State.OPEN


def test_a_row_that_stripe_was_never_reached_for_is_given_up(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = TopUp.objects.create(
        wallet=alices, amount_cents=100, created_at=timezone.now() - stripe_api.KEY_LIFE
    )
    assert topups.settle(top_up.pk).top_up.state == State.EXPIRED


def test_a_page_is_not_opened_when_its_hour_is_over(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = TopUp.objects.create(
        wallet=alices, amount_cents=100, created_at=timezone.now() - stripe_api.PAGE_LIFE
    )
    settled = topups.settle(top_up.pk).top_up
    assert settled.state == State.EXPIRED
    assert "30 minutes" in settled.problem


def test_one_row_that_fails_does_not_hold_up_the_others(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison, good = started(alices), started(alices)
    pay(stripe_at_hand, good)
    settle = topups.settle

    def settle_others(top_up_id: Any) -> Any:
        if top_up_id == poison.pk:
            raise RuntimeError("poison")
        return settle(top_up_id)

    monkeypatch.setattr(topups, "settle", settle_others)
    assert topups.settle_unfinished() == 2
    assert "poison" in caplog.text
    assert balance_cents(alices) == 100


def test_a_failure_in_the_middle_undoes_all(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)

    def broken(*_: Any) -> None:
        raise RuntimeError("after the transfer, before the row")

    monkeypatch.setattr(topups, "_write", broken)
    with pytest.raises(RuntimeError):
        topups.settle(top_up.pk)
    assert not Transfer.objects.exists()
    monkeypatch.undo()
    topups.settle(top_up.pk)
    assert balance_cents(alices) == 100


def test_stripe_is_never_called_inside_a_transaction(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    with pytest.raises(RuntimeError, match="inside a database transaction"), transaction.atomic():
        topups.settle(top_up.pk)
    assert not connection.in_atomic_block
    assert_books()
