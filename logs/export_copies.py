"""The lines of an export as PostgreSQL writes them: those of the table, then those of archived months. One snapshot.

It has a database connection of its own, beside the pool of the site.
"""

import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import psycopg
from django.db import connection
from psycopg import sql
from psycopg.types.json import Jsonb

from logs import archive
from logs.exporting import SESSION, Format, statement
from logs.models import Call
from logs.wanted import Wanted

# What pg_stat_activity calls its connection.
APPLICATION = "comet export"
# So many are looked at between two signs of life.
ARCHIVED_ROWS = 1_000
CANCEL_TIMEOUT_S = 5.0
_COLUMNS = [str(field.column) for field in Call._meta.concrete_fields]


class Copies:
    """Lines, newest first; of CSV the first names the columns. Raises psycopg.OperationalError and archive.Unreadable."""

    def __init__(self, wanted: Wanted, form: Format) -> None:
        self._wanted, self._form = wanted, form
        self._connection = psycopg.connect(
            **{**connection.get_connection_params(), "application_name": APPLICATION}
        )
        # Of its own, whose number stays this connection's until `close`.
        self._socket, self._closing = (
            socket.socket(fileno=os.dup(self._connection.fileno())),
            threading.Lock(),
        )
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        """Empty bytes are no line: they tell that time went by."""
        yield from self._copied(statement(self._wanted, self._form, kept_from=self._kept_from))
        if self._months:
            # Through a table of this session, so that the same statement writes them.
            self._connection.execute("CREATE TEMPORARY TABLE exported (LIKE logs_call)")
        for month in self._months:
            for rows in itertools.batched(self._archived(month), ARCHIVED_ROWS, strict=False):
                self._connection.execute("TRUNCATE exported")
                self._fill(rows)
                yield from self._copied(statement(self._wanted, self._form, "exported", with_head=False))
                yield b""
            yield b""

    def cut(self) -> None:
        """Take the database's side away, from any thread: what reads these lines fails."""
        with self._closing, suppress(OSError):
            # A statement that finds nothing would not see that nobody listens; one that waits to write sees nothing else.
            self._cancel()
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """From any thread."""
        with self._closing:
            self._cancel()
            self._socket.close()
            self._connection.close()

    def _begin(self) -> None:
        with self._connection.cursor() as cursor:
            for setting in SESSION:
                cursor.execute(setting)
            self._connection.commit()
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Takes no snapshot itself; no month leaves the table from here on.
            cursor.execute("LOCK TABLE logs_call IN ACCESS SHARE MODE")
            cursor.execute("SELECT upper_id FROM logs_archivedmonth ORDER BY month DESC LIMIT 1")
            found = cursor.fetchone()
        self._kept_from = found[0] if found else None
        # Read after the snapshot: it has each month that the snapshot doesn't.
        self._months = [
            month for month in archive.months() if self._kept_from and month.upper_id <= self._kept_from
        ]

    def _archived(self, month: archive.Month) -> Iterator[archive.Row]:
        lower, upper = self._wanted.id_bounds
        if month.lower_id < upper and lower < month.upper_id:
            from logs.archive import files  # Loads Arrow, which most exports don't need.

            yield from files.rows_of(month.path, [self._wanted.wallet_id], lower, upper)

    def _fill(self, rows: tuple[archive.Row, ...]) -> None:
        columns = sql.SQL(", ").join([sql.Identifier(name) for name in _COLUMNS])
        with self._connection.cursor().copy(sql.SQL("COPY exported ({}) FROM STDIN").format(columns)) as sink:
            for row in rows:
                written = {**row, "usage": Jsonb(row["usage"])}
                sink.write_row([written[name] for name in _COLUMNS])

    def _copied(self, query: sql.Composed) -> Iterator[bytes]:
        with self._connection.cursor().copy(query) as source:
            yield from map(bytes, source)

    def _cancel(self) -> None:
        with suppress(psycopg.Error):
            if self._connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self._connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)
