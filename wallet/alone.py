"""Long jobs of which one runs at a time, over all processes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)


@contextmanager
def at(name: str) -> Iterator[bool]:
    """Whether nobody else is at it; if so, nobody will be until the block ends.

    Holds a lock on a connection of its own: the database gives it back when the process dies, however it does.
    """
    guard = connection.copy()
    is_ours = False
    try:
        with guard.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
            is_ours = bool(cursor.fetchone()[0])
        yield is_ours
    finally:
        try:
            if is_ours:
                with guard.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])
        except DatabaseError:
            logger.warning("The connection that held the lock is gone, and the lock with it.")
        finally:
            guard.close()
