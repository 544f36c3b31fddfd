"""What calls of a wallet are looked for: the one filter of the list, its totals, exports and statistics.

Times are bounds of ids, by which calls are kept and indexed; nothing here reads `started_at`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max, Min, Q, QuerySet

from logs import call_ids, sums
from logs.models import Call
from logs.sums import Span, Sums, midnight
from tokens.models import DailyUsage

# What has no row: a name that is no model's. Ids begin at 1.
NO_MODEL = 0
# Rows of the roll-up that are summed up while somebody waits for a page.
QUICKLY = 1_000
_DAY = timedelta(days=1)


type Bound = tuple[str, Any]
"""A condition in SQL on a column, and its parameter; none where that is None."""


def _condition(alias: str, bounds: Iterable[Bound]) -> tuple[str, list[Any]]:
    used = [(f"{alias}.{condition}", value) for condition, value in bounds if value is not None]
    return " AND ".join(condition for condition, _ in used), [value for _, value in used]


def _days(back: int) -> Callable[[datetime], Span]:
    """Today, in UTC, and so many days before it."""
    return lambda now: Span(midnight(now.date() - back * _DAY))


def _this_month(now: datetime) -> Span:
    return Span(midnight(now.date().replace(day=1)))


def _last_month(now: datetime) -> Span:
    end = now.date().replace(day=1)
    return Span(midnight((end - _DAY).replace(day=1)), midnight(end))


# Days and months are UTC's.
PRESETS: dict[str, tuple[str, Callable[[datetime], Span]]] = {
    "hour": ("Last hour", lambda now: Span(now - timedelta(hours=1))),
    "24h": ("Last 24 hours", lambda now: Span(now - _DAY)),
    "today": ("Today (UTC)", _days(0)),
    "yesterday": ("Yesterday (UTC)", lambda now: Span(midnight(now.date() - _DAY), midnight(now.date()))),
    "7d": ("Last 7 UTC days", _days(6)),
    "30d": ("Last 30 UTC days", _days(29)),
    "month": ("This UTC month", _this_month),
    "last-month": ("Last UTC month", _last_month),
}


def of_preset(name: str, now: datetime) -> Span:
    """The time that one of PRESETS means at a moment (of any zone)."""
    return PRESETS[name][1](now.astimezone(UTC))


def of_days(first: date | None, last: date | None) -> Span:
    """From the first UTC day to the end of the last one; None is open."""
    end = None if last is None or last == date.max else midnight(last + _DAY)
    return Span(None if first is None else midnight(first), end)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. None or an empty text is everything; ids are those of rows, whoever owns them."""

    wallet_id: int
    span: Span = field(default_factory=Span)
    model_id: int | None = None
    key_id: int | None = None
    status: str = ""
    stream: bool | None = None
    above_nanousd: int | None = None
    """Only calls that cost more than this."""
    call_id: UUID | None = None

    @property
    def calls(self) -> QuerySet[Call]:
        """All of them, in no order."""
        return Call.objects.filter(self._of_usage, self.span.of_ids, self._of_calls)

    @property
    def usage(self) -> QuerySet[DailyUsage]:
        """The roll-up of these calls: of any time, and of other calls too where not `is_rolled_up`."""
        return DailyUsage.objects.filter(self._of_usage)

    @property
    def is_rolled_up(self) -> bool:
        """Whether the roll-up tells these calls from others."""
        return self.stream is None and self.above_nanousd is None and self.call_id is None

    def sums(self) -> Sums:
        """Exact. Where `is_rolled_up` calls are read at the edges of the time alone, else each that can be one of them."""
        if not self.is_rolled_up:
            return sums.of_calls(self._dear)
        return self._of_status(sums.of(self.usage, Call.objects.filter(self._of_usage), self.span))

    def quick_sums(self) -> Sums | None:
        """The same where they need no call but one, and little of the roll-up, whose rows lie far apart; else None."""
        if self.call_id is not None:
            return self.sums()
        if self.span.parts()[1] or not self.is_rolled_up:
            return None
        first, after = self.span.days
        found = sums.of_few(
            *_condition("u", [*self._ids, ("day >= %s", first), ("day < %s", after)]), QUICKLY
        )
        return found and self._of_status(found)

    @property
    def id_bounds(self) -> tuple[UUID, UUID]:
        """Their ids begin at the first and end before the second."""
        start, end = self.span.start, self.span.end
        first = call_ids.floor(start) if start else UUID(int=0)
        after = call_ids.floor(end) if end else UUID(int=2**128 - 1)
        if self.call_id is None:
            return first, after
        if first <= self.call_id < after:
            return self.call_id, UUID(int=self.call_id.int + 1)
        return first, first

    def where(self, alias: str = "logs_call") -> tuple[str, list[Any]]:
        """The same as `calls` as an SQL condition on the table of that alias (trusted text), and its parameters."""
        start, end = self.span.start, self.span.end
        bounds = [
            *self._ids,
            ("id >= %s", start and call_ids.floor(start)),
            ("id < %s", end and call_ids.floor(end)),
            ("status = %s", self.status or None),
            ("stream = %s", self.stream),
            ("charged_nanousd > %s", self.above_nanousd),
            ("id = %s", self.call_id),
        ]
        return _condition(alias, bounds)

    @property
    def _ids(self) -> list[Bound]:
        """On columns that calls and the roll-up share."""
        return [
            ("wallet_id = %s", self.wallet_id),
            ("model_id = %s", self.model_id),
            ("key_id = %s", self.key_id),
        ]

    def _of_status(self, found: Sums) -> Sums:
        """Of sums of calls of any status."""
        if self.status == Call.Status.FAILED:  # Which cost nothing.
            return Sums(found.failed, found.failed)
        return replace(found, calls=found.calls - found.failed, failed=0) if self.status else found

    @property
    def _dear(self) -> QuerySet[Call]:
        """These calls, with the days between which the roll-up knows one that cost as much."""
        if self.above_nanousd is None or self.call_id is not None:
            return self.calls
        days = self.usage.filter(largest_nanousd__gt=self.above_nanousd).aggregate(
            first=Min("day"), last=Max("day")
        )
        if days["first"] is None:
            return Call.objects.none()
        return self.calls.filter(of_days(days["first"], days["last"]).of_ids)

    @property
    def _of_usage(self) -> Q:
        """The same as a condition of Django's."""
        found = Q(wallet=self.wallet_id)
        if self.model_id is not None:
            found &= Q(model=self.model_id)
        return found if self.key_id is None else found & Q(key=self.key_id)

    @property
    def _of_calls(self) -> Q:
        """On what calls alone have."""
        found = Q(status=self.status) if self.status else Q()
        if self.stream is not None:
            found &= Q(stream=self.stream)
        if self.above_nanousd is not None:
            found &= Q(charged_nanousd__gt=self.above_nanousd)
        return found if self.call_id is None else found & Q(id=self.call_id)
