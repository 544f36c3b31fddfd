"""From the table into files: the oldest months, one after the other, each in steps that may end anywhere and are done again.

1. Its calls are written to a file and the file is compared with them, row by row.
2. One transaction lets it count by the file and its seals (sealing.py). Before it nothing has happened; after it the file
   is never written again.
3. Its part of the table is detached.
4. The file is compared once more, with the detached table, which is then dropped.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
import pyarrow as pa
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from logs import archive, partitions
from logs.archive import Unreadable, files, folder, sealing
from logs.models import ArchivedMonth
from logs.partitions import Partition
from wallet import alone, invariants, seals

# The nightly check may fail once without stopping the archive; docs/retention.md names it.
CHECKED_WITHIN = timedelta(hours=36)

type Say = Callable[[str], None]


class NotArchived(Exception):
    """A sentence that says why no month, or no more, was archived. Nothing is lost; it can be tried again."""


class AlreadyRunning(NotArchived):
    """Another process archives at this moment."""


def due() -> list[Partition]:
    """The months that are to go, oldest first: those that were begun, and those older than CALLS_KEPT_MONTHS."""
    begun = {Partition(month.month) for month in ArchivedMonth.objects.filter(dropped_at=None)}
    old = {partition for partition in partitions.existing() if partition.month < kept_from()}
    return sorted(begun | old, key=lambda partition: partition.month)


def run(say: Say = lambda line: None) -> None:
    """Archive what is due. Raises NotArchived, AlreadyRunning; what was done until then stays done."""
    with alone.at("archive-calls") as is_ours:
        if not is_ours:
            raise AlreadyRunning("Another process archives calls at this moment.")
        for partition in due():
            check(partition)
            try:
                _archive(partition, say)
            except (Unreadable, seals.Broken, OSError, pa.ArrowException) as error:
                raise NotArchived(f"{partition.month:%Y-%m} stays in the database: {error}") from error


def check(partition: Partition) -> None:
    """Whether the month may go now; writes nothing. Raises NotArchived where it has to stay."""
    _check_folder()
    if not ArchivedMonth.objects.filter(pk=partition.month).exists():
        _check_books()


def kept_from() -> date:
    """The first day of the oldest month that is kept. Every month is where the setting is 0."""
    if not settings.CALLS_KEPT_MONTHS:
        return date.min
    number = timezone.now().year * 12 + timezone.now().month - 1 - settings.CALLS_KEPT_MONTHS
    return date(number // 12, number % 12 + 1, 1)


def _check_folder() -> None:
    # Never made here: where a disk is not mounted, the files would go to another one.
    if not folder.is_there():
        raise NotArchived("CALLS_ARCHIVE_DIR is not a folder that is there.")
    # An empty mount point is one that is there, too.
    absent = [month.path.name for month in archive.months() if not month.has_file]
    if absent:
        raise NotArchived(
            f"CALLS_ARCHIVE_DIR lacks {', '.join(absent[::-1])}, or has it in another length: months stay until all that"
            " were archived before are there."
        )


def _archive(partition: Partition, say: Say) -> None:
    month = f"{partition.month:%Y-%m}"
    sealed = ArchivedMonth.objects.filter(pk=partition.month).first()
    if sealed is None:
        seals.seal_closed_days()
        path = Path(settings.CALLS_ARCHIVE_DIR) / f"calls-{month}.parquet"
        calls = files.write(path, _in_table(partition))
        _compare(partition, path)
        sealing.seal(partition, path, calls)
        sealed = ArchivedMonth.objects.get(pk=partition.month)
        say(f"{month}: {calls:,} calls are in {path.name}, {sealed.size_bytes:,} bytes.")
    partitions.detach(partition)
    if partitions.is_there(partition):
        path = Path(settings.CALLS_ARCHIVE_DIR) / sealed.file
        if files.digest(path) != bytes(sealed.digest):
            raise Unreadable(f"{path.name} is not the file that was sealed.")
        _compare(partition, path)
    _drop(partition)
    say(f"{month}: the database has them no more.")


def _check_books() -> None:
    """Raises NotArchived unless the books were found right: all of them, of late, and whatever was looked at since."""
    for subject in invariants.subjects():
        run = invariants.last(subject)
        if run is not None and not run.is_good:
            raise NotArchived(
                f"The last check of the {subject} found {', '.join(run.failures)}: months stay until that is mended and"
                " the next check finds nothing. See Checks of the books in the admin panel, or run"
                " manage.py check_invariants."
            )
    if not invariants.was_good_since(timezone.now() - CHECKED_WITHIN):
        hours = CHECKED_WITHIN // timedelta(hours=1)
        raise NotArchived(
            f"No check of all the books ended well in the last {hours} hours: months stay until one does."
            " Celery beat begins one at 01:30 UTC."
        )


def _compare(partition: Partition, path: Path) -> None:
    """Raises Unreadable unless the file has exactly the rows of the month's table, in order."""
    for mine, its in itertools.zip_longest(_in_table(partition), files.groups_of(path)):
        if mine is None or its is None or not mine.equals(its):
            raise Unreadable(f"{path.name} is not what the database has.")


def _in_table(partition: Partition) -> Iterator[pa.Table]:
    """The month's calls by wallet and id, in groups as its file has them."""
    statement = (
        f"COPY (SELECT {files.COLUMNS} FROM {partition.name} ORDER BY wallet_id, id) TO STDOUT (FORMAT csv)"  # noqa: S608
    )
    with transaction.atomic(), connection.wrap_database_errors:
        raw = cast("psycopg.Connection[Any]", connection.connection)
        with psycopg.Cursor(raw) as cursor, cursor.copy(statement.encode()) as rows:
            yield from files.tables(rows)


def _drop(partition: Partition) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {partition.name}")
        ArchivedMonth.objects.filter(pk=partition.month).update(dropped_at=timezone.now())
