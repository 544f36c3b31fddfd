"""Stripe's own movements of money, its balance transactions, and the credits that it has none for yet."""

from functools import partial
from uuid import UUID

from django.db.models import Q

from pricing.money import usd
from wallet import clearing, refunds, stripe_api
from wallet.models import Refund, StripeTransaction, TopUp
from wallet.reconciliation.booking import bring_refund, in_usd
from wallet.reconciliation.report import Report
from wallet.stripe_api import StripeFailed, StripeRefund, StripeRefused, listing
from wallet.stripe_api.listing import BalanceTransaction
from wallet.topups.verdicts import Parked

# A bank took a debit back.
RETURNED_DEBIT = "payment_failure_refund"


def compare(found: list[BalanceTransaction], report: Report) -> None:
    booked = StripeTransaction.objects.filter(
        pk__in=[told.id for told in found], state=StripeTransaction.State.BOOKED
    )
    known = set(booked.order_by().values_list("pk", flat=True))
    # Stripe's newest come first; a refund's failure is told in the order in which it happened.
    for told in reversed(found):
        if told.id not in known:
            book_transaction(told, report)


def book_transaction(told: BalanceTransaction, report: Report) -> StripeTransaction:
    """A movement of Stripe's money; before one of a debit that a bank took back, what it means for the wallet."""
    if told.type == RETURNED_DEBIT:
        _returned_debit(told, report)
    return clearing.book(told)


def _returned_debit(told: BalanceTransaction, report: Report) -> None:
    """A bank took a debit back after it had succeeded. Where Stripe makes no refund of that, its transaction stands for one.

    Should it make one later, that is known by the transaction (`refunds.apply`).
    """
    known = Q(refund_id__in=[told.id, told.source_id]) | Q(transaction_id=told.id)
    if Refund.objects.filter(known).exists():
        return
    try:
        refund_id = _refund_behind(told)
    except (StripeRefused, StripeFailed) as error:
        report.differs(told.id, f"The refunds of charge {told.charge_id} could not be looked at: {error}")
        return
    if refund_id is not None:
        bring_refund(refund_id, report)
        return
    as_refund = StripeRefund(
        id=told.id,
        status="succeeded",
        amount=-told.amount,
        currency=told.currency,
        charge_id=told.charge_id,
        payment_intent_id=told.payment_intent_id,
        transaction_id=told.id,
    )
    try:
        row = refunds.record(as_refund)
    except Parked as reason:
        report.differs(
            told.id,
            f"A bank took {in_usd(-told.amount)} back ({told.id}), which is not in the books: {reason}",
        )
    else:
        report.repaired(f"A bank took {in_usd(-told.amount)} of top-up {row.top_up_id} back ({told.id}).")


def _refund_behind(told: BalanceTransaction) -> str | None:
    """The refund that Stripe made of a returned debit: what its transaction belongs to, or one of the charge's own."""
    if told.source_id != told.charge_id:
        return told.source_id
    listed = listing.patiently(partial(stripe_api.refunds_of_charge, told.source_id))
    return next((each.id for each in listed if each.transaction_id == told.id), None)


def look_up(found: list[UUID], report: Report) -> None:
    """Credits that Stripe has no balance transaction for: a payment that succeeded is on its way."""
    for top_up in TopUp.objects.filter(pk__in=found).order_by("pk"):
        payment_id, credited = (
            str(top_up.payment_intent_id),
            usd(top_up.received_nanousd + top_up.tax_nanousd),
        )
        try:
            payment = listing.payment(payment_id)
        except (StripeRefused, StripeFailed) as error:
            sentence = f"Top-up {top_up.pk} is credited with {credited}, but its payment could not be looked up: {error}"
            report.differs(payment_id, sentence)
            continue
        if payment is None:
            why = f"Stripe knows no payment {payment_id}."
        elif payment.status == "succeeded":
            continue
        else:
            why = f"payment {payment_id} is {payment.status} at Stripe."
        report.differs(payment_id, f"Top-up {top_up.pk} is credited with {credited}, but {why}")
