"""How long calls took, of the newest ones that were looked for; read from the calls themselves, and exact for those."""

from dataclasses import dataclass

from logs import bounds
from logs.wanted import Wanted
from wallet.transactions import report_rows

NEWEST = 10_000
# No index leads to the calls of one model with one key: between the newest of them may lie all others of the wallet.
WAIT_MS = 1_000
OF_CALLS = """
    SELECT count(*),
        percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE status = 'succeeded'),
        percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE status = 'succeeded')
    FROM logs_call WHERE {}
"""


@dataclass(frozen=True, slots=True)
class Latencies:
    """In milliseconds, of calls that succeeded and whose time was reported; None where there is none."""

    calls: int
    """So many were looked at."""
    p50_ms: int | None
    p95_ms: int | None
    first_token_p50_ms: int | None
    first_token_p95_ms: int | None


def of(wanted: Wanted) -> Latencies | None:
    """Of the newest calls only, so that it takes the same time however many there are; None where it would take too long."""
    try:
        with bounds.within(WAIT_MS):
            return _of(wanted)
    except bounds.TooLong:
        return None


def _of(wanted: Wanted) -> Latencies:
    condition, parameters = wanted.where()
    # The oldest of them first, by an index alone. With an order and a limit on whole rows PostgreSQL may walk through
    # everybody's calls instead, which is long where this wallet was idle of late.
    oldest = f"SELECT id FROM logs_call WHERE {condition} ORDER BY id DESC OFFSET {NEWEST - 1} LIMIT 1"  # noqa: S608
    if found := report_rows(oldest, parameters):
        condition, parameters = f"{condition} AND id >= %s", [*parameters, found[0][0]]
    ((calls, whole, first),) = report_rows(OF_CALLS.format(condition), parameters)
    return Latencies(calls, *(whole or (None, None)), *(first or (None, None)))
