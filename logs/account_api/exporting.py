"""The export of the account API: the lines of a person's own log as CSV, archived calls too."""

import csv
import heapq
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from logs import archive, call_ids
from logs.account_api import rows
from logs.account_api.looking import STATUSES, Place, Sought, Type
from logs.models import Call
from pricing import quota, spreadsheets
from wallet.transactions import snapshot

# Calls that are looked at, and rows that are read, at a time.
BATCH = 1_000
COLUMNS = [
    "time",
    "type",
    "request_id",
    "response_id",
    "model_name",
    "token_name",
    "group",
    "prompt_tokens",
    "completion_tokens",
    "quota",
    "cost_usd",
    "use_time",
    "is_stream",
    "ip",
    "content",
]


class OwnLog:
    """The lines of what one wallet looks for, newest first, read in batches. Raises archive.Unreadable.

    A month that goes into the archive meanwhile is read from there: each call is in the file once.
    """

    def __init__(self, sought: Sought) -> None:
        self._sought = sought

    def __iter__(self) -> Iterator[bytes]:
        write = csv.writer(_Line()).writerow
        yield write(COLUMNS)
        for batch in _batches(_places(self._sought)):
            for row in rows.of(batch, has_other=False):
                yield write(_cells(row))
            yield b""

    def cut(self) -> None:
        """Nothing takes long: whoever reads is asked after each BATCH that is looked at."""

    def close(self) -> None:
        """Nothing is held between two batches."""


def _cells(row: dict[str, Any]) -> list[Any]:
    told = {
        **row,
        "time": datetime.fromtimestamp(row["created_at"], UTC).isoformat().replace("+00:00", "Z"),
        "type": Type(row["type"]).name.lower().replace("_", ""),
        "cost_usd": Decimal(row["quota"]) / quota.UNITS_PER_USD,
    }
    return [spreadsheets.cell(told[name]) for name in COLUMNS]


class _Line:
    """What csv.writer writes to: gives each line back."""

    def write(self, line: str) -> bytes:
        return line.encode()


def _places(sought: Sought) -> Iterator[Place]:
    return heapq.merge(_calls(sought), sought.places_of_movements(BATCH), reverse=True)


def _batches(places: Iterator[Place]) -> Iterator[list[Place]]:
    """Those with a row. Of what was looked at for long, there may be none."""
    batch: list[Place] = []
    for place in places:
        if place.is_row:
            batch.append(place)
        if not place.is_row or len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _calls(sought: Sought) -> Iterator[Place]:
    """Each with its call, which may be in the archive before its turn comes; between them, how far was looked."""
    if sought.type not in {Type.ANY, *STATUSES}:
        return
    lower, upper = sought.id_bounds
    is_more = True
    while is_more:
        found, reached = _step(sought, lower, upper)
        yield from map(_place, found)
        is_more = reached is not None
        upper = reached or (found[-1].pk if found else upper)
        yield _sign(upper)
    yield from _archived(sought, lower, upper)


def _step(sought: Sought, lower: UUID, upper: UUID) -> tuple[list[Call], UUID | None]:
    """Of the next BATCH calls in the table those that are wanted; and the last of all, None where there are fewer."""
    # No month leaves the table between the two.
    with snapshot("logs_call"):
        calls = Call.objects.filter(wallet__in=sought.wallets or (), id__gte=lower, id__lt=upper)
        reached = calls.order_by("-id").values_list("id", flat=True)[BATCH - 1 : BATCH].first()
        wanted = sought.calls.filter(id__lt=upper, id__gte=reached or lower).order_by("-id")
        return list(wanted), reached


def _archived(sought: Sought, lower: UUID, upper: UUID) -> Iterator[Place]:
    """All that the table has not, or no more."""
    for wallet in sought.wallets or ():
        for month in archive.months():
            first, after = max(lower, month.lower_id), min(upper, month.upper_id)
            if first < after:
                yield from _of_month(sought, archive.calls_of(wallet, first, after))
                yield _sign(first)


def _of_month(sought: Sought, calls: Iterator[archive.Row]) -> Iterator[Place]:
    for number, row in enumerate(calls, 1):
        if sought.has(row):
            yield _place(Call(**row))
        if number % BATCH == 0:
            yield _sign(row["id"])


def _place(call: Call) -> Place:
    return Place(call_ids.milliseconds(call.pk) * 1000, True, call.pk.int, call)


def _sign(call_id: UUID) -> Place:
    return Place(call_ids.milliseconds(call_id) * 1000, True, call_id.int, is_row=False)
