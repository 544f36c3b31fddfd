"""Payments that no event told, over HTTP: credited once, or named as a difference."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox, payment
from tests.wallet.books import CENT, balance_cents
from tests.wallet.reconciling.asking import good, many
from tests.wallet.test_clearing import credited, lies
from tests.wallet.test_late_credit import ask_again, parked
from tests.wallet.test_topups import pay, started
from wallet import clearing, invariants, ledger, topups
from wallet.models import Code, StripeTransaction, TopUp, Transfer, Wallet
from wallet.reconciliation import runs
from wallet.stripe_api.listing import BalanceTransaction


def test_what_no_event_told_is_credited_once(alices: Wallet, stripe: Sandbox) -> None:
    paid, waiting, closed = many(alices, 3)
    pay(stripe, paid)
    pay(stripe, waiting, "bank")
    stripe.client().v1.checkout.sessions.expire(str(closed.session_id))
    run = good(runs.run())
    assert (balance_cents(alices), lies("stripe_clearing")) == (100, 67)
    told = " ".join(run.repaired)
    assert f"Top-up {paid.pk} was open, and is paid now, with $1.00 credited" in told
    assert f"Top-up {waiting.pk} was open, and is pending now" in told
    assert f"Top-up {closed.pk} was open, and is expired now" in told
    assert len(run.repaired) == 3
    assert (run.compared["sessions"], run.compared["balance transactions"]) == (3, 1)
    assert (run.clearing_nanousd, run.stripe_nanousd, run.in_transit_nanousd) == (67 * CENT, 67 * CENT, 0)
    again = good(runs.run())
    assert again.repaired == []
    assert balance_cents(alices) == 100
    assert Transfer.objects.count() == 2


def test_a_debit_that_settles_after_the_window(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 500)
    pay(stripe, top_up, "bank")
    good(runs.run())
    # Five days later: the session lies outside of the window of a recent run, the settlement within.
    later = timezone.now() + timedelta(minutes=5)
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=5))
    run = good(runs.run(since=later))
    assert run.compared == {"unfinished top-ups": 1, "credits on their way": 1}
    assert (balance_cents(alices), run.in_transit_nanousd) == (500, 500 * CENT)
    assert good(runs.run()).in_transit_nanousd == 0
    assert StripeTransaction.objects.get().type == "payment"


def test_a_payment_of_no_wallet_is_one_difference(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 200))
    session = stripe.client().v1.checkout.sessions.create(payment())
    stripe.command(f"sessions/{session.id}/pay", method="card")
    stripe.client().v1.checkout.sessions.create(payment())  # not paid: nobody's business
    intent = stripe.client().v1.checkout.sessions.retrieve(session.id).payment_intent
    run = runs.run()
    payment_in_no_wallet, sums = run.differences
    assert f"Payment {intent} of $1.00 at Stripe is in no wallet" in payment_in_no_wallet
    assert "stripe_clearing holds $1.64; Stripe's balance transactions sum to $2.31" in sums
    assert "-$0.67 too much here (unexplained transactions make -$0.67 of it)" in sums
    assert not run.is_good
    assert runs.last_good() is None
    assert balance_cents(alices) == 200
    assert invariants.check() == []


def test_a_payment_of_no_wallet_that_was_given_back_is_explained(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay(stripe, started(alices, 200))
    session = stripe.client().v1.checkout.sessions.create(payment())
    stripe.command(f"sessions/{session.id}/pay", method="card")
    assert len(runs.run().differences) == 2
    stripe.command(f"charges/{session.id}/refund", amount=60)
    stripe.command(f"charges/{session.id}/refund")
    # Within a day it may still turn out to be somebody's.
    assert "is in no wallet" in " ".join(runs.run().differences)
    monkeypatch.setattr(clearing, "UNCLAIMED", timedelta())
    good(runs.run())
    assert (balance_cents(alices), lies("refunds_pending"), lies("stripe_clearing")) == (200, 0, 164 - 33)
    assert good(runs.run()).repaired == []


def test_a_parked_payment_that_was_given_back_is_explained_also_where_its_row_names_it(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up, "bank")
    assert topups.settle(top_up.pk).top_up.payment_intent_id
    TopUp.objects.update(amount_cents=1)
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    assert any("is parked" in told for told in runs.run().differences)
    stripe.command(f"charges/{top_up.session_id}/refund", amount=1000)
    monkeypatch.setattr(clearing, "UNCLAIMED", timedelta())
    good(runs.run())


def test_what_was_explained_as_given_back_is_credited_no_more(
    alices: Wallet, staff: User, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the money would be in the books twice."""
    monkeypatch.setattr(clearing, "UNCLAIMED", timedelta())
    top_up = parked(stripe, alices)
    stripe.command(f"charges/{top_up.payment_intent_id}/refund", amount=1000)
    good(runs.run())
    told = ask_again(staff, top_up)
    assert (told.state, balance_cents(alices)) == ("parked", 0)
    assert told.problem.startswith(f"All of payment {top_up.payment_intent_id} was given back")
    good(runs.run())


