"""How long a look at many calls may take, and how many of them there may be at once.

Who waits for one keeps a thread of the site, of which the gateway's requests need one too.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from django.db import OperationalError, connection, transaction

PER_PROCESS = 2

places = threading.BoundedSemaphore(PER_PROCESS)


class TooLong(Exception):
    """The database would have taken longer."""


class Busy(Exception):
    """The wallet has one under way, or this process as many as it can bear."""


@contextmanager
def within(milliseconds: int) -> Iterator[None]:
    """All statements inside, in one transaction, take so long together at most. Raises TooLong.

    One that goes past Django, as of `transactions.report_rows`, has what was left when Django last sent one.
    """
    ends_at = time.monotonic() + milliseconds / 1000

    def bounded(execute: Callable[..., Any], *asked: Any) -> Any:
        _bound(ends_at)
        return execute(*asked)

    try:
        with transaction.atomic():
            _bound(ends_at)
            with connection.execute_wrapper(bounded):
                yield
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        raise TooLong from error


def _bound(ends_at: float) -> None:
    """Give the next statement what is left."""
    left_ms = int((ends_at - time.monotonic()) * 1000)
    if left_ms <= 0:
        raise TooLong
    connection.ensure_connection()
    # Not by a cursor of Django's, whose statements are what is bounded.
    raw = cast("psycopg.Connection", connection.connection)
    with connection.wrap_database_errors:
        raw.execute("SELECT set_config('statement_timeout', %s, true)", [str(left_ms)])


@contextmanager
def alone(wallet_id: int, milliseconds: int) -> Iterator[None]:
    """The same, once at a time for a wallet over all processes, and PER_PROCESS times in this one. Raises Busy too."""
    if not places.acquire(blocking=False):
        raise Busy
    try:
        with within(milliseconds), connection.cursor() as cursor:
            name = f"count:{wallet_id}"
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
            if not cursor.fetchone()[0]:
                raise Busy
            yield
    finally:
        places.release()
