"""Refunds, calls and disputes that happen at the same time: what is there is given back once."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.books import assert_books
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.refunding import given_cents, in_dashboard, paid
from wallet import invariants, ledger, refunds, stripe_api
from wallet.models import Code, Funds, Refund, Wallet
from wallet.refunds import asking as refund_asking


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> Iterator[None]:
    yield
    assert_books()
    assert invariants.check() == []


def try_to_start(wallet: Wallet, cents: int) -> bool:
    try:
        refunds.start(wallet, cents)
    except refunds.TooMuch:
        return False
    return True


def test_without_the_lock_more_is_taken_than_is_there(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is real: all have read what is refundable before the first of them takes it."""
    paid(stripe_at_hand, alices)
    gate = threading.Barrier(4)
    real = refunds._refundable

    def read_together(*given: Any) -> Any:
        found = real(*given)
        gate.wait(20)
        return found

    class Unlocked:
        def get(self, **which: Any) -> Any:
            return ledger.balances(which["wallet"])

    monkeypatch.setattr(refunds, "lock", lambda wallet_id: Wallet.objects.get(pk=wallet_id))
    monkeypatch.setattr(Funds.objects, "select_for_update", Unlocked)
    monkeypatch.setattr(refunds, "_refundable", read_together)
    assert at_once(4, lambda _: try_to_start(alices, 700)) == [True] * 4
    assert ledger.balances(alices).paid_nanousd == (1000 - 4 * 700) * CENT


def test_two_at_once_never_take_more_than_is_there(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    started = at_once(12, lambda _: try_to_start(alices, 300))
    assert sorted(started) == [False] * 9 + [True] * 3
    assert balance_cents(alices) == 100
    at_once(6, lambda _: refund_asking.settle_unfinished())
    assert given_cents(stripe_at_hand, top_up) == 900


def test_a_form_of_another_amount_takes_nothing_however_often_it_is_sent(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    paid(stripe_at_hand, alices)
    refunds.start(alices, 200, "form")

    def other(_: int) -> int:
        with pytest.raises(refunds.OtherAmount) as raised:
            refunds.start(alices, 300, "form")
        return raised.value.cents

    assert set(at_once(6, other)) == {200}
    assert balance_cents(alices) == 800


def test_a_form_sent_again_after_nothing_came_of_it_is_one_refund(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    paid(stripe_at_hand, alices)
    refunds.give_up(Refund.objects.get(request_id=refunds.start(alices, 200, "form")).pk, "No.")
    assert len(set(at_once(6, lambda _: refunds.start(alices, 200, "form")))) == 1
    assert balance_cents(alices) == 800


def test_one_form_on_many_threads_is_one_refund(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)

    def click(_: int) -> object:
        request_id = refunds.start(alices, 200, "form")
        refund_asking.settle_request(request_id)
        return request_id

    assert len(set(at_once(10, click))) == 1
    assert balance_cents(alices) == 800
    assert given_cents(stripe_at_hand, top_up) == 200


def test_one_that_was_made_at_stripe_is_booked_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    told = stripe_api.refund(in_dashboard(stripe_at_hand, top_up, 400))
    rows = at_once(12, lambda _: refunds.record(told).pk)
    assert len(set(rows)) == 1
    assert balance_cents(alices) == 600


def test_a_failure_told_to_many_returns_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    refund_asking.settle_request(refunds.start(alices, 400))
    row = Refund.objects.get()
    stripe_at_hand.command(f"refunds/{row.refund_id}/fail")
    at_once(12, lambda _: refund_asking.settle(row.pk).state)
    assert balance_cents(alices) == 1000


def test_calls_and_refunds_at_once_leave_what_is_left(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """Usage may take a wallet below zero; a refund never does."""
    paid(stripe_at_hand, alices)

    def work(number: int) -> bool:
        if number % 2:
            return try_to_start(alices, 150)
        with transaction.atomic():
            ledger.post(
                code=Code.CORRECTION,
                reference=f"test-{number}",
                debit=ledger.paid(alices),
                credit=ledger.house("adjustments"),
                amount_nanousd=100 * CENT,
            )
        return True

    at_once(16, work)
    left = ledger.balances(alices).paid_nanousd // CENT
    taken = sum(Refund.objects.values_list("amount_cents", flat=True))
    assert left == 1000 - 8 * 100 - taken
    assert taken % 150 == 0
