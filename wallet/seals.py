"""Closed days are sealed: a hash over a day's rows, chained to the day before, so that no edit goes unseen.

Owns wallet_dayseal. The triggers refuse to change history; this finds out where somebody got around them, with a superuser's
rights or in the files. A day is closed an hour after midnight UTC. Each table has its own chain.
"""

import datetime
import hashlib
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from wallet.models import DaySeal
from wallet.transactions import report_rows, rows

CLOSED_AFTER = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows never change. All but its name are SQL of ours: `bucket` cuts a day into hashable pieces."""

    name: str
    time_column: str
    bucket: str
    columns: str


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
            rows("SELECT pg_advisory_xact_lock(hashtext('seal:' || %s))", [table.name])
            newest = DaySeal.objects.filter(table=table.name).order_by("-day").first()
            previous = bytes(newest.digest) if newest else b""
            since = newest.day + datetime.timedelta(days=1) if newest else datetime.date.min
            for content in _contents(table, since, last_closed):
                previous = content.chained(previous)
                DaySeal.objects.create(table=table.name, day=content.day, rows=content.rows, digest=previous)
                sealed += 1
    return sealed


def broken(wallet_ids: list[int] | None) -> list[str]:
    """Days whose rows are not what was sealed. An invariant of a run over all wallets."""
    if wallet_ids is not None:
        return []
    return [problem for table in _tables.values() for problem in _broken_days(table)]


def _broken_days(table: SealedTable) -> list[str]:
    seals = list(DaySeal.objects.filter(table=table.name).order_by("day"))
    if not seals:
        return []
    now = {content.day: content for content in _contents(table, datetime.date.min, seals[-1].day)}
    problems, previous = [], b""
    for seal in seals:
        content = now.pop(seal.day, Content(seal.day, 0, b""))
        if content.chained(previous) != bytes(seal.digest):
            problems.append(
                f"{table.name} of {seal.day}: {seal.rows} rows were sealed, {content.rows} are there"
            )
        # The chain goes on from the seal, so that one bad day is reported once.
        previous = bytes(seal.digest)
    return problems + [f"{table.name} of {day}: rows were added to a day that had none" for day in now]


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
        ), pieces AS (
            SELECT day, bucket, count(*) AS number, sha256(string_agg(content, '\n'::bytea ORDER BY id)) AS digest
            FROM dated GROUP BY day, bucket
        )
        SELECT day, sum(number)::bigint, sha256(string_agg(digest, ''::bytea ORDER BY bucket)) FROM pieces
        GROUP BY day ORDER BY day""",  # noqa: S608 (the table's own constants)
        {"first": max(first, datetime.date(2000, 1, 1)), "last": last},
    )
    return [Content(day, number, bytes(digest)) for day, number, digest in found]
