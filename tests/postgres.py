"""The test run's own PostgreSQL: started by the first test that needs it, gone when the run ends.

Also puts the database back after a test that committed. Django does that by TRUNCATE, which the ledger's
triggers refuse, and which would take the rows that migrations wrote.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from cometsite.quickstart import postgres
from cometsite.quickstart.postgres import Cluster

STOP_TIMEOUT_S = 10


@contextmanager
def running(cluster: Cluster, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The server of this cluster, stopped at the end whatever happens; if this process dies, so does it."""
    cluster.prepare()
    server = cluster.start(log)
    try:
        cluster.wait_until_ready(server, log)
        yield server
    finally:
        # A second Ctrl-C must not leave the server behind.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        postgres.stop(server, postgres.IMMEDIATE, STOP_TIMEOUT_S)
        signal.signal(signal.SIGINT, previous)


@dataclass(frozen=True)
class Table:
    """A table, its columns that can be written, and the migrations' rows in it as COPY's text."""

    name: str
    columns: tuple[str, ...]
    rows: bytes

    def copy(self, direction: str) -> sql.Composed:
        columns = sql.SQL(", ").join(map(sql.Identifier, self.columns))
        return sql.SQL("COPY {} ({}) {}").format(sql.Identifier(self.name), columns, sql.SQL(direction))


class Snapshot:
    """What every table held when the migrations were done."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            self.seeded = [table for table in self._read(connection) if table.rows]

    def _read(self, connection: "psycopg.Connection[tuple[object, ...]]") -> Iterator[Table]:
        for name in _tables(connection):
            table = Table(name, _columns(connection, name), b"")
            with connection.cursor().copy(table.copy("TO STDOUT")) as copy:
                yield Table(name, table.columns, b"".join(bytes(block) for block in copy))

    def restore(self) -> None:
        """Empties all tables and writes the migrations' rows again; waits 10 s at most for a test's lock."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SET LOCAL lock_timeout = '10s'")
            # Triggers and foreign keys stay out of it; only a superuser, as the tests are, may say so.
            connection.execute("SET LOCAL session_replication_role = replica")
            for name in _tables(connection):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for table in self.seeded:
                with connection.cursor().copy(table.copy("FROM STDIN")) as copy:
                    copy.write(table.rows)


def _tables(connection: "psycopg.Connection[tuple[object, ...]]") -> list[str]:
    found = connection.execute(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'django_migrations' ORDER BY relname"
    )
    return [str(name) for (name,) in found]


def _columns(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> tuple[str, ...]:
    found = connection.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = quote_ident(%s)::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        [table],
    )
    return tuple(str(name) for (name,) in found)
