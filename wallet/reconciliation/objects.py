"""Each kind of object at Stripe beside our rows. What differs is read again and booked as an event would have it."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from wallet import clearing, topups
from wallet.models import Dispute, Refund, TopUp
from wallet.reconciliation import movements
from wallet.reconciliation.booking import DISPUTE, PAYMENT, SESSION, bring, bring_refund, in_usd
from wallet.reconciliation.report import Report
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import Session, StripeFailed, StripeRefused, StripeUnavailable, listing
from wallet.stripe_api.listing import Charge, Disputed, Page, Pages, Payment, Returned
from wallet.topups.crediting import FINAL
from wallet.topups.verdicts import Parked, judge

logger = logging.getLogger(__name__)

PAID = TopUp.State.PAID
# What Stripe's statuses are called in our rows, where it is not the same word.
REFUND_STATES = {"requires_action": "pending"}


@dataclass(frozen=True, slots=True)
class Kind:
    """`pages` gives what there is since a time, after the last id of a page; `compare` takes a page of it."""

    name: str
    pages: Callable[[datetime, str | None], Pages[Any]]
    compare: Callable[[list[Any], Report], None]


def _sessions(found: list[Session], report: Report) -> None:
    pages = [session for session in found if session.mode == "payment"]
    for session, row in _with_rows(pages):
        if not _agrees(session, row):
            now = _repair(row, SESSION, session.id, report)
            payment_id, is_paid = session.payment_intent_id or session.id, session.payment_status == "paid"
            _judge_payment(now, payment_id, session.amount_total or 0, report, is_paid=is_paid)


def _with_rows(sessions: list[Session]) -> Iterator[tuple[Session, TopUp | None]]:
    ids = {session.id for session in sessions}
    known = {row.session_id: row for row in TopUp.objects.filter(session_id__in=ids)}
    for session in sessions:
        # Stripe made the page, but its answer never came: the row has no session yet.
        yield session, known.get(session.id) or _of_order(session)


def _of_order(session: Session) -> TopUp | None:
    try:
        order = UUID(session.client_reference_id or "")
    except ValueError:
        return None
    return TopUp.objects.filter(pk=order, session_id=None).first()


def _agrees(session: Session, row: TopUp | None) -> bool:
    """Whether nothing follows from what Stripe tells. A page of somebody else's concerns us only where it was paid."""
    if row is None or row.state == TopUp.State.PARKED:
        return session.payment_status != "paid"
    verdict = judge(session, row, livemode=settings.STRIPE_LIVEMODE)
    if row.state == PAID:
        told = (verdict.state, verdict.received_cents, verdict.tax_cents, session.payment_intent_id)
        return told == (PAID, row.received_cents, row.tax_cents, row.payment_intent_id)
    return verdict.state == row.state or (row.is_settled and verdict.state not in FINAL)


def _payments(found: list[Payment], report: Report) -> None:
    ids = [payment.id for payment in found]
    rows = {row.payment_intent_id: row for row in TopUp.objects.filter(payment_intent_id__in=ids)}
    for payment in found:
        row = rows.get(payment.id)
        is_paid = payment.status == "succeeded" and payment.amount_received > 0
        if is_paid != (row is not None and row.state == PAID) or (
            is_paid and _credited(row) != payment.amount_received
        ):
            now = _repair(row, PAYMENT, payment.id, report)
            _judge_payment(now, payment.id, payment.amount_received, report, is_paid=is_paid)


def _charges(found: list[Charge], report: Report) -> None:
    taken = [charge for charge in found if charge.paid]
    ids = [charge.payment_intent_id for charge in taken if charge.payment_intent_id]
    rows = {row.payment_intent_id: row for row in TopUp.objects.filter(payment_intent_id__in=ids)}
    returned = _returned_by_us(rows.values())
    for charge in taken:
        row = rows.get(charge.payment_intent_id)
        if charge.payment_intent_id is None:
            report.differs(
                charge.id,
                f"Charge {charge.id} of {in_usd(charge.amount)} belongs to no payment, so to no wallet.",
            )
        elif clearing.is_given_back(charge.made_at, charge.amount, charge.refunded) and not _credited(row):
            report.explained(charge.payment_intent_id)
        elif row is None or row.state != PAID or _credited(row) != charge.amount:
            now = _repair(row, PAYMENT, charge.payment_intent_id, report)
            _judge_payment(now, charge.payment_intent_id, charge.amount, report, is_paid=True)
        elif returned.get(row.pk, 0) != charge.refunded:
            _refunds_of(charge, row, report)


