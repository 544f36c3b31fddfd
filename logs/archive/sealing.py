"""The moment in which a month changes sides: from then on it counts by its file and its seals, not by the table.

One transaction writes what the checks need of it (logs/invariants.py): sums by wallet, key and model; what usage transfers
paid; and the seals of the days on which its calls were recorded, anew, since part of those days stays.
"""

from contextlib import nullcontext
from datetime import UTC, date
from pathlib import Path

from django.db import connection, transaction

from logs.archive import files
from logs.models import ArchivedMonth
from logs.partitions import Partition
from logs.sums import SUMMED
from wallet import seals


def seal(partition: Partition, path: Path, calls: int) -> None:
    """Let the month count by this file of so many calls, which must be equal to its part of the table.

    Raises seals.Broken where one of its days is not what was sealed, and leaves everything as it was.
    """
    with transaction.atomic():
        days = _days_of(partition)
        with seals.leaving("logs_call", *days) if days else nullcontext():
            ArchivedMonth.objects.create(
                month=partition.month,
                upper_id=partition.upper_id,
                calls=calls,
                file=path.name,
                size_bytes=path.stat().st_size,
                digest=files.digest(path),
            )
        for statement in (USAGE, TRANSFERS):
            _run(statement.format(partition=partition.name), partition.month)


def _days_of(partition: Partition) -> tuple[date, date] | None:
    """The first and the last UTC day on which its calls were recorded; None where it has none."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT min(recorded_at), max(recorded_at) FROM {partition.name}")  # noqa: S608
        first, last = cursor.fetchone()
    return (first.astimezone(UTC).date(), last.astimezone(UTC).date()) if first else None


def _run(statement: str, month: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"month": month})


USAGE = f"""
INSERT INTO logs_sealedusage (month_id, wallet_id, key_id, model_id, {", ".join(SUMMED)}, promotional_nanousd,
    largest_nanousd)
SELECT %(month)s, wallet_id, key_id, model_id, {", ".join(SUMMED.values())}, sum(promotional_nanousd),
    max(charged_nanousd)
FROM {{partition}} GROUP BY wallet_id, key_id, model_id"""  # noqa: S608 (constants of ours)

# A transfer that the month's calls don't explain to the last nano-dollar paid for calls of another month too.
TRANSFERS = """
INSERT INTO logs_sealedtransfers (month_id, wallet_id, transfer_id, number, amount_nanousd)
WITH parts AS (
    SELECT wallet_id, promotional_transfer_id AS id, promotional_nanousd AS amount FROM {partition}
    UNION ALL
    SELECT wallet_id, paid_transfer_id, charged_nanousd - promotional_nanousd FROM {partition}
), sums AS (
    SELECT wallet_id, id, sum(amount) AS amount FROM parts WHERE id IS NOT NULL GROUP BY wallet_id, id
)
SELECT %(month)s, s.wallet_id, CASE WHEN t.id IS NULL THEN s.id END, count(*), sum(s.amount)
FROM sums s LEFT JOIN wallet_transfer t
    ON t.id = s.id AND t.wallet_id = s.wallet_id AND t.code = 'usage' AND t.amount_nanousd = s.amount
GROUP BY s.wallet_id, CASE WHEN t.id IS NULL THEN s.id END"""
