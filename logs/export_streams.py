"""An export under way: its connection, its blocks of bytes, and its end.

Each has a database connection of its own, beside the pool of the site, and there are few at a time: PER_WALLET of a wallet
over all processes, which locks of the database keep, and PER_PROCESS of a process, since each keeps one of its threads. All
that it reads is one snapshot. It ends when its reader leaves (`close`), and lets go of the database when its reader stands
still.
"""

import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import psycopg
from django.db import connection
from psycopg import sql
from psycopg.types.json import Jsonb

from logs import archive
from logs.export_progress import Progress
from logs.exporting import SESSION, Format, statement
from logs.models import Call
from logs.wanted import Wanted

log = logging.getLogger(__name__)

PER_WALLET, PER_PROCESS = 2, 4
BLOCK_BYTES = 65_536
ARCHIVED_ROWS = 10_000
# A reader that takes nothing for so long loses the database's side, whose snapshot keeps old rows from being cleared away.
STILL_S = 120.0
CANCEL_TIMEOUT_S = 5.0
RETRY_AFTER_S = 30

places = threading.BoundedSemaphore(PER_PROCESS)
_COLUMNS = [str(field.column) for field in Call._meta.concrete_fields]


class TooMany(Exception):
    """The wallet has as many exports under way as it may."""


class Busy(Exception):
    """This process has as many exports under way as it can bear, or the database does not let it begin."""


class Stopped(Exception):
    """Its owner stopped the export."""


class Export:
    """The bytes of a file, in blocks. Whoever makes one closes it. Raises TooMany and Busy.

    An error on the way, a stop, or a connection lost ends the file with a line that says it is not whole.
    """

    def __init__(self, wanted: Wanted, form: Format, progress: Progress) -> None:
        self._closed = threading.Event()
        if not places.acquire(blocking=False):
            self._closed.set()
            raise Busy
        self._wanted, self._form, self._progress = wanted, form, progress
        self._closing = threading.Lock()
        self._is_over = False
        self._taken_at = time.monotonic()
        try:
            self._connection = psycopg.connect(**connection.get_connection_params())
        except psycopg.OperationalError as error:
            self._closed.set()
            places.release()
            raise Busy from error
        try:
            self._begin()
        except psycopg.OperationalError as error:
            self.close()
            raise Busy from error
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._watch, name="export-watch", daemon=True).start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        self._taken_at = time.monotonic()
        if not connection.in_atomic_block:
            # The request's own, which it would keep from the others until the file is written.
            connection.close()
        if self._is_over:
            raise StopIteration
        try:
            return next(self._blocks)
        except StopIteration:
            self._is_over = True
            self._progress.ended("done")
            self.close()
            raise
        except Exception as error:
            self._is_over = True
            if self._closed.is_set():
                raise StopIteration from None
            return self._broken(error)

    def __del__(self) -> None:
        if not self._closed.is_set():
            self.close()  # Of an answer that an error on its way out took away.

    def close(self) -> None:
        """Cancel the statement and give everything back. Twice is fine, and from any thread."""
        with self._closing:
            if self._closed.is_set():
                return
            self._closed.set()
        if not self._is_over:
            self._progress.ended("left")
        with suppress(psycopg.Error):
            if self._connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self._connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)
        self._connection.close()
        places.release()

    def _begin(self) -> None:
        """Take the snapshot, and the first block of it, so that what can't work is refused before a file begins."""
        with self._connection.cursor() as cursor:
            for setting in SESSION:
                cursor.execute(setting)
            self._connection.commit()
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Takes no snapshot itself; no month leaves the table from here on.
            cursor.execute("LOCK TABLE logs_call IN ACCESS SHARE MODE")
            if not any(self._is_ours(cursor, number) for number in range(PER_WALLET)):
                raise TooMany
            cursor.execute("SELECT upper_id FROM logs_archivedmonth ORDER BY month DESC LIMIT 1")
            found = cursor.fetchone()
        kept_from = found[0] if found else None
        # Read after the snapshot: it has each month that the snapshot doesn't.
        months = [month for month in archive.months() if kept_from and month.upper_id <= kept_from]
        blocks = self._gathered(self._rows(kept_from, months))
        first = next(blocks, None)
        self._blocks = itertools.chain([first], blocks) if first else iter(())

    def _is_ours(self, cursor: "psycopg.Cursor[Any]", number: int) -> bool:
        name = f"export:{self._wanted.wallet_id}:{number}"
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        return bool((cursor.fetchone() or [False])[0])

    def _gathered(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        block: list[bytes] = []
        size = 0
        for row in rows:
            block.append(row)
            size += len(row)
            if size >= BLOCK_BYTES:
                self._count(len(block))
                yield b"".join(block)
                block, size = [], 0
        self._count(len(block))
        if block:
            yield b"".join(block)

    def _count(self, rows: int) -> None:
        if not self._progress.may_go_on(rows):
            raise Stopped

    def _rows(self, kept_from: Any, months: list[archive.Month]) -> Iterator[bytes]:
        """Lines, newest first; of CSV the first one names the columns."""
        yield from self._copied(statement(self._wanted, self._form, kept_from=kept_from))
        calls = itertools.chain.from_iterable(self._archived(month) for month in months)
        for number, rows in enumerate(itertools.batched(calls, ARCHIVED_ROWS, strict=False)):
            # Through a table of this session, so that the same statement writes them.
            self._connection.execute(
                "TRUNCATE exported" if number else "CREATE TEMPORARY TABLE exported (LIKE logs_call)"
            )
            self._fill(rows)
            yield from self._copied(statement(self._wanted, self._form, "exported", with_head=False))

    def _archived(self, month: archive.Month) -> Iterator[archive.Row]:
        lower, upper = self._wanted.id_bounds
        if month.lower_id < upper and lower < month.upper_id:
            from logs.archive import files  # Loads Arrow, which most exports don't need.

            yield from files.rows_of(month.path, self._wanted.wallet_id, lower, upper)

    def _fill(self, rows: tuple[archive.Row, ...]) -> None:
        columns = sql.SQL(", ").join([sql.Identifier(name) for name in _COLUMNS])
        with self._connection.cursor().copy(sql.SQL("COPY exported ({}) FROM STDIN").format(columns)) as sink:
            for row in rows:
                written = {**row, "usage": Jsonb(row["usage"])}
                sink.write_row([written[name] for name in _COLUMNS])

    def _copied(self, query: sql.Composed) -> Iterator[bytes]:
        with self._connection.cursor().copy(query) as source:
            yield from map(bytes, source)

    def _broken(self, error: Exception) -> bytes:
        """The line that ends the file instead of its rest."""
        self._progress.ended("stopped" if isinstance(error, Stopped) else "broken")
        self.close()
        if isinstance(error, Stopped):
            return self._form.incomplete("this export was stopped.")
        log.error("An export of wallet %s broke off.", self._wanted.wallet_id, exc_info=error)
        return self._form.incomplete("an error ended this export. Export it again.")

    def _watch(self) -> None:
        while not self._closed.wait(STILL_S / 10):
            if time.monotonic() - self._taken_at > STILL_S:
                log.warning("An export of wallet %s stood still.", self._wanted.wallet_id)
                # The server's process waits to write to us; nothing but the end of the connection reaches it.
                with (
                    suppress(OSError, psycopg.Error),
                    socket.socket(fileno=os.dup(self._connection.fileno())) as its,
                ):
                    its.shutdown(socket.SHUT_RDWR)
                return
