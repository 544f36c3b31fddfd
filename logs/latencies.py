"""How long calls took, of the newest ones that were looked for; read from the calls themselves, and exact for those."""

from dataclasses import dataclass

from django.db import connection

from logs.wanted import Wanted

NEWEST = 10_000


@dataclass(frozen=True, slots=True)
class Latencies:
    """In milliseconds, of calls that succeeded and whose time was reported; None where there is none."""

    calls: int
    """So many were looked at."""
    p50_ms: int | None
    p95_ms: int | None
    first_token_p50_ms: int | None
    first_token_p95_ms: int | None


def of(wanted: Wanted) -> Latencies:
    """Of the newest calls only, so that it takes the same time however many there are."""
    condition, parameters = wanted.where("logs_call")
    query = f"""
        SELECT count(*),
            percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE status = 'succeeded'),
            percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE status = 'succeeded')
        FROM (
            SELECT status, latency_ms, first_token_ms FROM logs_call WHERE {condition} ORDER BY id DESC LIMIT {NEWEST}
        ) newest
    """  # noqa: S608  # a condition of ours, with parameters
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        calls, whole, first = cursor.fetchone()
    return Latencies(calls, *(whole or (None, None)), *(first or (None, None)))
