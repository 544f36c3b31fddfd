"""Has what differs booked, by the very functions that events use."""

import logging
from functools import partial

from django.db import DataError, IntegrityError

from pricing.money import NANO_PER_CENT, usd
from wallet import events, ledger
from wallet.models import Refund
from wallet.reconciliation.report import Report
from wallet.stripe_api import StripeFailed, StripeRefused, listing
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)

# The events whose readers book what a kind of object says; they read it from Stripe again.
SESSION, PAYMENT = "checkout.session.completed", "payment_intent.succeeded"
REFUND, DISPUTE = "refund.updated", "charge.dispute.updated"
# What an object that is not as it should be raises; the database or the time being gone are not of them.
BROKEN = (
    ledger.ReferenceConflict, IntegrityError, DataError,
    ValueError, ArithmeticError, LookupError, AttributeError, TypeError,
)  # fmt: skip


def bring(event: str, object_id: str) -> str:
    """Have an object booked as an event of this type would; why it could not be, or nothing.

    Raises StripeUnavailable. Whatever else goes wrong concerns this object alone.
    """
    try:
        again_if_lost(listing.patiently(partial(events.READERS[event], object_id)))
    except (Parked, StripeRefused, StripeFailed) as reason:
        # Stripe failing for good about one object must not hold up the others either.
        return str(reason)
    except BROKEN as error:
        logger.exception("%s could not be reconciled.", object_id)
        return f"{type(error).__name__}: {error}"
    return ""


def bring_refund(refund_id: str, report: Report) -> None:
    before = Refund.objects.filter(refund_id=refund_id).first()
    problem = bring(REFUND, refund_id)
    row = Refund.objects.filter(refund_id=refund_id).first()
    if row is not None and (before is None or before.state != row.state):
        was = before.state if before else "unknown here"
        whole = in_usd(row.amount_cents + row.tax_cents)
        report.repaired(f"Refund {refund_id} of {whole} was {was}, and is {row.state} now.")
    if problem or row is None:
        report.differs(
            refund_id, f"Refund {refund_id} is not in the books: {problem or 'no row of ours has it.'}"
        )


def in_usd(cents: int) -> str:
    return usd(cents * NANO_PER_CENT)
