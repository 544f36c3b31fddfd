"""What a Checkout Session, or a payment without one, says about a top-up. Pure: no database, no Stripe.

The rule: credit only what Stripe received, only for the order that we made, and only where Stripe says so in words that
we know. Whatever doesn't add up is parked with a sentence for staff, never guessed.
"""

from collections.abc import Collection
from dataclasses import dataclass

from wallet.models import TopUp
from wallet.stripe_api import Payment, Session

State = TopUp.State

# Of a complete session that is not paid yet, the payment intent says whether it still may be.
WAITING = {"processing", "requires_action", "requires_confirmation", "succeeded"}
OVER = {"requires_payment_method", "canceled"}


class Parked(Exception):
    """What Stripe tells doesn't add up, and nothing follows by itself; the sentence says why, for staff."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that follows. `received_cents` is without `tax_cents`; both only where it is paid, or the bank is to pay."""

    state: State
    received_cents: int | None = None
    tax_cents: int | None = None
    problem: str = ""


def judge(session: Session, top_up: TopUp, *, livemode: bool) -> Verdict:
    """What the session, as Stripe tells it now, means for our row."""
    problem = _difference(session, top_up, livemode)
    if problem:
        return Verdict(State.PARKED, problem=problem)
    match session.status, session.payment_status:
        case "open", "unpaid" | "no_payment_required":
            # A session can read "no payment required" while it is open. That is no payment.
            return Verdict(State.OPEN)
        case "expired", "unpaid" | "no_payment_required":
            return Verdict(State.EXPIRED)
        case "complete", "paid" | "no_payment_required":
            return _received(session)
        case "complete", "unpaid":
            return _later(session)
    return _unknown(session)


def _difference(session: Session, top_up: TopUp, livemode: bool) -> str:
    ours = str(top_up.pk)
    checks = [
        (top_up.session_id in (None, session.id), f"It is session {session.id}, not {top_up.session_id}."),
        (session.client_reference_id == ours, f"It names {session.client_reference_id} as its order."),
        (session.top_up_id == ours, f"Its metadata names {session.top_up_id} as its order."),
        (session.livemode == livemode, f"Its livemode is {session.livemode}."),
        (session.mode == "payment", f"Its mode is {session.mode}, not payment."),
        (session.currency == "usd", f"Its currency is {session.currency}, not usd."),
        (
            not session.is_converted,
            "It was converted in the old way, in which amounts are not in our currency.",
        ),
        (
            session.amount_subtotal == top_up.amount_cents,
            f"It asks {session.amount_subtotal} cents; the order was {top_up.amount_cents}.",
        ),
    ]
    return next((sentence for holds, sentence in checks if not holds), "")


def _received(session: Session) -> Verdict:
    subtotal, total = session.amount_subtotal, session.amount_total
    adds_up = (
        subtotal is not None
        and total is not None
        and total == subtotal - session.amount_discount + session.amount_tax
        and 0 <= session.amount_discount <= subtotal
        and session.amount_tax >= 0
    )
    if not adds_up or total is None:
        sentence = (
            f"Total {total} is not subtotal {subtotal} less discount {session.amount_discount}"
            f" plus tax {session.amount_tax}."
        )
        return Verdict(State.PARKED, problem=sentence)
    if (session.payment_status == "paid") != (total > 0):
        sentence = f"Its payment status is {session.payment_status} for {total} cents."
        return Verdict(State.PARKED, problem=sentence)
    if total and not session.payment_intent_id:
        return Verdict(State.PARKED, problem="It is paid, but names no payment.")
    return Verdict(State.PAID, received_cents=total - session.amount_tax, tax_cents=session.amount_tax)


def _later(session: Session) -> Verdict:
    if session.payment_intent_status in WAITING:
        total, tax = session.amount_total, session.amount_tax
        if total is None or not 0 <= tax <= total:
            return Verdict(State.PENDING)
        return Verdict(State.PENDING, received_cents=total - tax, tax_cents=tax)
    if session.payment_intent_status in OVER:
        return Verdict(State.FAILED)
    return _unknown(session)


def _unknown(session: Session) -> Verdict:
    told = f"{session.status}, {session.payment_status}, payment {session.payment_intent_status}"
    return Verdict(State.PARKED, problem=f"Its status is not one we know: {told}.")


def judge_payment(payment: Payment, top_up: TopUp, *, customers: Collection[str], livemode: bool) -> Verdict:
    """What a payment made without a page, as Stripe tells it now, means for our automatic top-up.

    `customers` are all that its wallet is and was at Stripe.
    """
    problem = _payment_difference(payment, top_up, customers, livemode)
    if problem:
        return Verdict(State.PARKED, problem=problem)
    match payment.status:
        case "succeeded" if payment.amount_received == payment.amount:
            return Verdict(State.PAID, received_cents=payment.amount_received, tax_cents=0)
        case "succeeded":
            return Verdict(
                State.PARKED, problem=f"It received {payment.amount_received} of {payment.amount} cents."
            )
        case "processing" | "requires_confirmation":
            return Verdict(State.PENDING)
        case "requires_payment_method" | "requires_action" | "canceled":
            # Nobody is there to go on with it, so this one is over.
            return Verdict(State.FAILED, problem=payment.message or f"The payment is {payment.status}.")
    return Verdict(State.PARKED, problem=f"Its status is not one we know: {payment.status}.")


def _payment_difference(payment: Payment, top_up: TopUp, customers: Collection[str], livemode: bool) -> str:
    checks = [
        (
            top_up.payment_intent_id in (None, payment.id),
            f"It is payment {payment.id}, not {top_up.payment_intent_id}.",
        ),
        (payment.top_up_id == str(top_up.pk), f"Its metadata names {payment.top_up_id} as its order."),
        (payment.livemode == livemode, f"Its livemode is {payment.livemode}."),
        (payment.currency == "usd", f"Its currency is {payment.currency}, not usd."),
        (
            payment.amount == top_up.amount_cents,
            f"It asks {payment.amount} cents; the order was {top_up.amount_cents}.",
        ),
        (
            payment.customer_id in customers,
            f"Its customer is {payment.customer_id}, not {' or '.join(customers)}.",
        ),
    ]
    return next((sentence for holds, sentence in checks if not holds), "")
