"""Refunds, disputes, returned debits and payouts that no event told."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.audit import Instruction
from accounts.models import User
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.reconciling.asking import good
from tests.wallet.test_clearing import lies
from tests.wallet.test_topups import pay, started
from wallet import acts, stripe_api
from wallet.models import Refund, StripeTransaction, Transfer, Wallet
from wallet.reconciliation import runs
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeRefund
from wallet.transactions import again_if_lost


def test_a_refund_and_its_failure_that_no_event_told(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    good(runs.run())
    made = stripe.command(f"charges/{top_up.session_id}/refund", amount=400, outcome="waits")["refund"]
    run = good(runs.run())
    assert f"Refund {made['id']} of $4.00 was unknown here, and is" in run.repaired[0]
    assert (balance_cents(alices), lies("refunds_pending")) == (600, -400 + _left_stripe())
    stripe.command(f"refunds/{made['id']}/succeed")
    good(runs.run())
    assert (balance_cents(alices), lies("refunds_pending")) == (600, 0)
    stripe.command(f"refunds/{made['id']}/fail")
    run = good(runs.run())
    assert f"Refund {made['id']} of $4.00 was succeeded, and is failed now." in run.repaired
    assert (balance_cents(alices), lies("refunds_pending"), lies("stripe_clearing")) == (1000, 0, 941)


def _left_stripe() -> int:
    gone = StripeTransaction.objects.filter(type="refund").values_list("amount_cents", flat=True)
    return -sum(gone)


def test_a_dispute_that_no_event_told(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    good(runs.run())
    opened = stripe.command(f"charges/{top_up.session_id}/dispute")["dispute"]
    run = good(runs.run())
    assert f"Dispute {opened['id']} is needs_response now, with $10.00 withdrawn" in " ".join(run.repaired)
    assert (balance_cents(alices), lies("disputes"), lies("stripe_fees")) == (0, 0, 59 + 1500)
    stripe.command(f"disputes/{opened['id']}/win")
    run = good(runs.run())
    assert run.repaired == [
        f"Dispute {opened['id']} is won now, with $10.00 withdrawn and $10.00 reinstated; here it was needs_response."
    ]
    assert (balance_cents(alices), lies("disputes"), lies("stripe_clearing")) == (1000, 0, 941 - 1500)
    assert good(runs.run()).repaired == []


def test_a_dispute_on_day_90(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    good(runs.run())
    # What its own list shows lies in the window; its payment is long gone from it.
    later = timezone.now() + timedelta(seconds=2)
    stripe.command("clock", seconds=90 * 86_400)
    stripe.command(f"charges/{top_up.session_id}/dispute", amount=300)
    run = good(runs.run(since=later))
    assert (run.compared.get("charges"), run.compared["disputes"]) == (None, 1)
    assert balance_cents(alices) == 700


def test_a_dispute_that_is_booked_but_odd_is_named_in_every_run_and_not_called_missing(
    alices: Wallet, stripe: Sandbox
) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    opened = stripe.command(f"charges/{top_up.session_id}/dispute", amount=300)["dispute"]
    stripe.command(f"disputes/{opened['id']}/set", status="in_appeal")
    for _ in range(2):
        [told] = runs.run().differences
        assert told.startswith(f"Dispute {opened['id']} does not add up: Its status is in_appeal")
    assert balance_cents(alices) == 700
    stripe.command(f"disputes/{opened['id']}/set", status="under_review")
    good(runs.run())


def test_an_inquiry_that_escalates_after_a_correction_is_not_called_booked(
    alices: Wallet, staff: User, stripe: Sandbox
) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    opened = stripe.command(f"charges/{top_up.session_id}/dispute", inquiry="true")["dispute"]
    good(runs.run())
    acts.correct(Instruction(staff, "It was credited twice.", uuid4()), Transfer.objects.get(code="top_up"))
    stripe.command(f"disputes/{opened['id']}/escalate")
    told, _ = runs.run().differences
    assert told.startswith(f"Dispute {opened['id']} does not add up: Staff took top-up {top_up.pk} back")
    assert (balance_cents(alices), lies("disputes")) == (0, 1000)


def test_a_debit_that_comes_back_after_it_succeeded(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up, "bank")
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    good(runs.run())
    stripe.command(f"charges/{top_up.session_id}/return")
    run = good(runs.run())
    assert f"A bank took $10.00 of top-up {top_up.pk} back" in run.repaired[0]
    assert (balance_cents(alices), lies("stripe_clearing"), lies("refunds_pending")) == (0, -59, 0)
    assert good(runs.run()).repaired == []


def test_a_payout_and_a_fee(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 1000))
    sent = stripe.command("payouts", amount=500)["payout"]
    stripe.command("balance_transactions", amount=-25)
    good(runs.run())
    assert (lies("bank"), lies("stripe_fees"), lies("stripe_clearing")) == (500, 59 + 25, 416)
    stripe.command(f"payouts/{sent['id']}/fail")
    good(runs.run())
    assert (lies("bank"), lies("stripe_clearing")) == (0, 916)


@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_debit_that_comes_back_with_a_refund_of_stripes_own(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch, is_told_first: bool
) -> None:
    """Whether Stripe tells of the refund before its books or after them, it is one."""
    top_up = started(alices, 1000)
    pay(stripe, top_up, "bank")
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    good(runs.run())
    stripe.command(f"charges/{top_up.session_id}/return")
    [moved] = stripe.request("GET", "/v1/balance_transactions?type=payment_failure_refund").json["data"]
    top_up.refresh_from_db()
    made = StripeRefund(
        "pyr_1",
        "succeeded",
        1000,
        "usd",
        moved["source"],
        top_up.payment_intent_id,
        transaction_id=moved["id"],
    )
    if not is_told_first:
        good(runs.run())
    monkeypatch.setattr(stripe_api, "refund", lambda refund_id: made)
    monkeypatch.setattr(stripe_api, "refunds_of_charge", lambda charge_id: [made])
    if not is_told_first:
        again_if_lost(refund_asking.heard_of_refund("pyr_1"))
    good(runs.run())
    row = Refund.objects.get()
    assert (row.refund_id, row.transaction_id) == ("pyr_1", moved["id"])
    assert (balance_cents(alices), lies("stripe_clearing"), lies("refunds_pending")) == (0, -59, 0)
