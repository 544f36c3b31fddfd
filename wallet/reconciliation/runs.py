"""One run against Stripe at a time, which goes on where one before it was stopped. Owns wallet_reconciliation.

A page is compared, then its end is kept; what was compared twice because of a crash in between is booked once all the
same. A run looks back far enough to overlap the one before it, however long that is ago, so nothing made meanwhile is
skipped.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from wallet import alone, clearing
from wallet.models import Reconciliation
from wallet.reconciliation import ending, subscription
from wallet.reconciliation.objects import KINDS, Kind
from wallet.reconciliation.report import Report
from wallet.stripe_api import StripeFailed, StripeRefused

logger = logging.getLogger(__name__)

# A debit settles within days; a dispute comes up to 120 days after its payment.
RECENT = timedelta(days=3)
LONG = timedelta(days=120)
OVERLAP = timedelta(hours=1)
# The long run is made when the last one ended so long ago.
DAILY = timedelta(days=1)
# A run that stopped longer ago begins anew.
STALE = timedelta(days=1)
# Without a good run for this long something is wrong.
LATE = timedelta(hours=1)
# Where a cursor can stand.
ORDER = [*(kind.name for kind in KINDS), "end"]

type Progress = Callable[[str, int, float], None]
"""Told the kind, how many of it were compared in this run, and how much of its window is done, from 0 to 1."""


class AlreadyRunning(Exception):
    """Another process reconciles at this moment."""


def run(
    back: timedelta = RECENT, *, since: datetime | None = None, progress: Progress = lambda *_: None
) -> Reconciliation:
    """Compare everything made in the last `back`, or since a time, and all that is unfinished; finish a stopped run.

    Raises AlreadyRunning. StripeUnavailable leaves a run that the next one continues.
    """
    with _alone():
        started = _started(since or _overlapping(back))
        report = Report(started)
        for kind in KINDS[_position(started) :]:
            _compare(kind, report, progress)
        _finish(report)
    return started


def last() -> Reconciliation | None:
    """The newest run that was finished."""
    return Reconciliation.objects.filter(finished_at__isnull=False).first()


def last_began_at() -> datetime:
    """When the newest finished run began; long ago where there is none."""
    newest = last()
    return newest.started_at if newest else datetime.min.replace(tzinfo=UTC)


def last_good() -> Reconciliation | None:
    """The newest run that left no difference."""
    return Reconciliation.objects.filter(finished_at__isnull=False, differences=[]).first()


def is_long_due() -> bool:
    """Whether no run that looked as far back as a long one was finished within a day. Told by the tables alone."""
    begun, now = clearing.begin(), timezone.now()
    finished = Reconciliation.objects.filter(finished_at__gt=now - DAILY).only("started_at", "since")
    return begun is not None and not any(run.since <= max(run.started_at - LONG, begun) for run in finished)


def problems(now: datetime | None = None) -> list[str]:
    """What staff should know about us and Stripe, a sentence each, from our own tables alone."""
    now = now or timezone.now()
    newest, good = last(), last_good()
    begun = clearing.begin()
    found = list(newest.warnings) if newest else []
    if good and good.finished_at and now - good.finished_at > LATE:
        minutes = int((now - good.finished_at).total_seconds() // 60)
        found.append(f"the last reconciliation with Stripe without a difference is {minutes:,} minutes old")
    elif good is None and begun and now - begun > LATE + clearing.BEFORE:
        found.append("there was no reconciliation with Stripe without a difference yet")
    return found


@contextmanager
def _alone() -> Iterator[None]:
    with alone.at("stripe-reconciliation") as is_ours:
        if not is_ours:
            raise AlreadyRunning("Another process reconciles with Stripe at this moment.")
        yield


def _overlapping(back: timedelta) -> datetime:
    """This far back, or to the start of the last finished run where that is longer ago; at most to our beginning."""
    now = timezone.now()
    begun, before = clearing.begin(), last()
    since = now - back
    if before is None:
        since = begun or now
    elif before.started_at - OVERLAP < since:
        since = before.started_at - OVERLAP
    return max(since, begun) if begun else now


def _started(since: datetime) -> Reconciliation:
    """A run that was stopped is continued by one that looks as far back.

    Not by one that need not look so far: whatever stops the long one, what is recent is compared.
    """
    stopped = Reconciliation.objects.filter(
        finished_at=None, started_at__gt=timezone.now() - STALE, since__lte=since, since__gt=since - STALE
    ).first()
    if stopped is not None:
        return stopped
    created = Reconciliation.objects.create(since=since)
    created.refresh_from_db()
    return created


def _position(run: Reconciliation) -> int:
    """The kind at which it goes on; behind the last where all were compared."""
    return ORDER.index(run.cursor.get("kind", ORDER[0]))


def _compare(kind: Kind, report: Report, progress: Progress) -> None:
    run = report.run
    after = run.cursor.get("after") if run.cursor.get("kind") == kind.name else None
    try:
        _compare_pages(kind, after, report, progress)
    except StripeRefused:
        if after is None:
            raise
        # The object that the cursor names is gone from the list; what was compared already is so again.
        logger.warning("Reconciliation begins %s anew.", kind.name)
        _compare_pages(kind, None, report, progress)
    progress(kind.name, run.compared.get(kind.name, 0), 1.0)
    _keep(run, kind, None, is_over=True)


def _compare_pages(kind: Kind, after: str | None, report: Report, progress: Progress) -> None:
    run = report.run
    for page in kind.pages(run.since, after):
        kind.compare(page.items, report)
        report.count(kind.name, len(page.items))
        _keep(run, kind, page.last_id)
        window = (run.started_at - run.since).total_seconds()
        done = (run.started_at - page.reached).total_seconds() / window if window > 0 else 1.0
        progress(kind.name, run.compared[kind.name], min(1.0, max(0.0, done)))


def _keep(run: Reconciliation, kind: Kind, after: str | None, *, is_over: bool = False) -> None:
    """The counts together with the end of the page that they include."""
    run.cursor = {"kind": ORDER[ORDER.index(kind.name) + is_over], "after": after}
    run.save(update_fields=["cursor", "compared"])


def _finish(report: Report) -> None:
    run = report.run
    ending.try_again(report)
    ending.compare_sums(report, accepted_cents=ending.name_unexplained(report))
    try:
        run.warnings = subscription.warnings()
    except (StripeRefused, StripeFailed) as error:
        run.warnings = [f"Stripe does not tell about its webhook endpoints: {error}"]
    run.finished_at = timezone.now()
    run.save()
    if run.differences:
        logger.error("Reconciliation %s leaves %s differences.", run.pk, len(run.differences))
