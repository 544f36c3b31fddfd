"""How long a look at many calls may take, and how many of them there may be at once.

Who waits for one keeps a thread of the site, of which the gateway's requests need one too.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Each statement inside, all in one transaction, takes so long at most. Raises TooLong."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            yield
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        raise TooLong from error


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
