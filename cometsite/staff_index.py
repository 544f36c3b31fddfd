"""The first page of the admin panel: today's numbers, and what waits for somebody.

Everything here is bounded by a day, or by rows that staff are expected to clear, and is read at most every half minute
by each process, however often the page is opened.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from logs import call_ids
from logs.invariants import ARCHIVED_MONTHS
from logs.models import ArchivedMonth, Call, RejectedCall
from pricing.money import NANO_PER_CENT, usd
from wallet import disputes, invariants
from wallet.models import CheckRun, Dispute, Hold, Proposal, Refund, StripeEvent, TopUp
from wallet.reconciliation import runs

REFRESH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Number:
    """A number with what it means, and the list that shows its rows."""

    title: str
    value: str
    note: str
    address: str
    is_alarming: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    read_at: datetime
    today: tuple[Number, ...]
    waiting: tuple[Number, ...]


_clock = time.monotonic
_reading = threading.Lock()
_kept: tuple[float, Numbers] | None = None


def index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the numbers to the page's context (Unfold's DASHBOARD_CALLBACK)."""
    return {**context, "numbers": numbers(), "title": "Today", "refresh_seconds": int(REFRESH_SECONDS)}


def numbers() -> Numbers:
    """Today's numbers, at most 30 seconds old."""
    global _kept
    with _reading:
        if _kept is None or _clock() - _kept[0] > REFRESH_SECONDS:
            now = timezone.now()
            _kept = (_clock(), Numbers(now, _today(now), _waiting(now)))
        return _kept[1]


def forget() -> None:
    """Read the numbers anew for whoever asks next."""
    global _kept
    with _reading:
        _kept = None


def _today(now: datetime) -> tuple[Number, ...]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    paid = TopUp.objects.filter(state=TopUp.State.PAID, paid_at__gte=midnight)
    # What a promotion code covered as a whole is paid too, and moved no money.
    top_ups = paid.aggregate(count=Count("pk", filter=Q(received_cents__gt=0)), cents=Sum("received_cents"))
    calls = Call.objects.filter(pk__gte=call_ids.floor(midnight))
    usage = calls.aggregate(count=Count("pk"), nanousd=Sum("charged_nanousd"))
    sign_ups = User.objects.filter(date_joined__gte=midnight).count()
    return (
        Number("Sign-ups", f"{sign_ups:,}", "people", _list("accounts_user")),
        Number(
            "Top-ups",
            usd((top_ups["cents"] or 0) * NANO_PER_CENT),
            _in(top_ups["count"], "payment"),
            _list("wallet_topup", state__exact="paid"),
        ),
        Number(
            "Usage",
            usd(int(usage["nanousd"] or 0)),
            _in(usage["count"], "call"),
            _list("logs_call", since="today"),
        ),
    )


def _waiting(now: datetime) -> tuple[Number, ...]:
    day_ago = now - timedelta(days=1)
    parked_events = StripeEvent.objects.filter(state=StripeEvent.State.PARKED).count()
    pending_events = StripeEvent.objects.filter(state=StripeEvent.State.PENDING).count()
    parked_top_ups = TopUp.objects.filter(state=TopUp.State.PARKED).count()
    # A hold's id carries the time when it was placed, so that the primary key bounds the search.
    oldest = call_ids.floor(day_ago - timedelta(seconds=settings.HOLD_SECONDS))
    expired = Hold.objects.filter(pk__gte=oldest, state=Hold.State.EXPIRED, expires_at__gte=day_ago).count()
    newest = RejectedCall.objects.order_by("-pk").values_list("received_at", flat=True)[:1000]
    rejected = sum(received_at >= day_ago for received_at in newest)
    proposals = Proposal.objects.filter(state=Proposal.State.WAITING).count()
    return (
        _books(now),
        *_archive(now),
        _stripe(now),
        Number(
            "Proposals",
            f"{proposals:,}",
            "for a second person",
            _list("wallet_proposal", state__exact="waiting"),
        ),
        _disputes(),
        _alarm(
            "Unclear disputes",
            disputes.unclear().count(),
            "do not add up",
            _list("wallet_dispute", stage="unclear"),
        ),
        _refunds(),
        _alarm(
            "Parked top-ups", parked_top_ups, "do not add up", _list("wallet_topup", state__exact="parked")
        ),
        _alarm(
            "Parked events",
            parked_events,
            "not understood",
            _list("wallet_stripeevent", state__exact="parked"),
        ),
        Number(
            "Pending events",
            f"{pending_events:,}",
            "to be handled",
            _list("wallet_stripeevent", state__exact="pending"),
        ),
        _alarm("Expired holds", expired, "in 24 hours", _list("wallet_hold", state__exact="expired")),
        _alarm("Rejected calls", rejected, "in 24 hours", _list("logs_rejectedcall")),
    )


