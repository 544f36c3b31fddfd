"""A payment that was given back or disputed before it was credited: the credit does not stay."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.audit import Instruction
from accounts.models import User
from tests.books import assert_books
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.refunding import at_stripe, house_cents, only
from tests.wallet.saved import payments_at_stripe, switched_on
from tests.wallet.test_disputes import disputed
from tests.wallet.test_topups import pay, started
from wallet import asking_again, auto_topups, invariants, stripe_api, topups
from wallet.models import Dispute, Refund, TopUp, Wallet


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> Iterator[None]:
    yield
    assert_books()
    assert invariants.check() == []


def parked(sandbox: Sandbox, wallet: Wallet, cents: int = 1000) -> TopUp:
    """Paid, but it seems to be of another amount: staff look at it. The row names its payment for the test's sake."""
    top_up = started(wallet, cents)
    pay(sandbox, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=1)
    assert topups.settle(top_up.pk).top_up.state == "parked"
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=cents)
    top_up.payment_intent_id = stripe_api.session(str(top_up.session_id)).payment_intent_id
    return top_up


def ask_again(staff: User, top_up: TopUp) -> TopUp:
    return asking_again.about_top_up(Instruction(staff, "The amount was mended.", uuid.uuid4()), top_up)


@pytest.mark.parametrize(("back", "left"), [(1000, 0), (300, 700)])
def test_what_was_given_back_before_is_booked_with_the_credit(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox, back: int, left: int
) -> None:
    top_up = parked(stripe_at_hand, alices)
    stripe_at_hand.command(f"charges/{top_up.payment_intent_id}/refund", amount=back)
    assert ask_again(staff, top_up).state == "paid"
    assert (balance_cents(alices), house_cents("refunds_pending")) == (left, back)
    row = only(alices)
    assert (row.refund_id, row.amount_cents) == (at_stripe(stripe_at_hand, top_up)[0]["id"], back)
    ask_again(staff, top_up)
    assert balance_cents(alices) == left


def test_what_a_bank_took_before_is_booked_with_the_credit(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox
) -> None:
    top_up = parked(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    assert ask_again(staff, top_up).state == "paid"
    assert (balance_cents(alices), house_cents("disputes")) == (0, 1000)
    assert Dispute.objects.get().pk == dispute_id


def test_by_the_page_that_the_person_returns_to(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices, 1000)
    pay(stripe_at_hand, top_up)
    stripe_at_hand.command(f"charges/{top_up.session_id}/refund", amount=400)
    assert as_alice.get(f"/wallet/top-ups/{top_up.pk}/").status_code == 200
    assert balance_cents(alices) == 600


def test_an_ordinary_credit_asks_stripe_nothing_more(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(payment_intent_id: str) -> Any:
        raise AssertionError

    monkeypatch.setattr(stripe_api, "refunds_of_payment", never)
    top_up = started(alices, 1000)
    pay(stripe_at_hand, top_up)
    assert topups.settle(top_up.pk).top_up.state == "paid"


def test_where_stripe_does_not_tell_the_credit_stands_and_the_rest_comes_later(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    top_up = parked(stripe_at_hand, alices)
    stripe_at_hand.command(f"charges/{top_up.payment_intent_id}/refund", amount=1000)
    stripe_at_hand.command("faults", kind="error_before", path="/v1/refunds", method="GET")
    try:
        assert ask_again(staff, top_up).state == "paid"
    finally:
        stripe_at_hand.request("DELETE", "/_sandbox/faults")
    assert "is not known yet" in caplog.text
    assert (balance_cents(alices), Refund.objects.count()) == (1000, 0)


def test_of_a_saved_card_too(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    row = auto_topups.begin(alices.pk)
    assert row is not None
    with monkeypatch.context() as lost:
        lost.setattr(auto_topups, "record", lambda *_: None)
        auto_topups.charge(row)
    [payment] = payments_at_stripe(stripe_at_hand, alices)
    stripe_at_hand.command(f"charges/{payment.id}/refund", amount=400)
    TopUp.objects.update(checked_at=None)
    row.refresh_from_db()
    assert auto_topups.settle(row).state == "paid"
    assert balance_cents(alices) == 600
