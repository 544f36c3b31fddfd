"""How many calls there were and what they cost, exact to the second and without reading each of them.

Whole days are read from the roll-up of usage (tokens/spending.py); calls are read only at the edges of the time asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.expressions import RawSQL

from logs import archive, call_ids
from logs.models import Call
from pricing.units import CACHED_UNITS, INPUT_UNITS, OUTPUT_UNITS, TOKEN_UNITS
from tokens.models import DailyUsage
from wallet.transactions import report_rows

RESOLUTION = timedelta(microseconds=1)


def _tokens_of_call(units: frozenset[str]) -> str:
    return "+".join(f"coalesce((usage->>'{unit}')::bigint, 0)" for unit in sorted(units))


def _tokens(units: frozenset[str]) -> str:
    """Those of calls that succeeded."""
    total = _tokens_of_call(units)
    return f"coalesce(sum({total}) FILTER (WHERE status = 'succeeded'), 0)"


SUMMED = {
    "calls": "count(*)",
    "failed": "count(*) FILTER (WHERE status = 'failed')",
    "input_tokens": _tokens(INPUT_UNITS),
    "cached_input_tokens": _tokens(CACHED_UNITS),
    "output_tokens": _tokens(OUTPUT_UNITS),
    "charged_nanousd": "sum(charged_nanousd)",
}
"""Columns of a roll-up, and what they are of calls, in SQL."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Of some calls. Tokens are those of calls that succeeded."""

    calls: int = 0
    failed: int = 0
    charged_nanousd: int = 0
    tokens: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.calls + other.calls,
            self.failed + other.failed,
            self.charged_nanousd + other.charged_nanousd,
            self.tokens + other.tokens,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """A time: from `start` on and before `end`; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def of_ids(self) -> Q:
        """As bounds of ids of calls."""
        after = Q(id__gte=call_ids.floor(self.start)) if self.start else Q()
        return after & Q(id__lt=call_ids.floor(self.end)) if self.end else after

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The first whole UTC day in it, and the day after the last one."""
        first = self.start and self.start.date()
        if first and self.start != midnight(first):
            first = min(first, date.max - timedelta(days=1)) + timedelta(days=1)
        return first, self.end and self.end.date()

    def since(self, at: datetime) -> "Span":
        """What of it lies at that moment or after it."""
        return Span(max(self.start, at) if self.start else at, self.end)

    def parts(self) -> "tuple[Q | None, list[Span]]":
        """The whole days, as a condition on the roll-up, and what of the time lies before and after them."""
        first, last = self.days
        if first and last and first > last:
            return None, [self]
        whole = (Q(day__gte=first) if first else Q()) & (Q(day__lt=last) if last else Q())
        edges = [Span(self.start, midnight(first))] if first else []
        edges += [Span(midnight(last), self.end)] if last else []
        return whole, [edge for edge in edges if edge.start != edge.end]


def midnight(day: date) -> datetime:
    """The beginning of a UTC day."""
    return datetime.combine(day, time.min, UTC)


def of(usage: QuerySet[DailyUsage], calls: QuerySet[Call], span: Span) -> Sums:
    """The sums of a time. `usage` and `calls` are the same calls, of whatever time. Raises archive.Unreadable."""
    whole, edges = span.parts()
    found = Sums() if whole is None else _sums(usage.filter(whole).aggregate(**_of_usage()))
    return sum((part for edge in edges for _, part in _of_edge(usage, calls, edge)), found)


# What Django makes of the same takes longer to write than to run, and every page of the log asks it.
FEW = """
    SELECT count(*), coalesce(sum(calls), 0), coalesce(sum(failed), 0), coalesce(sum(charged_nanousd), 0),
        coalesce(sum(input_tokens + output_tokens), 0)
    FROM (SELECT * FROM tokens_dailyusage u WHERE {} LIMIT {}) few
"""


def of_few(condition: str, parameters: Sequence[Any], most: int) -> Sums | None:
    """Of the roll-up's rows with a condition in SQL on it, as `u` (trusted text); None where there are more than `most`."""
    ((rows, *found),) = report_rows(FEW.format(condition, most + 1), parameters)
    return Sums(*map(int, found)) if rows <= most else None


def of_calls(calls: QuerySet[Call]) -> Sums:
    """Reads each of these calls."""
    return _sums(calls.aggregate(**_of_calls()))


def by_day_and_model(
    usage: QuerySet[DailyUsage], calls: QuerySet[Call], span: Span
) -> Iterator[tuple[date, int, Sums]]:
    """The same of each day and model, by the model's id, in no order; one of them may come again."""
    whole, edges = span.parts()
    if whole is not None:
        for used in usage.filter(whole).order_by().values("day", "model_id").annotate(**_of_usage()):
            yield used["day"], used["model_id"], _sums(used)
    for edge in edges:
        assert edge.start is not None  # An open side of a time has no edge.
        for model_id, part in _of_edge(usage, calls, edge):
            yield edge.start.date(), model_id, part


def _of_edge(usage: QuerySet[DailyUsage], calls: QuerySet[Call], edge: Span) -> Iterable[tuple[int, Sums]]:
    """Of a part of a day, by the model's id."""
    assert edge.start is not None
    # First the table: a month counts by its file before it leaves.
    found = list(calls.filter(edge.of_ids).order_by().values("model_id").annotate(**_of_calls()))
    if archive.begins_before(edge.start):
        return _of_archived(usage, edge)
    return [(row["model_id"], _sums(row)) for row in found]


def _of_archived(usage: QuerySet[DailyUsage], edge: Span) -> Iterator[tuple[int, Sums]]:
    """The roll-up says whose calls of that day they are."""
    assert edge.start is not None
    assert edge.end is not None
    keys = set(usage.filter(day=edge.start.date()).values_list("wallet_id", "key_id", "model_id"))
    wallets = {wallet_id for wallet_id, _, _ in keys}
    for row in archive.counted(wallets, call_ids.floor(edge.start), call_ids.floor(edge.end)):
        if (row["wallet_id"], row["key_id"], row["model_id"]) in keys:
            failed = row["status"] == Call.Status.FAILED
            tokens = 0 if failed else sum(row["usage"].get(unit, 0) for unit in TOKEN_UNITS)
            yield row["model_id"], Sums(1, int(failed), row["charged_nanousd"], tokens)


def _sums(row: Mapping[str, Any]) -> Sums:
    return Sums(*(int(row[name]) for name in ("counted", "failures", "charged", "tokens")))


# What an aggregate is called must not be a column's name.
def _of_calls() -> dict[str, Any]:
    failed = Q(status=Call.Status.FAILED)
    return {
        "counted": Count("id"),
        "failures": Count("id", filter=failed),
        "tokens": Sum(RawSQL(_tokens_of_call(TOKEN_UNITS), []), filter=~failed, default=0),  # noqa: S611 (names of ours)
        "charged": Sum("charged_nanousd", default=0),
    }


def _of_usage() -> dict[str, Any]:
    return {
        "counted": Sum("calls", default=0),
        "failures": Sum("failed", default=0),
        "tokens": Sum(F("input_tokens") + F("output_tokens"), default=0),
        "charged": Sum("charged_nanousd", default=0),
    }
