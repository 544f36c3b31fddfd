"""One unit of work, run again from its start where the database lost it.

A unit that is run through `again_if_lost` must be safe to run twice: everything it writes is keyed by an id that it was
given. Then a COMMIT whose outcome nobody knows is simply tried once more.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg_pool import PoolTimeout

if TYPE_CHECKING:
    from typing import LiteralString

ATTEMPTS = 4
# Serialization failure, deadlock, lock timeout: the transaction was undone, and may succeed next time.
UNDONE = {"40001", "40P01", "55P03"}


def again_if_lost[T](work: Callable[[], T], *, is_one_statement: bool = False) -> T:
    """Run `work` in a transaction; after a lost connection, a deadlock or a serialization failure run it again.

    Work of one statement commits with it, which saves two round trips.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with nullcontext() if is_one_statement else transaction.atomic():
                return work()
        except (OperationalError, InterfaceError) as error:
            nested = connection.in_atomic_block
            if nested or attempt == ATTEMPTS or not _may_succeed(error):
                raise
            _drop_broken_connection()
            time.sleep(random.uniform(0, 0.02) * 2**attempt)  # noqa: S311 (only spreads retries)
    raise AssertionError("unreachable")


def _may_succeed(error: Exception) -> bool:
    cause = error.__cause__
    if isinstance(cause, PoolTimeout):
        return False  # It has waited already; whoever asked is told to come back.
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    return state is None or state in UNDONE or state.startswith(("08", "57P"))


def _drop_broken_connection() -> None:
    raw = connection.connection
    if raw is not None and (raw.closed or raw.broken):
        connection.close()


def rows(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a statement that the server keeps prepared, and plans once: for the paths where every call passes.

    Planning would take longer than running, so its plan must not depend on the parameters (plan_cache_mode in the settings).
    Runs on Django's own connection, inside its transaction. Errors are Django's; JSON comes as text.
    """
    with _cursor(psycopg.Cursor) as cursor:
        cursor.execute(sql, parameters, prepare=True)
        return _fetched(cursor)


type Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Ask[T]:
    """Statements to be sent, with their parameters, and what to make of the rows of each."""

    statements: Sequence[tuple[str, Sequence[Any]]]
    read: Callable[[list[Rows]], T]

    def now(self) -> T:
        return self.read(_send(self.statements))


def together[A, B, C](first: Ask[A], second: Ask[B], third: Ask[C]) -> tuple[A, B, C]:
    """Send all of them at once and wait once; they run one after the other. Waiting costs more than small statements."""
    asks: tuple[Ask[Any], ...] = (first, second, third)
    answers = iter(_send([statement for ask in asks for statement in ask.statements]))
    a, b, c = (ask.read([next(answers) for _ in ask.statements]) for ask in asks)
    return a, b, c


def _send(statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Rows]:
    """The rows of each, as `rows` gives them. After an error in one, those behind it do not run."""
    connection.ensure_connection()
    raw = cast("psycopg.Connection", connection.connection)
    with connection.wrap_database_errors:
        with raw.pipeline():
            cursors = [psycopg.Cursor(raw).execute(sql, given, prepare=True) for sql, given in statements]
        return [_fetched(cursor) for cursor in cursors]


def report_rows(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """The same of a statement that reads much, and is planned for its very parameters."""
    with _cursor(psycopg.ClientCursor) as cursor:
        cursor.execute(sql, parameters)
        return _fetched(cursor)


@contextmanager
def snapshot(*tables: str) -> Iterator[None]:
    """All statements inside see one state of the database, and only read. A transaction around it stays as it is.

    `tables` lose no part meanwhile: one that is detached after the snapshot is taken would be missing in what it shows.
    """
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        if not is_nested:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                for table in tables:
                    # Takes no snapshot itself.
                    cursor.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
                # Sums over millions of rows, in memory rather than in files.
                cursor.execute("SET LOCAL work_mem = '64MB'")
        yield


def copy(statement: "LiteralString", lines: Iterable[str]) -> None:
    """Send lines in COPY's text format, each with its line feed; the fastest way into a table for many rows."""
    with _cursor(psycopg.Cursor) as cursor, cursor.copy(statement) as sink:
        sink.write("".join(lines))


def array(values: Iterable[int | str | UUID | date]) -> str:
    """A PostgreSQL array as text, to be cast where it is used: of numbers, ids, times and names of ours.

    For hundreds of values: psycopg looks at each element of a list for its type, which costs more than all else. What
    comes from outside would have to be quoted, and has no place here.
    """
    return "{" + ",".join(map(str, values)) + "}"


ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def cell(value: object) -> str:
    """A value in COPY's text format."""
    if value is None:
        return "\\N"
    text = str(value)
    return text if text.isprintable() and "\\" not in text else text.translate(ESCAPED)


def _fetched(cursor: psycopg.Cursor[Any]) -> Rows:
    """All rows, or none of a statement that gives none. `description` would make an object for each column first."""
    result = cursor.pgresult
    return cursor.fetchall() if result is not None and result.nfields else []


@contextmanager
def _cursor(kind: type[psycopg.Cursor[Any]]) -> Iterator[psycopg.Cursor[Any]]:
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        kind(cast("psycopg.Connection", connection.connection)) as cursor,
    ):
        yield cursor
