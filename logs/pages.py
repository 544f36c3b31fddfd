"""A page of the calls that are looked for, newest first.

Pages go by id, which is a call's time: `before` and `after` name the call at the edge of another page, so that a page
costs the same however far back it lies, and calls that arrive meanwhile move nothing.

What no index leads to is looked for on those days alone of which the roll-up of usage says that they can have it, and
on so many of them that about SCANNED calls are read at the most. Where that fills no page, the next one goes on from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F, Sum, Value
from django.db.models.expressions import Combinable

from logs import call_ids
from logs.models import Call
from logs.wanted import Wanted
from pricing.units import INPUT_UNITS, UNITS, Family
from wallet.transactions import report_rows

PAGE_SIZE = 50
SCANNED = 20_000
# Days that one page is looked for on; each has a call of it where nothing but the roll-up's own columns is asked.
MOST_DAYS = 60
LAST = call_ids.floor(datetime(9999, 1, 1, tzinfo=UTC))
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A call in the list."""

    call: Call
    quantity: str


@dataclass(frozen=True, slots=True)
class Page:
    """Up to PAGE_SIZE calls, newest first, and the queries of the pages beside it; None where there is none."""

    rows: Sequence[Row]
    newer: str | None
    older: str | None
    searched_to: datetime | None = None
    """Where the search for more ended, with older calls still to look through."""


class Found(NamedTuple):
    """Up to PAGE_SIZE calls from a cursor on, and where to go on for more; None where there is no more."""

    calls: list[Call]
    edge: UUID | None


class Days(NamedTuple):
    """Bounds of ids of the days to look at, and where to go on for the others; None where these are all."""

    bounds: list[tuple[UUID, UUID]]
    edge: UUID | None


def page(wanted: Wanted, chosen: Mapping[str, str], *, before: str, after: str) -> Page:
    """The page at a cursor; one that is none is ignored. `chosen` is the filter as it stands in an address."""
    older_than, newer_than = _cursor(before), _cursor(after)
    if newer_than and not older_than:
        calls, edge = _find(wanted, newer_than, is_newer=True)
        if edge:
            older = calls[0].pk if calls else UUID(int=newer_than.int + 1)
            return Page(_rows(calls[::-1]), _query(chosen, after=edge), _query(chosen, before=older))
        # So near the top, the newest page shows all of it, and is full.
    calls, edge = _find(wanted, older_than, is_newer=False)
    newer = None
    if older_than:
        # Past the oldest call there is nothing to name; the way back is the newest page.
        newer = _query(chosen, after=calls[0].pk) if calls else _query(chosen)
    older_query = _query(chosen, before=edge) if edge else None
    is_short = edge is not None and len(calls) < PAGE_SIZE
    return Page(_rows(calls), newer, older_query, call_ids.moment(edge) if edge and is_short else None)


def newest(wanted: Wanted) -> list[Row]:
    """Up to PAGE_SIZE calls."""
    return _rows(_find(wanted, None, is_newer=False).calls)


def _find(wanted: Wanted, cursor: UUID | None, *, is_newer: bool) -> Found:
    order = "id" if is_newer else "-id"
    edge = None
    if _has_index(wanted):
        calls = wanted.calls
        if cursor:
            calls = calls.filter(id__gt=cursor) if is_newer else calls.filter(id__lt=cursor)
        calls = calls.order_by(order)[: PAGE_SIZE + 1]
    else:
        days = _days(wanted, cursor, is_newer=is_newer)
        calls = Call.objects.filter(id__in=_ids(wanted, days, cursor, is_newer=is_newer)).order_by(order)
        edge = days.edge
    found = list(calls.select_related("model", "key"))
    if len(found) > PAGE_SIZE:
        return Found(found[:PAGE_SIZE], found[PAGE_SIZE - 1].pk)
    return Found(found, edge)


def _has_index(wanted: Wanted) -> bool:
    """Whether an index leads to these calls alone, in their order."""
    has_more = wanted.status or wanted.stream is not None or wanted.above_nanousd is not None
    is_of_one = wanted.model_id is None or wanted.key_id is None
    return wanted.call_id is not None or (is_of_one and not has_more)


