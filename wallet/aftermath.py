"""What happened to a payment before it was credited: refunds and disputes of it, taken up right after its credit.

Their events may have come too early to be understood, or never. Asks Stripe, so it is never run inside of a transaction;
books by the very functions that events use, so any number of times is once.
"""

import logging
from collections.abc import Callable

from wallet import disputes, stripe_api
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)


def take_up(payment_intent_id: str) -> None:
    """Book every refund and dispute of a payment. What can't be, is left to events and the next reconciliation."""
    try:
        refund_ids = [told.id for told in stripe_api.refunds_of_payment(payment_intent_id)]
        dispute_ids = stripe_api.disputes_of_payment(payment_intent_id)
    except (StripeRefused, StripeUnavailable) as error:
        logger.error("What happened to payment %s is not known yet: %s", payment_intent_id, error)
        return
    for refund_id in refund_ids:
        _book(refund_asking.heard_of_refund, refund_id)
    for dispute_id in dispute_ids:
        _book(disputes.heard_of, dispute_id)


def _book(reader: Callable[[str], Callable[[], None]], object_id: str) -> None:
    """One that can't be booked must not hold up the others."""
    try:
        again_if_lost(reader(object_id))
    except (Parked, StripeRefused, StripeUnavailable) as reason:
        logger.error("%s is not booked yet: %s", object_id, reason)
