"""Closed days are sealed: a hash over a day's rows, chained to the day before, so that no edit goes unseen.

Owns wallet_dayseal and wallet_dayrest. The triggers refuse to change history; this finds out where somebody got around them,
with a superuser's rights or in the files. A day is closed an hour after midnight UTC. Each table has its own chain.

Where part of a day is archived (`leaving`), the day is compared with its seal once more, and then with what was left. The
seals of these rests are chained too, each to the one made before.
"""

import datetime
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from wallet.models import DayRest, DaySeal
from wallet.transactions import report_rows, rows

CLOSED_AFTER = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows never change. All but its name are SQL of ours: `bucket` cuts a day into hashable pieces, and of a
    table whose old rows are archived `kept` is the condition of those that are not."""

    name: str
    time_column: str
    bucket: str
    columns: str
    kept: str = "true"


TRANSFER_COLUMNS = (
    "id, extract(epoch FROM created_at), code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,"
    " corrects_id, details"
)
_tables: dict[str, SealedTable] = {}


def keep(table: SealedTable) -> None:
    """Seal this table's days too."""
    _tables[table.name] = table


keep(SealedTable("wallet_transfer", "created_at", "id / 1000", TRANSFER_COLUMNS))


@dataclass(frozen=True, slots=True)
class Content:
    """What a day holds now."""

    day: datetime.date
    rows: int
    digest: bytes

    def chained(self, previous: bytes) -> bytes:
        return hashlib.sha256(previous + self.day.isoformat().encode() + self.digest).digest()


def seal_closed_days() -> int:
    """Seal the days that are over and not sealed yet, in order; returns how many. Two at once seal each day once."""
    sealed = 0
    last_closed = (timezone.now() - CLOSED_AFTER).date() - datetime.timedelta(days=1)
    for table in _tables.values():
        with transaction.atomic():
            _lock(table)
            newest = DaySeal.objects.filter(table=table.name).order_by("-day").first()
            previous = bytes(newest.digest) if newest else b""
            since = newest.day + datetime.timedelta(days=1) if newest else datetime.date.min
            for content in _contents(table, since, last_closed):
                previous = content.chained(previous)
                DaySeal.objects.create(table=table.name, day=content.day, rows=content.rows, digest=previous)
                sealed += 1
    return sealed


def _lock(table: SealedTable) -> None:
    rows("SELECT pg_advisory_xact_lock(hashtext('seal:' || %s))", [table.name])


def tables() -> list[str]:
    """The names of what is sealed."""
    return list(_tables)


def broken(wallet_ids: list[int] | None) -> list[str]:
    """Days whose rows are not what was sealed. An invariant of a run over all wallets."""
    if wallet_ids is not None:
        return []
    return [problem for table in _tables.values() for problem in _broken_days(table)]


class Broken(Exception):
    """What was to be archived is not what was sealed."""


@contextmanager
def leaving(name: str, first: datetime.date, last: datetime.date) -> Iterator[None]:
    """In the block, rows of these days leave the table `name`: its `kept` changes. The days are sealed anew for the others.

    Raises Broken where a day is not what was sealed, or is not sealed yet. Must run inside a transaction.
    """
    table = _tables[name]
    _lock(table)
    if not DaySeal.objects.filter(table=name, day__gte=last).exists():
        raise Broken(f"{name} of {last} is not sealed yet.")
    if problems := _broken_days(table, first, last):
        raise Broken("; ".join(problems[:5]))
    before = _contents(table, first, last)
    yield
    after = {content.day: content for content in _contents(table, first, last)}
    newest = DayRest.objects.filter(table=name).order_by("-id").first()
    previous = bytes(newest.chain) if newest else b""
    for content in before:
        left = after.get(content.day, Content(content.day, 0, b""))
        if left != content:
            previous = left.chained(previous)
            DayRest.objects.create(
                table=name, day=left.day, rows=left.rows, digest=left.digest, chain=previous
            )


def _broken_days(
    table: SealedTable, first: datetime.date = datetime.date.min, last: datetime.date | None = None
) -> list[str]:
    seals = list(DaySeal.objects.filter(table=table.name).order_by("day"))
    if not seals:
        return []
    rests, problems = _rests(table)
    last = last or seals[-1].day
    now = {content.day: content for content in _contents(table, first, last)}
    previous = b""
    for seal in seals:
        if first <= seal.day <= last:
            content = now.pop(seal.day, Content(seal.day, 0, b""))
            rest = rests.get(seal.day)
            is_whole = content.chained(previous) == bytes(seal.digest) if rest is None else content == rest
            if not is_whole:
                sealed = seal.rows if rest is None else rest.rows
                problems.append(
                    f"{table.name} of {seal.day}: {sealed} rows were sealed, {content.rows} are there"
                )
        # The chain goes on from the seal, so that one bad day is reported once.
        previous = bytes(seal.digest)
    return problems + [f"{table.name} of {day}: rows were added to a day that had none" for day in now]


def _rests(table: SealedTable) -> tuple[dict[datetime.date, Content], list[str]]:
    """What is left of each day that lost a part, by its newest rest; and where the chain of the rests is broken."""
    left: dict[datetime.date, Content] = {}
    problems, previous = [], b""
    for rest in DayRest.objects.filter(table=table.name).order_by("id"):
        content = Content(rest.day, rest.rows, bytes(rest.digest))
        if content.chained(previous) != bytes(rest.chain):
            problems.append(
                f"{table.name} of {rest.day}: seal {rest.pk} of the rest of a day breaks the chain"
            )
        left[rest.day], previous = content, bytes(rest.chain)
    return left, problems


def _contents(table: SealedTable, first: datetime.date, last: datetime.date) -> list[Content]:
    """The hash of each day's rows, in the order of their ids: of pieces first, then of the pieces' hashes."""
    found = report_rows(
        f"""
        WITH dated AS (
            SELECT ({table.time_column} AT TIME ZONE 'UTC')::date AS day, {table.bucket} AS bucket, id,
                convert_to(ROW({table.columns})::text, 'UTF8') AS content
            FROM {table.name}
            WHERE {table.time_column} >= %(first)s::date::timestamp AT TIME ZONE 'UTC'
                AND {table.time_column} < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
                AND {table.kept}
        ), pieces AS (
            SELECT day, bucket, count(*) AS number, sha256(string_agg(content, '\n'::bytea ORDER BY id)) AS digest
            FROM dated GROUP BY day, bucket
        )
        SELECT day, sum(number)::bigint, sha256(string_agg(digest, ''::bytea ORDER BY bucket)) FROM pieces
        GROUP BY day ORDER BY day""",  # noqa: S608 (the table's own constants)
        {"first": max(first, datetime.date(2000, 1, 1)), "last": last},
    )
    return [Content(day, number, bytes(digest)) for day, number, digest in found]
