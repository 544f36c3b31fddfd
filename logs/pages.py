"""A page of the calls that are looked for, newest first.

Pages go by id, which is a call's time: `before` and `after` name the call at the edge of another page, so that a page
costs the same however far back it lies, and calls that arrive meanwhile move nothing.

What no index leads to is looked for on those days alone (and, where a cost is asked for, among the calls of those models)
of which the roll-up of usage says that they can have it, and on so many days that some SCANNED calls are read. Where that
fills no page, the next one goes on from there. A single day may be too full even so: then the search is given up.
"""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Expression, F, Sum, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from logs import bounds, call_ids
from logs.models import Call
from logs.sums import midnight
from logs.wanted import Wanted
from pricing.money import usd
from pricing.units import INPUT_UNITS, TOKEN_UNITS, UNITS
from wallet.transactions import report_rows

PAGE_SIZE = 50
# The end of an id is chance alone: enough of it to know a call again.
SEEN_DIGITS = 12
SCANNED = 20_000
# Days that one page is looked for on; each has a call of it where nothing but the roll-up's own columns is asked.
MOST_DAYS = 60
SEARCH_WAIT_MS = 2_000
# Calls that arrive have begun within this: no hold is older.
ARRIVING = timedelta(days=1)
LAST = call_ids.floor(datetime(9999, 1, 1, tzinfo=UTC))
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A call in the list, as it is written there: a page has fifty, and templates are slow at anything but text."""

    id: UUID
    datetime: str
    time: str
    model: str
    key: str
    quantity: str
    is_failed: bool
    is_estimated: bool
    charge: str


@dataclass(frozen=True, slots=True)
class Page:
    """Up to PAGE_SIZE calls, newest first, and the queries of the pages beside it; None where there is none."""

    rows: Sequence[Row]
    newer: str | None
    older: str | None
    searched_to: datetime | None = None
    """Where the search for more ended, with older calls still to look through."""


class Found(NamedTuple):
    """Ids of up to PAGE_SIZE calls from a cursor on, and where to go on for more; None where there is no more."""

    ids: list[UUID]
    edge: UUID | None


class Place(NamedTuple):
    """Where to look: bounds of ids, and a model where only some of them come into question."""

    low: UUID
    high: UUID
    model_id: int | None


class Places(NamedTuple):
    """Where to look for a page, and where to go on for more; None where there is no more."""

    found: list[Place]
    edge: UUID | None


def page(wanted: Wanted, chosen: Mapping[str, str], *, before: str, after: str) -> Page:
    """The page at a cursor; one that is none is ignored. `chosen` is the filter as it stands in an address.

    Raises TooLong.
    """
    older_than, newer_than = _cursor(before), _cursor(after)
    if newer_than and not older_than:
        ids, edge = _find(wanted, newer_than, is_newer=True)
        if edge:
            older = ids[0] if ids else UUID(int=newer_than.int + 1)
            return Page(_rows(ids), _query(chosen, after=edge), _query(chosen, before=older))
        top = _find(wanted, None, is_newer=False)
        if ids and top.edge and top.edge > ids[0]:
            # From the top the search ends before it comes to these.
            return Page(_rows(ids), None, _query(chosen, before=ids[0]))
        # So near the top, the newest page shows all of it, and is full.
    ids, edge = _find(wanted, older_than, is_newer=False)
    newer = None
    if older_than:
        # Past the oldest call there is nothing to name; the way back is the newest page.
        newer = _query(chosen, after=ids[0]) if ids else _query(chosen)
    older_query = _query(chosen, before=edge) if edge else None
    is_short = edge is not None and len(ids) < PAGE_SIZE
    return Page(_rows(ids), newer, older_query, call_ids.moment(edge) if edge and is_short else None)


def newest(wanted: Wanted, seen: Container[str]) -> list[Row]:
    """Of the newest PAGE_SIZE calls those whose ids end otherwise than with SEEN_DIGITS characters that were seen.

    Of those alone that began within ARRIVING. Raises TooLong.
    """
    wanted = replace(wanted, span=wanted.span.since(timezone.now() - ARRIVING))
    found = _find(wanted, None, is_newer=False).ids
    return _rows([pk for pk in found if str(pk)[-SEEN_DIGITS:] not in seen])


def _find(wanted: Wanted, cursor: UUID | None, *, is_newer: bool) -> Found:
    """The nearest first."""
    places, edge = None, None
    if not _has_index(wanted):
        places, edge = _places(wanted, cursor, is_newer=is_newer)
    ids = _ids(wanted, places, cursor, is_newer=is_newer)
    if len(ids) > PAGE_SIZE:
        return Found(ids[:PAGE_SIZE], ids[PAGE_SIZE - 1])
    return Found(ids, edge)


def _has_index(wanted: Wanted) -> bool:
    """Whether an index leads to these calls alone, in their order: it does to one of three things."""
    if wanted.call_id is not None:
        return True
    if wanted.stream is not None or wanted.above_nanousd is not None:
        return False
    is_failed = wanted.status == Call.Status.FAILED
    given = [wanted.model_id is not None, wanted.key_id is not None, bool(wanted.status)]
    return sum(given) == 0 or (sum(given) == 1 and (is_failed or not wanted.status))


def _places(wanted: Wanted, cursor: UUID | None, *, is_newer: bool) -> Places:
    """Places next to the cursor that can have such calls: enough for a page, or as many as are looked through for one."""
    start, end = wanted.span.start, wanted.span.end
    edges = {at.date() for at in (start, end) if at}
    usage = _can_have(wanted)
    if cursor:
        # Of the next id, since a cursor may be the edge of a day.
        day = call_ids.day(UUID(int=cursor.int + 1 if is_newer else max(0, cursor.int - 1)))
        edges.add(day)
        usage = usage.filter(day__gte=day) if is_newer else usage.filter(day__lte=day)
    listed = usage.order_by("day" if is_newer else "-day").values_list("day", "models", "scanned", "sure")
    days = list(listed[: MOST_DAYS + 1])
    taken: list[Place] = []
    scanned = sure = 0
    for number, (day, models, calls, matching) in enumerate(days, start=1):
        low, high = _midnight(day), _midnight(day + _DAY)
        taken += [Place(low, high, model_id) for model_id in models or [None]]
        scanned += calls
        # Of a day that is looked at in part nothing is sure.
        sure += 0 if day in edges else matching
        if (sure > PAGE_SIZE or scanned >= SCANNED or number == MOST_DAYS) and number < len(days):
            return Places(taken, UUID(int=high.int - 1) if is_newer else low)
    return Places(taken, None)


def _can_have(wanted: Wanted) -> Any:
    """By day: the models that come into question, how many calls are read about, and how many match at the least."""
    usage = wanted.usage
    start, end = wanted.span.start, wanted.span.end
    if start:
        usage = usage.filter(day__gte=start.date())
    if end:
        usage = usage.filter(day__lte=end.date())
    matching: Combinable = F("calls")
    models: Expression = Value([], output_field=ArrayField(BigIntegerField()))
    if wanted.status == Call.Status.FAILED:
        usage, matching = usage.filter(failed__gt=0), F("failed")
    elif wanted.status:
        usage, matching = usage.filter(calls__gt=F("failed")), F("calls") - F("failed")
    if wanted.above_nanousd is not None:
        usage, matching = usage.filter(largest_nanousd__gt=wanted.above_nanousd), Value(1)
        models = ArrayAgg("model", distinct=True)
        if wanted.status == Call.Status.FAILED:  # Which cost nothing.
            usage = usage.none()
    if wanted.stream is not None:
        matching = Value(0)
    # What failed has an index of its own.
    scanned = "failed" if wanted.status == Call.Status.FAILED else "calls"
    return usage.values("day").annotate(models=models, scanned=Sum(scanned), sure=Sum(matching))


def _ids(
    wanted: Wanted, places: Sequence[Place] | None, cursor: UUID | None, *, is_newer: bool
) -> list[UUID]:
    """Of the calls at these places, or anywhere, those next to the cursor: one more than a page has.

    Ids alone, which an index holds: for whole rows PostgreSQL may walk through everybody's calls instead, which is long
    where a wallet that made a good part of them has made none for a while.
    """
    condition, parameters = wanted.where("c")
    if cursor:
        condition += f" AND c.id {'>' if is_newer else '<'} %s"
        parameters.append(cursor)
    order = f"ORDER BY id {'ASC' if is_newer else 'DESC'} LIMIT {PAGE_SIZE + 1}"
    if places is None:
        sql = f"SELECT c.id FROM logs_call c WHERE {condition} {order}"  # noqa: S608 (constants of ours)
        return [row[0] for row in report_rows(sql, parameters)]
    if not places:
        return []
    if places[0].model_id is not None:
        condition += " AND c.model_id = place.model_id"
    # Place by place, each with bounds of its own: one condition on all of them would walk through what lies between.
    sql = f"""
        SELECT found.id FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS place (low, high, model_id)
        CROSS JOIN LATERAL (
            SELECT c.id FROM logs_call c WHERE {condition} AND c.id >= place.low AND c.id < place.high {order}
        ) found {order}"""  # noqa: S608 (constants of ours)
    columns = [list(column) for column in zip(*places, strict=True)]
    with bounds.within(SEARCH_WAIT_MS):
        return [row[0] for row in report_rows(sql, [*columns, *parameters])]


def quantity(usage: Mapping[str, int]) -> str:
    """Usage in few characters: tokens in and out, or what else was counted: "1,200 → 300", "2 images"."""
    tokens = {unit: count for unit, count in usage.items() if count and unit in TOKEN_UNITS}
    if tokens:
        sent = sum(count for unit, count in tokens.items() if unit in INPUT_UNITS)
        return f"{sent:,} → {sum(tokens.values()) - sent:,}"
    counted = [f"{usage[code]:,} {unit.noun(usage[code])}" for code, unit in UNITS.items() if usage.get(code)]
    return ", ".join(counted)


# Only what is shown: a call, its model and its key have sixty columns.
SHOWN = """
    SELECT c.id, c.started_at, m.name, k.name, c.usage, c.status, c.is_estimated, c.charged_nanousd
    FROM logs_call c JOIN pricing_model m ON m.id = c.model_id JOIN tokens_apikey k ON k.id = c.key_id
    WHERE c.id = ANY(%s::uuid[]) ORDER BY c.id DESC
"""


def _rows(ids: Sequence[UUID]) -> list[Row]:
    """These calls, newest first."""
    return [_row(*found) for found in report_rows(SHOWN, [list(ids)])] if ids else []


def _row(
    pk: UUID,
    started_at: datetime,
    model: str,
    key: str,
    usage: str,
    status: str,
    is_estimated: bool,
    charged_nanousd: int,
) -> Row:
    """`usage` is JSON. The time is written as in partials/time.html, which would take half of the time of a page."""
    return Row(
        pk,
        f"{started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        f"{started_at.astimezone(UTC):%-d %b %Y, %H:%M:%S}",
        model,
        key,
        quantity(json.loads(usage)),
        status == Call.Status.FAILED,
        is_estimated,
        usd(charged_nanousd),
    )


def _query(chosen: Mapping[str, str], **cursor: UUID) -> str:
    return urlencode({**chosen, **cursor})


def _midnight(day: date) -> UUID:
    """The smallest id of a UTC day."""
    return call_ids.floor(midnight(day))


def _cursor(text: str) -> UUID | None:
    try:
        # No call is of a time that dates can't tell; such a cursor stands past them all.
        return min(UUID(text), LAST) if len(text) == 36 else None
    except ValueError:
        return None
