"""The export of the account API: the lines of a person's own log as CSV, archived calls too."""

import csv
import heapq
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from logs import archive, call_ids
from logs.account_api import rows
from logs.account_api.looking import STATUSES, Place, Sought, Type
from logs.models import Call
from pricing import quota, spreadsheets

BATCH = 500
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
        for row in rows.in_batches(_places(self._sought), BATCH):
            told = {
                **row,
                "time": datetime.fromtimestamp(row["created_at"], UTC).isoformat().replace("+00:00", "Z"),
                "type": Type(row["type"]).name.lower().replace("_", ""),
                "cost_usd": Decimal(row["quota"]) / quota.UNITS_PER_USD,
            }
            yield write([spreadsheets.cell(told[name]) for name in COLUMNS])

    def cut(self) -> None:
        """Nothing is held between two batches."""

    def close(self) -> None:
        """Nothing is held between two batches."""


class _Line:
    """What csv.writer writes to: gives each line back."""

    def write(self, line: str) -> bytes:
        return line.encode()


def _places(sought: Sought) -> Iterator[Place]:
    return heapq.merge(_calls(sought), sought.places_of_movements(BATCH), reverse=True)


def _calls(sought: Sought) -> Iterator[Place]:
    """Each with its call, which may be in the archive before its turn comes."""
    calls = sought.calls.filter(sought.span.of_ids).order_by("-id")
    found, last = list(calls[:BATCH]), None
    while found:
        yield from map(_place, found)
        last = found[-1].pk
        found = list(calls.filter(id__lt=last)[:BATCH]) if len(found) == BATCH else []
    if sought.type in {Type.ANY, *STATUSES}:
        yield from _archived(sought, last)


def _archived(sought: Sought, before: UUID | None) -> Iterator[Place]:
    """All that the table has not, or no more; before the last call that it had."""
    start, end = sought.span.start, sought.span.end
    lower = call_ids.floor(start) if start else archive.FIRST
    upper = before or (call_ids.floor(end) if end else archive.LAST)
    for wallet in sought.wallets or ():
        for row in archive.calls_of(wallet, lower, upper):
            if sought.has(row):
                yield _place(Call(**row))


def _place(call: Call) -> Place:
    return Place(call_ids.milliseconds(call.pk) * 1000, True, call.pk.int, call)