def _books(now: datetime) -> Number:
    return _checked(now, "Books", invariants.last(), timedelta(hours=1))


def _archive(now: datetime) -> Iterator[Number]:
    """Where there is one. It is read each night."""
    months = ArchivedMonth.objects.order_by("month")
    first = months.values_list("archived_at", flat=True).first()
    if first is not None:
        run = invariants.last(ARCHIVED_MONTHS)
        yield _checked(now, "Archive", run, timedelta(hours=26), is_due=now - first > timedelta(hours=26))


def _checked(
    now: datetime, title: str, run: CheckRun | None, late: timedelta, *, is_due: bool = False
) -> Number:
    """What the last check found. One that has not come for so long is as bad as one that found something."""
    address = _list("wallet_checkrun")
    if run is None or run.finished_at is None:
        return Number(title, "–", "not checked yet", address, is_alarming=is_due)
    if run.failures:
        found = reverse("admin:wallet_checkrun_change", args=[run.pk])
        return Number(title, f"{len(run.failures)} wrong", "checks failed", found, is_alarming=True)
    age = now - run.finished_at
    return Number(title, "Right", f"checked {_ago(now, run.finished_at)}", address, is_alarming=age > late)


def _stripe(now: datetime) -> Number:
    """What the last reconciliation left. Its warnings alarm too: without events everything comes later."""
    newest, good = runs.last(), runs.last_good()
    if newest is None or newest.finished_at is None:
        return Number(
            "Stripe", "–", "not compared yet", _list("wallet_reconciliation"), bool(runs.problems(now))
        )
    found = reverse("admin:wallet_reconciliation_change", args=[newest.pk])
    if newest.differences:
        since = f"equal {_ago(now, good.finished_at)}" if good and good.finished_at else "never equal yet"
        return Number("Stripe", f"{len(newest.differences):,} differ", since, found, is_alarming=True)
    if newest.warnings:
        return Number("Stripe", "Warning", newest.warnings[0], found, is_alarming=True)
    note = f"compared {_ago(now, newest.finished_at)}"
    return Number("Stripe", "Equal", note, found, is_alarming=now - newest.finished_at > runs.LATE)


def _ago(now: datetime, then: datetime) -> str:
    return f"{int((now - then).total_seconds() // 60):,} min ago"


def _disputes() -> Number:
    """What banks wait for, and until when; a deadline that passes is money lost."""
    due = Dispute.objects.filter(status__in=Dispute.TO_ANSWER).order_by("evidence_due_at")
    deadlines = list(due.values_list("evidence_due_at", flat=True))
    first = next((each for each in deadlines if each is not None), None)
    note = f"next by {first:%-d %b %H:%M} UTC" if first else "no deadline"
    address = _list("wallet_dispute", stage="answer")
    return _alarm("Disputes to answer", len(deadlines), note if deadlines else "nothing is due", address)


def _refunds() -> Number:
    """Refunds that wait for staff, by request."""
    waiting = Refund.objects.filter(state=Refund.State.WAITING).values("request_id").distinct().count()
    note = "request to approve" if waiting == 1 else "requests to approve"
    return Number("Refunds", f"{waiting:,}", note, _list("wallet_refund", state__exact="waiting"))


def _in(count: int, what: str) -> str:
    return f"in {count:,} {what}{'' if count == 1 else 's'}"


def _alarm(title: str, count: int, note: str, address: str) -> Number:
    return Number(title, f"{count:,}", note, address, is_alarming=count > 0)


def _list(model: str, **filters: str) -> str:
    address = reverse(f"admin:{model}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address
