"""Asking for a refund while Stripe fails: nothing is given back twice, and nothing is lost."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.books import assert_books
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.refunding import given_cents, only, paid
from wallet import invariants, refunds
from wallet.models import Refund, TopUp, Wallet
from wallet.refunds import asking as refund_asking

State = Refund.State


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> Iterator[None]:
    yield
    assert_books()
    assert invariants.check() == []


@pytest.fixture
def top_up(alices: Wallet, stripe_at_hand: Sandbox) -> Iterator[TopUp]:
    yield paid(stripe_at_hand, alices)
    stripe_at_hand.request("DELETE", "/_sandbox/faults")


def fault(sandbox: Sandbox, kind: str, **more: object) -> None:
    sandbox.command("faults", kind=kind, path="/v1/refunds", method="POST", **more)


@pytest.mark.parametrize("kind", ["error_before", "error_after", "rate_limit", "reset_before", "reset_after"])
def test_after_any_fault_it_is_given_back_once(
    alices: Wallet, stripe_at_hand: Sandbox, top_up: TopUp, kind: str
) -> None:
    fault(stripe_at_hand, kind, times=3)
    request_id = refunds.start(alices, 400)
    refund_asking.settle_request(request_id)
    for _ in range(3):
        refund_asking.settle_unfinished()
    assert only(alices).state == State.SUCCEEDED
    assert given_cents(stripe_at_hand, top_up) == 400
    assert balance_cents(alices) == 600


def test_an_answer_that_got_lost_is_found_at_once(
    alices: Wallet, stripe_at_hand: Sandbox, top_up: TopUp
) -> None:
    """Stripe did it, and answers 500 under its key for ever."""
    fault(stripe_at_hand, "error_after")
    refund_asking.settle_request(refunds.start(alices, 400))
    assert only(alices).state == State.SUCCEEDED
    assert given_cents(stripe_at_hand, top_up) == 400


def test_an_error_for_ever_is_given_up_after_a_day(
    alices: Wallet, stripe_at_hand: Sandbox, top_up: TopUp
) -> None:
    fault(stripe_at_hand, "error_before")
    refund_asking.settle_request(refunds.start(alices, 400))
    refund_asking.settle_unfinished()
    assert (only(alices).state, balance_cents(alices)) == (State.CREATED, 600)
    Refund.objects.update(asked_at=timezone.now() - timedelta(hours=21))
    refund_asking.settle_unfinished()
    row = only(alices)
    assert (row.state, balance_cents(alices)) == (State.FAILED, 1000)
    assert "for a day" in row.problem
    assert given_cents(stripe_at_hand, top_up) == 0


def test_one_that_fails_does_not_hold_up_the_others(
    alices: Wallet, stripe_at_hand: Sandbox, top_up: TopUp
) -> None:
    # The library asks twice.
    fault(stripe_at_hand, "error_before", times=2)
    for _ in range(3):
        refunds.start(alices, 100)
    assert refund_asking.settle_unfinished() == 2
    assert sorted(Refund.objects.values_list("state", flat=True)) == ["created", "succeeded", "succeeded"]
    refund_asking.settle_unfinished()
    assert given_cents(stripe_at_hand, top_up) == 300


def test_after_an_outage_of_days_it_is_asked_for_anew(
    alices: Wallet, stripe_at_hand: Sandbox, top_up: TopUp
) -> None:
    """Nothing was done and the key is forgotten: looking finds nothing, so asking is safe."""
    fault(stripe_at_hand, "reset_before")
    refund_asking.settle_request(refunds.start(alices, 400))
    Refund.objects.update(asked_at=timezone.now() - timedelta(days=3))
    stripe_at_hand.request("DELETE", "/_sandbox/faults")
    stripe_at_hand.command("idempotency/forget")
    refund_asking.settle_unfinished()
    assert only(alices).state == State.SUCCEEDED
    assert given_cents(stripe_at_hand, top_up) == 400
