"""The same work on many threads that start together, and whether any waited for one another in a circle."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection, connections


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … `work(count - 1)` returned, in that order; each has a connection of its own."""
    ready = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            ready.wait(20)
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def deadlocks() -> int:
    """How many PostgreSQL has counted in this database, as far as its processes have told."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