def test_a_payment_that_is_explained_and_credited_at_once_is_in_the_books_once(
    alices: Wallet, staff: User, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = parked(stripe, alices)
    stripe.command(f"charges/{top_up.payment_intent_id}/refund", amount=1000)
    assert runs.run().differences
    monkeypatch.setattr(clearing, "UNCLAIMED", timedelta())
    is_booking, post = threading.Event(), clearing._post

    def post_slowly(told: BalanceTransaction, posting: clearing.Posting) -> None:
        is_booking.set()
        time.sleep(0.5)
        post(told, posting)

    def credit() -> TopUp:
        assert is_booking.wait(20)
        return ask_again(staff, top_up)

    monkeypatch.setattr(clearing, "_post", post_slowly)
    _, told = at_once(2, lambda number: credit() if number else runs.run())
    assert (told.state, balance_cents(alices)) == ("parked", 0)
    good(runs.run())


def test_what_a_bank_takes_of_a_payment_that_was_given_back_stays_a_difference(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "UNCLAIMED", timedelta())
    top_up = parked(stripe, alices)
    stripe.command(f"charges/{top_up.payment_intent_id}/refund", amount=1000)
    opened = stripe.command(f"charges/{top_up.payment_intent_id}/dispute", amount=1000)["dispute"]
    for _ in range(2):
        [told] = runs.run().differences
        assert told.startswith(
            f"Dispute {opened['id']} is not in the books: Payment {top_up.payment_intent_id} is"
        )
    assert (lies("disputes"), lies("refunds_pending"), balance_cents(alices)) == (1000, 0, 0)


def test_what_is_credited_without_a_payment_is_a_difference(alices: Wallet, stripe: Sandbox) -> None:
    credited(alices, 300, payment="pi_invented")
    run = runs.run()
    assert [told for told in run.differences if "pi_invented" in told] == [
        f"Top-up {TopUp.objects.get().pk} is credited with $3.00, but Stripe knows no payment pi_invented."
    ]


@pytest.mark.parametrize("change", [{"received_cents": 101}, {"received_cents": 99}, {"tax_cents": 1}])
def test_another_amount_than_stripes_is_a_difference(
    alices: Wallet, stripe: Sandbox, change: dict[str, int]
) -> None:
    top_up = started(alices)
    pay(stripe, top_up)
    with transaction.atomic():
        # As a fault of ours would: the credit is not what Stripe received.
        TopUp.objects.filter(pk=top_up.pk).update(
            **{
                "state": "paid",
                "received_cents": 100,
                "tax_cents": 0,
                "payment_intent_id": _intent(stripe, top_up),
            }
            | change
        )
    run = runs.run()
    assert any(f"is $1.00 at Stripe; top-up {top_up.pk} has" in told for told in run.differences)
    assert any("stripe_clearing holds $0.00; Stripe's" in told for told in run.differences)


def test_a_parked_top_up_whose_payment_came_is_a_difference(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=1)
    run = runs.run()
    assert any("is in no wallet: top-up" in told and "is parked" in told for told in run.differences)
    assert balance_cents(alices) == 0


def test_a_transfer_past_the_books_of_stripe_shows_in_the_sum(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    good(runs.run())
    with transaction.atomic():
        ledger.post(
            code=Code.PAYOUT,
            reference="payout:by hand",
            debit=ledger.house("bank"),
            credit=ledger.house("stripe_clearing"),
            amount_nanousd=7 * CENT,
        )
    [told] = runs.run().differences
    assert "holds $0.60; Stripe's balance transactions sum to $0.67, and $0.00 is on its way there" in told
    assert [finding.invariant.name for finding in invariants.check()] == ["stripe_clearing"]


def test_a_lie_about_a_transaction_breaks_an_invariant(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    good(runs.run())
    StripeTransaction.objects.update(fee_cents=34)
    assert {finding.invariant.name for finding in invariants.check()} == {
        "stripe_transactions",
        "stripe_clearing",
    }
    StripeTransaction.objects.update(fee_cents=33, source_id="ch_other")
    assert "of no top-up of that amount" in invariants.check()[0].ids[0]


def _intent(stripe: Sandbox, top_up: TopUp) -> str:
    return str(stripe.client().v1.checkout.sessions.retrieve(str(top_up.session_id)).payment_intent)
