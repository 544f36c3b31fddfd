"""Months that lie far enough back to be archived, with calls in them that were recorded in their time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.db import connection, transaction
from pytest_django import Settings

from accounts.models import User
from logs import call_ids, reports
from logs.archive import files
from logs.invariants import ARCHIVED_MONTHS
from logs.recording import record
from tests.metering.gateway import call, give, sell
from tokens import keys
from tokens.models import ApiKey
from wallet import invariants, seals
from wallet.wallets import wallet_of

KEPT = 4


def month(back: int) -> date:
    """The first day of the month so many before this one."""
    number = datetime.now(UTC).year * 12 + datetime.now(UTC).month - 1 - back
    return date(number // 12, number % 12 + 1, 1)


# Two months are due, one is kept.
FIRST, SECOND, KEPT_ONE = month(KEPT + 2), month(KEPT + 1), month(KEPT)


def name(first_day: date) -> str:
    return f"logs_call_{first_day:%Y_%m}"


@dataclass
class Past:
    """Calls of long ago, of a few people."""

    keys: list[ApiKey]
    folder: Path

    def record(self, at: datetime, *more: dict[str, Any], recorded_at: datetime | None = None) -> list[str]:
        """One batch, with a call of each key at that time and those of `more`; returns the ids."""
        calls = [call(key, call_id=_id(at), started_at=at.isoformat()) for key in self.keys] + list(more)
        assert [result.result for result in record(calls)] == ["accepted"] * len(calls)
        ids = [str(each["call_id"]) for each in calls]
        write("UPDATE logs_call SET recorded_at = %s WHERE id = ANY(%s)", recorded_at or at, ids)
        return ids

    def call(self, at: datetime, **more: Any) -> dict[str, Any]:
        return call(self.keys[0], call_id=_id(at), started_at=at.isoformat(), **more)


def _id(at: datetime) -> str:
    return str(call_ids.new(int(at.timestamp() * 1000)))


def noon(first_day: date, day: int = 10) -> datetime:
    return datetime(first_day.year, first_day.month, day, 12, tzinfo=UTC)


def before_midnight(first_day: date) -> datetime:
    """The last moments of the month before."""
    return datetime(first_day.year, first_day.month, 1, tzinfo=UTC) - timedelta(milliseconds=200)


def write(sql: str, *parameters: Any) -> None:
    """As somebody with a superuser's rights can write."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, parameters)
        assert cursor.rowcount > 0, "nothing was written"


def damage(path: Path) -> None:
    """Change one byte of the first call's charge."""
    charges = (
        pq.ParquetFile(path).metadata.row_group(0).column(files.SCHEMA.get_field_index("charged_nanousd"))
    )
    content = bytearray(path.read_bytes())
    begins_at = charges.dictionary_page_offset or charges.data_page_offset
    content[begins_at + charges.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


def has_table(first_day: date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name(first_day)])
        return bool(cursor.fetchone()[0])


def findings() -> list[invariants.Finding]:
    """Of the books and of the archive."""
    return invariants.check() + invariants.check_subject(ARCHIVED_MONTHS)


def broken() -> set[str]:
    return {finding.invariant.name for finding in findings()}


@pytest.fixture
def filled(past: "Past") -> list[str]:
    """Calls of three months, batches over both of their ends, and calls that were reported a month late; sealed."""
    edge, other = before_midnight(SECOND), before_midnight(KEPT_ONE)
    odd = {"endpoint": 'a,"b"\r\n\\N', "upstream_id": "", "latency_ms": 7, "stream": True}
    odd |= {"client_ip": "203.0.113.9", "error": "The model was overloaded."}
    ids = past.record(noon(FIRST))
    ids += past.record(noon(FIRST, 11), past.call(noon(FIRST, 11), status="failed", **odd))
    ids += past.record(edge, past.call(edge + timedelta(seconds=1)))
    ids += past.record(noon(SECOND))
    ids += past.record(other, past.call(other + timedelta(seconds=1)))
    ids += past.record(noon(KEPT_ONE, 5), past.call(noon(SECOND, 20)), recorded_at=noon(KEPT_ONE, 5))
    seals.seal_closed_days()
    assert invariants.run(full=True).is_good
    return ids


@pytest.fixture
def past(
    transactional_db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Past]:
    """Alice and Charlie with credit; months that are due and empty."""
    settings.CALLS_KEPT_MONTHS, settings.CALLS_ARCHIVE_DIR = KEPT, str(tmp_path)
    monkeypatch.setattr(reports, "OLDEST_ID_MS", 400 * 86_400_000)
    sell()
    with connection.cursor() as cursor:
        for first_day in (FIRST, SECOND, KEPT_ONE, month(KEPT - 1)):
            cursor.execute("SELECT logs_make_partition(%s)", [first_day])
    people = [User.objects.create_user(f"{one}@example.com") for one in ("alice", "charlie")]
    for person in people:
        give(person, 10_000_000_000)
    give(people[0], 20_000_000, "promotional")
    yield Past([keys.issue(wallet_of(person), "k").key for person in people], tmp_path)
    with connection.cursor() as cursor:
        for first_day in (FIRST, SECOND, KEPT_ONE, month(KEPT - 1)):
            cursor.execute(
                "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(%s)",
                [name(first_day)],
            )
            if cursor.fetchone() == (True,):
                cursor.execute(f"ALTER TABLE logs_call DETACH PARTITION {name(first_day)} FINALIZE")
            cursor.execute(f"DROP TABLE IF EXISTS {name(first_day)}")