def _refunds_of(charge: Charge, row: TopUp, report: Report) -> None:
    """What was given back of a charge is not what our rows sum to: have each of its refunds told, then compare again."""
    try:
        for refund_id in listing.refunds_of(charge.id):
            bring_refund(refund_id, report)
        now = listing.charge(charge.id)
    except (StripeRefused, StripeFailed) as error:
        report.differs(charge.id, f"The refunds of charge {charge.id} could not be compared: {error}")
        return
    ours = _returned_by_us([row]).get(row.pk, 0)
    if now.refunded != ours:
        report.differs(
            charge.id,
            f"Of charge {charge.id} Stripe gave {in_usd(now.refunded)} back;"
            f" the refunds of top-up {row.pk} sum to {in_usd(ours)}.",
        )


def _returned_by_us(rows: Any) -> dict[UUID, int]:
    at_stripe = Refund.objects.filter(
        top_up__in=[row.pk for row in rows],
        refund_id__isnull=False,
        state__in=[Refund.State.PENDING, Refund.State.SUCCEEDED],
    ).exclude(refund_id=F("transaction_id"))  # A returned debit is no part of what the charge calls refunded.
    sums = at_stripe.order_by().values("top_up").annotate(cents=Sum(F("amount_cents") + F("tax_cents")))
    return {each["top_up"]: each["cents"] for each in sums}


def _refunds(found: list[Returned], report: Report) -> None:
    rows = {row.refund_id: row for row in Refund.objects.filter(refund_id__in=[each.id for each in found])}
    for told in found:
        row = rows.get(told.id)
        is_same = row is not None and row.state == REFUND_STATES.get(str(told.status), told.status)
        if row is None or not is_same or row.amount_cents + row.tax_cents != told.amount:
            bring_refund(told.id, report)


def _disputes(found: list[Disputed], report: Report) -> None:
    rows = Dispute.objects.in_bulk([told.id for told in found])
    for told in found:
        row = rows.get(told.id)
        is_same = _standing(row) == (told.status, told.withdrawn, told.reinstated, True)
        if row is None or not is_same or row.problem:
            _dispute(told.id, report)


def _dispute(dispute_id: str, report: Report) -> None:
    before = _standing(Dispute.objects.filter(pk=dispute_id).first())
    problem = bring(DISPUTE, dispute_id)
    row = Dispute.objects.filter(pk=dispute_id).first()
    now = _standing(row)
    if row is not None and now != before:
        report.repaired(
            f"Dispute {dispute_id} is {row.status} now, with {in_usd(row.withdrawn_cents)} withdrawn and"
            f" {in_usd(row.reinstated_cents)} reinstated; here it was {before[0] if before else 'unknown'}."
        )
    if problem or row is None or row.top_up_id is None:
        why = (row.problem if row else "") or problem or "its payment is not known."
        report.differs(dispute_id, f"Dispute {dispute_id} is not in the books: {why}")
    elif row.problem:
        report.differs(dispute_id, f"Dispute {dispute_id} does not add up: {row.problem}")


def _standing(row: Dispute | None) -> tuple[str, int, int, bool] | None:
    if row is None:
        return None
    return row.status, row.withdrawn_cents, row.reinstated_cents, row.top_up_id is not None


def _repair(row: TopUp | None, event: str, object_id: str, report: Report) -> TopUp | None:
    """Have it booked, and say what that changed; the row as it is then."""
    before = TopUp.objects.get(pk=row.pk).state if row else None
    problem = bring(event, object_id)
    now = _row_of(row, object_id)
    if now is not None and now.state != before:
        was = before or "not known by this payment"
        credited = f", with {in_usd(now.received_cents or 0)} credited" if now.state == PAID else ""
        report.repaired(f"Top-up {now.pk} was {was}, and is {now.state} now{credited} ({object_id}).")
    elif problem:
        logger.warning("%s is not booked: %s", object_id, problem)
    return now


def _row_of(row: TopUp | None, object_id: str) -> TopUp | None:
    which = Q(pk=row.pk) if row else Q(session_id=object_id) | Q(payment_intent_id=object_id)
    return TopUp.objects.filter(which).first()


