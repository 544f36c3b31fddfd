"""Asking Stripe for refunds, and reading how they stand. No lock is held here, and no transaction is open.

Every question carries the key of its row, so that Stripe gives back once however often it is asked. It remembers keys for
a day at the least; whoever asks again, looks for our refund among those of the payment first. Where Stripe refuses, or
fails for as long as its memory lasts, it is looked for once more before the credit returns to the wallet.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from wallet import refunds, rounds, stripe_api, topups
from wallet.models import Refund
from wallet.refunds.verdicts import of_refusal
from wallet.stripe_api import KEY_LIFE, StripeFailed, StripeRefund, StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost, rows

logger = logging.getLogger(__name__)

State = Refund.State
# What is on its way is told by events; this is for those that got lost.
PENDING_CHECKED = timedelta(minutes=15)
# While a person waits for a page; the periodic job does the rest.
AT_ONCE = 3
FRESH = timedelta(seconds=5)
FAILED_FOR_A_DAY = "Stripe answered with an error of its own for a day, and gave nothing back."


def settle(refund_id: UUID) -> Refund:
    """Ask for a refund, or how it stands, and write that down. Any number of times, at once.

    Raises StripeUnavailable, after which the row waits, StripeRefused where Stripe does not tell, and Parked.
    """
    row = Refund.objects.select_related("top_up").get(pk=refund_id)
    if row.state not in (State.CREATED, State.PENDING, State.SUCCEEDED):
        return row
    # A time of our own before the question: whoever comes later must know that there was one.
    was_asked = row.asked_at is not None
    Refund.objects.filter(pk=row.pk).update(checked_at=timezone.now())
    if row.refund_id:
        return refunds.record(stripe_api.refund(row.refund_id))
    Refund.objects.filter(pk=row.pk, asked_at=None).update(asked_at=timezone.now())
    told = _ask(row, was_asked=was_asked)
    if told is not None:
        return refunds.record(told)
    row.refresh_from_db()
    return row


def settle_request(request_id: UUID) -> bool:
    """The same for what of a request is under way, a few of it, while a person waits. False where Stripe is away."""
    long_ago = timezone.now() - FRESH
    is_due = Q(state=State.CREATED) | Q(state=State.PENDING, checked_at__lt=long_ago)
    due = Refund.objects.filter(is_due, request_id=request_id).order_by(F("checked_at").asc(nulls_first=True))
    with stripe_api.in_a_hurry():
        for refund_id in list(due.values_list("pk", flat=True)[:AT_ONCE]):
            try:
                settle(refund_id)
            except StripeUnavailable as error:
                logger.warning("Stripe is away, a refund waits: %s", error)
                return False
            except (StripeRefused, Parked) as error:
                logger.error("Refund %s could not be settled: %s", refund_id, error)
    return True


def settle_unfinished(limit: int = 200) -> int:
    """One round of the periodic job; returns how many were asked about."""
    earlier = timezone.now() - PENDING_CHECKED
    is_due = Q(state=State.CREATED) | Q(state=State.PENDING) & Q(checked_at__lt=earlier)
    due = Refund.objects.filter(is_due).order_by(F("checked_at").asc(nulls_first=True))
    return rounds.go_round("refund", due.values_list("pk", flat=True)[:limit], _settle_or_note)


def hear_again() -> int:
    """Take up the parked events of refunds whose payment has become known since; returns how many."""
    return len(
        rows(
            "UPDATE wallet_stripeevent e SET state = 'pending', attempts = 0, next_attempt_at = now(), handled_at = NULL"
            " FROM wallet_topup t WHERE e.state = 'parked' AND strpos(e.error, %s) > 0 AND t.state = 'paid'"
            " AND t.payment_intent_id = e.payload #>> '{data,object,payment_intent}' RETURNING e.id",
            [refunds.UNKNOWN_PAYMENT],
        )
    )


def heard_of_refund(refund_id: str) -> Callable[[], None]:
    """What follows from a refund, as Stripe tells it now, for a transaction of the caller's. Raises Parked."""
    return _what_follows([stripe_api.refund(refund_id)])


def heard_of_charge(charge_id: str) -> Callable[[], None]:
    """The same of every refund of a charge; what the charge says of them is a sum, and counts for nothing."""
    return _what_follows(stripe_api.refunds_of_charge(charge_id))


def _what_follows(told: list[StripeRefund]) -> Callable[[], None]:
    for each in told:
        _make_payment_known(each)

    def follow() -> None:
        for each in told:
            refunds.apply(each)

    return follow


def _make_payment_known(told: StripeRefund) -> None:
    """A refund may be told before its payment is: then the payment is settled first, in a transaction of its own."""
    try:
        refunds.payment_of(told)
    except Parked:
        if not told.payment_intent_id:
            raise
        try:
            follow = topups.heard_of_payment(told.payment_intent_id)
        except Parked as reason:
            raise Parked(
                f"Refund {told.id} {refunds.UNKNOWN_PAYMENT}: {told.payment_intent_id}. {reason}"
            ) from reason
        again_if_lost(follow)


def _ask(row: Refund, *, was_asked: bool) -> StripeRefund | None:
    """Stripe's refund for this row, made or found; None where nothing comes of it, and the credit returned."""
    found = _find(row) if was_asked else None
    if found is not None:
        return found
    try:
        return stripe_api.create_refund(
            payment_intent_id=str(row.top_up.payment_intent_id),
            row_id=str(row.pk),
            amount_cents=row.amount_cents + row.tax_cents,
            idempotency_key=f"refund-{row.pk}",
        )
    except StripeRefused as error:
        refusal: StripeRefused | StripeFailed = error
        problem = of_refusal(error.code)
    except StripeFailed as error:
        refusal, problem = error, FAILED_FOR_A_DAY
    # It may have been done all the same: under a key that Stripe forgot, or before its answer got lost.
    found = _find(row)
    if found is not None:
        return found
    is_young = row.asked_at is None or timezone.now() - row.asked_at < KEY_LIFE
    if isinstance(refusal, StripeFailed) and is_young:
        raise refusal
    logger.error("Refund %s came to nothing: %s (%s)", row.pk, problem, refusal)
    refunds.give_up(row.pk, problem, str(refusal))
    return None


def _find(row: Refund) -> StripeRefund | None:
    listed = stripe_api.refunds_of_payment(str(row.top_up.payment_intent_id))
    return next((each for each in listed if each.row_id == str(row.pk)), None)


def _settle_or_note(refund_id: UUID) -> None:
    try:
        settle(refund_id)
    except (StripeRefused, Parked) as error:
        Refund.objects.filter(pk=refund_id, state__in=Refund.UNFINISHED).update(problem=str(error))
        raise