def _days(wanted: Wanted, cursor: UUID | None, *, is_newer: bool) -> Days:
    """The days next to the cursor that can have such calls: enough for a page, or as many as are looked through for one."""
    start, end = wanted.span.start, wanted.span.end
    edges = {at.date() for at in (start, end) if at}
    usage = _can_have(wanted)
    if cursor:
        # Of the next id, since a cursor may be the edge of a day.
        day = call_ids.day(UUID(int=cursor.int + 1 if is_newer else max(0, cursor.int - 1)))
        edges.add(day)
        usage = usage.filter(day__gte=day) if is_newer else usage.filter(day__lte=day)
    listed = usage.order_by("day" if is_newer else "-day").values_list("day", "scanned", "sure")
    found = list(listed[: MOST_DAYS + 1])
    taken: list[date] = []
    scanned = sure = 0
    for day, calls, matching in found[:MOST_DAYS]:
        taken.append(day)
        scanned += calls
        # Of a day that is looked at in part nothing is sure.
        sure += 0 if day in edges else matching
        if sure > PAGE_SIZE or scanned >= SCANNED:
            break
    bounds = [(_midnight(day), _midnight(day + _DAY)) for day in taken]
    if len(taken) == len(found):
        return Days(bounds, None)
    return Days(bounds, UUID(int=bounds[-1][1].int - 1) if is_newer else bounds[-1][0])


def _can_have(wanted: Wanted) -> Any:
    """Days that can have such calls: how many are read there, and how many match at the least."""
    usage = wanted.usage
    start, end = wanted.span.start, wanted.span.end
    if start:
        usage = usage.filter(day__gte=start.date())
    if end:
        usage = usage.filter(day__lte=end.date())
    matching: Combinable = F("calls")
    if wanted.status == Call.Status.FAILED:
        usage, matching = usage.filter(failed__gt=0), F("failed")
    elif wanted.status:
        usage, matching = usage.filter(calls__gt=F("failed")), F("calls") - F("failed")
    if wanted.above_nanousd is not None:
        usage, matching = usage.filter(largest_nanousd__gt=wanted.above_nanousd), Value(1)
    if wanted.stream is not None or (
        wanted.above_nanousd is not None and wanted.status == Call.Status.FAILED
    ):
        matching = Value(0)
    return usage.values("day").annotate(scanned=Sum("calls"), sure=Sum(matching))


def _ids(wanted: Wanted, days: Days, cursor: UUID | None, *, is_newer: bool) -> list[UUID]:
    """Of the calls of these days those next to the cursor, one more than a page has."""
    condition, parameters = wanted.where("c")
    if cursor:
        condition += f" AND c.id {'>' if is_newer else '<'} %s"
        parameters.append(cursor)
    direction = "ASC" if is_newer else "DESC"
    # Day by day, each with bounds of its own: one condition on all of them would walk through what lies between.
    sql = f"""
        SELECT found.id FROM unnest(%s::uuid[], %s::uuid[]) AS day (low, high) CROSS JOIN LATERAL (
            SELECT c.id FROM logs_call c WHERE {condition} AND c.id >= day.low AND c.id < day.high
            ORDER BY c.id {direction} LIMIT {PAGE_SIZE + 1}) found
        ORDER BY found.id {direction} LIMIT {PAGE_SIZE + 1}"""  # noqa: S608 (constants of ours)
    lows, highs = [low for low, _ in days.bounds], [high for _, high in days.bounds]
    return [row[0] for row in report_rows(sql, [lows, highs, *parameters])]


def quantity(usage: Mapping[str, int]) -> str:
    """Usage in few characters: tokens in and out, or what else was counted: "1,200 → 300", "2 images"."""
    tokens = {unit: count for unit, count in usage.items() if count and _is_tokens(unit)}
    if tokens:
        sent = sum(count for unit, count in tokens.items() if unit in INPUT_UNITS)
        return f"{sent:,} → {sum(tokens.values()) - sent:,}"
    counted = [f"{usage[code]:,} {unit.noun(usage[code])}" for code, unit in UNITS.items() if usage.get(code)]
    return ", ".join(counted)


def _is_tokens(unit: str) -> bool:
    return unit in UNITS and UNITS[unit].family is Family.TOKENS


def _rows(calls: Sequence[Call]) -> list[Row]:
    return [Row(call, quantity(call.usage)) for call in calls]


def _query(chosen: Mapping[str, str], **cursor: UUID) -> str:
    return urlencode({**chosen, **cursor})


def _midnight(day: date) -> UUID:
    """The smallest id of a UTC day."""
    return call_ids.floor(datetime.combine(day, time.min, UTC))


def _cursor(text: str) -> UUID | None:
    try:
        # No call is of a time that dates can't tell; such a cursor stands past them all.
        return min(UUID(text), LAST) if len(text) == 36 else None
    except ValueError:
        return None
