"""Months of the calls' table are made ahead; there is no partition for everything else, since ids are bounded in time."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db import connection

from logs import call_ids

MONTHS_AHEAD = 2
MONTHS_BACK = 2


@dataclass(frozen=True, slots=True)
class Partition:
    """A month's part of the calls' table, whether it is there or not."""

    month: date
    """Its first day."""

    @property
    def name(self) -> str:
        return f"logs_call_{self.month:%Y_%m}"

    @property
    def next_month(self) -> date:
        return (self.month + timedelta(days=32)).replace(day=1)

    @property
    def upper_id(self) -> UUID:
        """The smallest id after it."""
        return call_ids.floor(datetime.combine(self.next_month, time.min, UTC))


def make_partitions() -> None:
    """Make what is missing from two months back to two ahead. Safe to run at any time and in parallel."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT logs_make_partition((date_trunc('month', now()) + make_interval(months => step))::date)"
            " FROM generate_series(%s, %s) AS step",
            [-MONTHS_BACK, MONTHS_AHEAD],
        )


def existing() -> list[Partition]:
    """The parts that the table has, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_date(right(c.relname, 7), 'YYYY_MM') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'logs_call'::regclass ORDER BY 1"
        )
        return [Partition(month) for (month,) in cursor.fetchall()]


def detach(partition: Partition) -> None:
    """Make it a table of its own, while calls are read and recorded. Safe to run again wherever it was interrupted.

    Waits for those who read calls at this moment; nobody waits for it. Not inside a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhdetachpending FROM pg_inherits WHERE inhparent = 'logs_call'::regclass"
            " AND inhrelid = to_regclass(%s)",
            [partition.name],
        )
        found = cursor.fetchone()
        if found is not None:
            how = "FINALIZE" if found[0] else "CONCURRENTLY"
            cursor.execute(f"ALTER TABLE logs_call DETACH PARTITION {partition.name} {how}")


def is_there(partition: Partition) -> bool:
    """Whether the database has its table, as a part or on its own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [partition.name])
        return bool(cursor.fetchone()[0])