def _judge_payment(row: TopUp | None, payment_id: str, cents: int, report: Report, *, is_paid: bool) -> None:
    """After all was tried: money that Stripe has and no wallet, or the other way round, is a difference.

    `payment_id` may be a session's where nothing was paid through a payment.
    """
    if is_paid and (row is None or row.state != PAID):
        why = f"top-up {row.pk} is {row.state}. {row.problem}".rstrip() if row else "no top-up has it."
        report.differs(payment_id, clearing.in_no_wallet(payment_id, cents, why))
    elif is_paid and _credited(row) != cents:
        report.differs(
            payment_id,
            f"Payment {payment_id} is {in_usd(cents)} at Stripe; top-up {row and row.pk} has {in_usd(_credited(row))}.",
        )
    elif not is_paid and row is not None and row.state == PAID and _credited(row):
        report.differs(
            payment_id,
            f"Top-up {row.pk} is credited with {in_usd(_credited(row))}, but payment {payment_id} is not paid at Stripe.",
        )


def _unfinished_top_ups(since: datetime, after: str | None) -> Pages[UUID]:
    """Top-ups of any age whose end is not known; those within the window were compared with their pages."""
    waiting = TopUp.objects.filter(Q(created_at__lt=since) | Q(session_id=None), state__in=TopUp.UNFINISHED)
    return _rows(waiting, after)


def _settle(found: list[UUID], report: Report) -> None:
    for top_up_id in found:
        row = TopUp.objects.get(pk=top_up_id)
        before, settle = row.state, partial(topups.settle, top_up_id)
        try:
            # Without a session it asks for one, under a key for which Stripe may keep an error: the job does that again.
            now = (listing.patiently(settle) if row.session_id else settle()).top_up
        except StripeUnavailable:
            continue
        except StripeRefused as error:
            report.differs(
                str(top_up_id), f"Top-up {top_up_id} is {before}, and Stripe does not tell about it: {error}"
            )
            continue
        if now.state != before:
            report.repaired(f"Top-up {top_up_id} was {before}, and is {now.state} now.")


def _unfinished_refunds(since: datetime, after: str | None) -> Pages[UUID]:
    """Of any age, but for those that wait for staff; those within the window that Stripe knows were compared."""
    waiting = Refund.objects.filter(
        Q(created_at__lt=since) | Q(refund_id=None), state__in=[Refund.State.CREATED, Refund.State.PENDING]
    )
    return _rows(waiting, after)


def _ask(found: list[UUID], report: Report) -> None:
    for refund_id in found:
        before = Refund.objects.get(pk=refund_id).state
        try:
            now = refund_asking.settle(refund_id).state
        except StripeUnavailable:
            continue  # The job of every minute asks again.
        except (StripeRefused, Parked) as reason:
            report.differs(
                str(refund_id), f"Refund {refund_id} is {before}, and could not be settled: {reason}"
            )
            continue
        if now != before:
            report.repaired(f"Refund {refund_id} was {before}, and is {now} now.")


def _open_disputes(since: datetime, after: str | None) -> Pages[str]:
    undecided = ~Q(status__in=Dispute.CLOSED) | Q(top_up=None)
    return _rows(Dispute.objects.filter(undecided, opened_at__lt=since), after)


def _rows(rows: QuerySet[Any], after: str | None, name: str = "pk") -> Pages[Any]:
    """Our own rows in pages, in the order of what names them, so that a reader can go on."""
    while True:
        wanted = rows.filter(**{f"{name}__gt": after}) if after else rows
        found = list(wanted.order_by(name).values_list(name, flat=True)[: listing.PAGE])
        if not found:
            return
        after = str(found[-1])
        yield Page(found, after, timezone.now())


def _each(compare: Callable[[str, Report], None]) -> Callable[[list[Any], Report], None]:
    def all_of_them(found: list[Any], report: Report) -> None:
        for each in found:
            compare(each, report)

    return all_of_them


def _credited(row: TopUp | None) -> int:
    return (row.received_cents or 0) + (row.tax_cents or 0) if row and row.state == PAID else 0


# Payments before what came of them, then the money's own list, when everything that explains it is known; at the end the
# credits that it does not tell of. Charges stand before disputes: one that was given back explains what was said of its
# payment and refunds, but not what a bank took on top.
KINDS = (
    Kind("sessions", listing.sessions, _sessions),
    Kind("payments", listing.payments, _payments),
    Kind("unfinished top-ups", _unfinished_top_ups, _settle),
    Kind("refunds", listing.refunds, _refunds),
    Kind("unfinished refunds", _unfinished_refunds, _ask),
    Kind("charges", listing.charges, _charges),
    Kind("disputes", listing.disputes, _disputes),
    Kind("open disputes", _open_disputes, _each(_dispute)),
    Kind("balance transactions", listing.balance_transactions, movements.compare),
    Kind("credits on their way", lambda _, after: _rows(clearing.in_transit(), after), movements.look_up),
)
