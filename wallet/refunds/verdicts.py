"""What Stripe's refund says about a row of ours, and the sentences for people. Pure: no database, no Stripe.

The rule: a status that this release does not know, another currency or another amount is parked with a sentence, never
guessed. A refund that came to nothing stays so: what Stripe tells late does not take the money out again.
"""

from wallet.models import Refund
from wallet.stripe_api import StripeRefund
from wallet.topups.verdicts import Parked

State = Refund.State

STATES = {
    "pending": State.PENDING,
    "requires_action": State.PENDING,
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "canceled": State.CANCELED,
}
# What a row says while Stripe waits for the customer.
NEEDS_ACTION = "Stripe waits for the customer, to whom it sends an e-mail."
# What it says where its owner took it back while it waited for staff.
CANCELED_BY_OWNER = "You canceled it."
# What was told late must not take a row back.
ORDER = [State.WAITING, State.CREATED, State.PENDING, State.SUCCEEDED]

FAILURES = {
    "charge_for_pending_refund_disputed": "The bank disputes the payment, so nothing is given back on it.",
    "declined": "The bank declined it.",
    "expired_or_canceled_card": "The card has expired or was canceled.",
    "insufficient_funds": "It could not be paid out.",
    "lost_or_stolen_card": "The card was reported lost or stolen.",
    "merchant_request": "It was stopped at our request.",
}
REFUSALS = {
    "charge_already_refunded": "This payment was given back already.",
    "charge_disputed": "The bank disputes the payment, so nothing is given back on it.",
    "charge_not_refundable": "This payment can't be given back any more.",
}


def state_of(told: StripeRefund) -> Refund.State:
    """The state that follows. Raises Parked for a status or a currency that we don't know."""
    if told.currency != "usd":
        raise Parked(f"Refund {told.id} is of {told.currency}, not usd.")
    state = STATES.get(told.status or "")
    if state is None:
        raise Parked(f"Refund {told.id} has the status {told.status}, which is not one we know.")
    return state


def difference(told: StripeRefund, row: Refund) -> str:
    """What is not as the row says, or nothing."""
    asked, payment = row.amount_cents + row.tax_cents, row.top_up.payment_intent_id
    if told.amount != asked:
        return f"Refund {told.id} gives back {told.amount} cents; {asked} were asked for."
    if told.payment_intent_id not in (None, payment):
        return f"Refund {told.id} is of payment {told.payment_intent_id}, not {payment}."
    return ""


def is_news(state: Refund.State, row: Refund) -> bool:
    """Whether a row goes into this state from where it is."""
    if row.state not in ORDER:
        return False
    return state not in ORDER or ORDER.index(state) > ORDER.index(State(row.state))


def while_pending(told: StripeRefund) -> str:
    return NEEDS_ACTION if told.status == "requires_action" else ""


def of_failure(reason: str | None) -> str:
    return FAILURES.get(reason or "", "The bank could not take it.")


def of_refusal(code: str) -> str:
    return REFUSALS.get(code, "Stripe refused to give it back.")
