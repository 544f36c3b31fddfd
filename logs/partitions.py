"""Months of the calls' table are made ahead; there is no partition for everything else, since ids are bounded in time."""

from django.db import connection

MONTHS_AHEAD = 2
MONTHS_BACK = 2


def make_partitions() -> None:
    """Make what is missing from two months back to two ahead. Safe to run at any time and in parallel."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT logs_make_partition((date_trunc('month', now()) + make_interval(months => step))::date)"
            " FROM generate_series(%s, %s) AS step",
            [-MONTHS_BACK, MONTHS_AHEAD],
        )
