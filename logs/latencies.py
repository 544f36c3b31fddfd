"""How long calls took, of the newest ones that were looked for; read from the calls themselves, and exact for those."""

from dataclasses import dataclass

from logs import bounds
from logs.wanted import Wanted
from wallet.transactions import report_rows

# A call is read from a place of its own: 10,000 of a wallet that makes a tenth of all calls took 40 ms.
NEWEST = 2_000
# No index leads to the calls of one model with one key: between the newest of them may lie all others of the wallet.
WAIT_MS = 1_000
# By their ids, which an index holds: for whole rows PostgreSQL reads everybody's calls of that time instead, which
# are many where it called little of late.
OF_CALLS = """
    SELECT count(*),
        percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE status = 'succeeded'),
        percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE status = 'succeeded')
    FROM logs_call WHERE id = ANY(ARRAY(SELECT id FROM logs_call WHERE {} ORDER BY id DESC LIMIT {}))
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
    ((calls, whole, first),) = report_rows(OF_CALLS.format(condition, NEWEST), parameters)
    return Latencies(calls, *(whole or (None, None)), *(first or (None, None)))
