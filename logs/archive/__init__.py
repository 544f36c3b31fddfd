"""Months of calls that lie in files: sealed, written to Parquet, and taken out of the database (docs/retention.md).

Owns logs_archivedmonth, logs_sealedusage and logs_sealedtransfers. Archived months are always the oldest ones, so one id,
`kept_from`, parts all calls: from there on they are in the table, before it in files. A month changes sides in one
transaction (sealing.py), and its part of the table goes later; so whoever reads both sides asks for the kept ones by that
id, in one snapshot in which no month leaves the table: `wallet.transactions.snapshot("logs_call")`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from logs import call_ids
from logs.models import ArchivedMonth, Call, SealedUsage

type Row = dict[str, Any]
"""A call, by the names of logs_call's columns: id as UUID, usage as dict, times aware and in UTC."""

# The condition on logs_call of the calls that are kept, in SQL; it is what `kept_from` answers.
KEPT = (
    "id >= coalesce((SELECT upper_id FROM logs_archivedmonth ORDER BY month DESC LIMIT 1),"
    " '00000000-0000-0000-0000-000000000000'::uuid)"
)

# What totals are made of.
COUNTED = ("id", "wallet_id", "key_id", "model_id", "status", "usage", "charged_nanousd")

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)


class Unreadable(Exception):
    """An archived month's file is missing or is not what was sealed."""


@dataclass(frozen=True, slots=True)
class Month:
    """An archived month. Its calls have ids from `lower_id` to before `upper_id`."""

    first_day: date
    lower_id: UUID
    upper_id: UUID
    calls: int
    path: Path
    size_bytes: int

    @property
    def has_file(self) -> bool:
        """Whether a file of its name and length is there; whether it is the one that was sealed, checks.py reads."""
        try:
            return self.path.stat().st_size == self.size_bytes
        except OSError:
            return False


def months() -> list[Month]:
    """The archived months, newest first."""
    return [_month(archived) for archived in ArchivedMonth.objects.all()]


def has_months() -> bool:
    """Whether any month was archived."""
    return ArchivedMonth.objects.exists()


def kept_from() -> UUID | None:
    """The smallest id that a call in the table can have; None where no month was archived."""
    return ArchivedMonth.objects.values_list("upper_id", flat=True).first()


def begins_before(moment: datetime) -> bool:
    """Whether calls of that moment are archived."""
    upper_id = kept_from()
    return upper_id is not None and call_ids.floor(moment) < upper_id


def since(wallet_id: int) -> datetime | None:
    """From when on all of a wallet's calls are kept; None where none of them is archived."""
    upper_id = kept_from()
    is_concerned = upper_id is not None and SealedUsage.objects.filter(wallet=wallet_id).exists()
    return call_ids.moment(upper_id) if upper_id is not None and is_concerned else None


def find(wallet_id: int, call_id: UUID) -> Call | None:
    """A wallet's archived call; None where it has none of this id. Raises Unreadable."""
    rows = calls_of(wallet_id, call_id, UUID(int=call_id.int + 1)) if call_id != LAST else iter(())
    found = next(rows, None)
    return Call(**found) if found else None


def calls_of(wallet_id: int, lower_id: UUID = FIRST, upper_id: UUID = LAST) -> Iterator[Row]:
    """A wallet's archived calls with ids from `lower_id` on and before `upper_id`, newest first. Raises Unreadable.

    Holds some thousand rows at a time, however many there are.
    """
    return _rows([wallet_id], lower_id, upper_id)


def counted(wallet_ids: Collection[int], lower_id: UUID, upper_id: UUID) -> Iterator[Row]:
    """The same of several wallets, wallet by wallet, with the columns COUNTED alone."""
    return _rows(wallet_ids, lower_id, upper_id, COUNTED)


def _rows(
    wallet_ids: Collection[int], lower_id: UUID, upper_id: UUID, columns: Sequence[str] | None = None
) -> Iterator[Row]:
    for month in months():
        if month.lower_id < upper_id and lower_id < month.upper_id:
            # Arrow takes 50 MB and a third of a second to load, which only a process that reads an archive has to spend.
            from logs.archive import files

            yield from files.rows_of(month.path, wallet_ids, lower_id, upper_id, columns)


def _month(archived: ArchivedMonth) -> Month:
    return Month(
        archived.month,
        call_ids.floor(datetime.combine(archived.month, time.min, UTC)),
        archived.upper_id,
        archived.calls,
        Path(settings.CALLS_ARCHIVE_DIR or ".") / archived.file,
        archived.size_bytes,
    )
