"""What counts against a key's limits now: read from daily usage, open holds and the calls of the last minute.

No counter is kept, so none can leak or drift: a call that is recorded, released or forgotten counts as it stands in those
tables. Exact under any number of parallel calls, since the wallet's funds are locked before the count and until the hold is
placed. tokens/limits.py says what the limits mean.
"""

import threading
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from logs import call_ids
from pricing.units import UNITS, Family
from tokens import limits
from tokens.limits import Reached
from tokens.models import ApiKey
from wallet.transactions import Ask, Rows

TOKENS = [code for code, unit in UNITS.items() if unit.family == Family.TOKENS]
HAS_NONE = "num_nonnulls(limit_nanousd, period_limit_nanousd, requests_per_minute, tokens_per_minute, calls_in_flight) = 0"
# The lock that holds.PLACE takes, taken before: what is counted after it includes what others placed that had it.
LOCK = """
    SELECT FROM wallet_funds WHERE wallet_id = (
        SELECT wallet_id FROM tokens_apikey WHERE digest = %(digest)s OR previous_digest = %(digest)s
    ) FOR NO KEY UPDATE
"""
# The first limit that is reached, by the name of its column, those that last longest first; for the statement that admits
# a call, behind `key`. Only what a key has a limit for is counted. Overdue holds count for nothing, expired yet or not.
REACHED = """
    standing AS (
        SELECT key.*,
            CASE WHEN limit_nanousd IS NOT NULL THEN (
                SELECT sum(charged_nanousd) FROM tokens_dailyusage WHERE key_id = key.id) END AS spent,
            CASE WHEN period_limit_nanousd IS NOT NULL THEN (
                SELECT sum(charged_nanousd) FROM tokens_dailyusage
                WHERE key_id = key.id AND day >= date_trunc(period, now() AT TIME ZONE 'UTC')::date) END AS spent_in_period,
            held.*, recorded.*
        FROM key,
            LATERAL (
                SELECT coalesce(sum(amount_nanousd), 0) AS held, count(*) AS open_calls,
                    count(*) FILTER (WHERE created_at > now() - interval '1 minute') AS open_requests,
                    sum(expected_tokens) FILTER (WHERE created_at > now() - interval '1 minute') AS open_tokens
                FROM wallet_hold
                WHERE wallet_id = key.wallet_id AND state = 'open' AND expires_at > now() AND reference = key.id::text
            ) held,
            LATERAL (
                SELECT count(*) AS recorded_requests, CASE WHEN tokens_per_minute IS NOT NULL THEN sum((
                        SELECT sum(quantity::bigint) FROM jsonb_each_text(c.usage) AS u(unit, quantity)
                        WHERE unit = ANY(%(token_units)s::text[])
                    )) END AS recorded_tokens
                FROM logs_call c
                WHERE coalesce(requests_per_minute, tokens_per_minute) IS NOT NULL
                    AND c.wallet_id = key.wallet_id AND c.id >= %(minute_floor)s::uuid AND c.key_id = key.id
            ) recorded
    ),
    limits AS (
        SELECT CASE
            WHEN coalesce(spent, 0) + held >= limit_nanousd THEN 'limit_nanousd'
            WHEN coalesce(spent_in_period, 0) + held >= period_limit_nanousd THEN 'period_limit_nanousd'
            WHEN open_requests + recorded_requests >= requests_per_minute THEN 'requests_per_minute'
            WHEN coalesce(open_tokens, 0) + coalesce(recorded_tokens, 0) >= tokens_per_minute THEN 'tokens_per_minute'
            WHEN open_calls >= calls_in_flight THEN 'calls_in_flight'
            ELSE '' END AS reached
        FROM standing
    ),
"""
# Keys of which this process found limits: they are asked for in one round trip at once. Only ever a hint.
MOST_KNOWN = 10_000
_known: set[bytes] = set()
_lock = threading.Lock()


def is_known_to_have_limits(digest: bytes) -> bool:
    return digest in _known


def remember(digest: bytes) -> None:
    with _lock:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known.add(digest)


def counting[T](statement: str, given: dict[str, Any], read: Callable[[Rows], T]) -> T:
    """Run the statement, which has REACHED in it, under the lock: both are sent at once, and are one transaction."""
    floor = call_ids.floor(timezone.now() - limits.MINUTE)
    all_given = {**given, "token_units": TOKENS, "minute_floor": floor}
    return Ask(
        [(LOCK, {"digest": given["digest"]}), (statement, all_given)], lambda found: read(found[1])
    ).now()


def explain(key_id: int, limit: str) -> Reached:
    """The sentence for a limit that is reached, and when to ask again."""
    return limits.reached(ApiKey.objects.get(pk=key_id), limit, timezone.now())
