"""Disputes, and the balance transactions in which their money moved."""

import datetime
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from wallet.stripe_api.client import asking


@dataclass(frozen=True, slots=True)
class DisputeMovement:
    """A balance transaction of a dispute. Minor units of `currency`; below zero where the bank took the amount."""

    id: str
    type: str
    currency: str
    amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class StripeDispute:
    """A dispute as it is now. `amount` is in minor units of `currency`; `read_at` is just before Stripe was asked."""

    id: str
    charge_id: str
    payment_intent_id: str
    amount: int
    currency: str
    status: str
    reason: str
    livemode: bool
    opened_at: datetime.datetime
    evidence_due_at: datetime.datetime | None
    has_evidence: bool
    movements: tuple[DisputeMovement, ...]
    read_at: datetime.datetime


def dispute(dispute_id: str) -> StripeDispute:
    """Read a dispute again. Its balance transactions come with it."""
    read_at = timezone.now()
    with asking() as client:
        return dispute_from(client.v1.disputes.retrieve(dispute_id), read_at)


def disputes_of_payment(payment_intent_id: str) -> list[str]:
    """Ids of every dispute of a payment."""
    with asking() as client:
        found = client.v1.disputes.list({"payment_intent": payment_intent_id, "limit": 100})
        return [each.id for each in found.auto_paging_iter()]


def dispute_from(found: Any, read_at: datetime.datetime) -> StripeDispute:
    """The plain values of the library's object."""
    evidence = found.evidence_details
    return StripeDispute(
        id=found.id,
        charge_id=_id(found.charge),
        payment_intent_id=_id(found.payment_intent),
        amount=found.amount,
        currency=found.currency,
        status=found.status,
        reason=found.reason or "",
        livemode=found.livemode,
        opened_at=_time(found.created),
        evidence_due_at=_time(evidence.due_by) if evidence.due_by else None,
        has_evidence=evidence.has_evidence,
        movements=tuple(_movement(each) for each in found.balance_transactions),
        read_at=read_at,
    )


def _movement(found: Any) -> DisputeMovement:
    return DisputeMovement(found.id, found.type, found.currency, found.amount, found.fee)


def _id(found: Any) -> str:
    return found if isinstance(found, str) else found.id if found else ""


def _time(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
