"""When a limit a minute lets the next call in. Asked only where a call was refused, after the statement that refused it."""

from datetime import datetime, timedelta

from logs import call_ids
from pricing.units import TOKEN_UNITS
from tokens import limits
from tokens.models import ApiKey
from wallet.transactions import rows

# The call that must leave the minute is the newest which still fills the limit together with all that are newer.
NEWEST_TO_LEAVE = """
    WITH counted AS (
        SELECT created_at AS at, CASE WHEN %(is_of_tokens)s THEN expected_tokens ELSE 1 END AS weight
        FROM wallet_hold
        WHERE wallet_id = %(wallet_id)s AND state = 'open' AND expires_at > %(now)s AND reference = %(key_id)s::text
            AND created_at > %(since)s
        UNION ALL
        SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0),
            CASE WHEN %(is_of_tokens)s THEN (
                SELECT coalesce(sum(used.value::bigint), 0) FROM jsonb_each_text(usage) AS used
                WHERE used.key = ANY(%(units)s)
            ) ELSE 1 END
        FROM logs_call
        WHERE wallet_id = %(wallet_id)s AND id >= %(floor)s AND key_id = %(key_id)s
    )
    SELECT max(at) FROM (SELECT at, sum(weight) OVER (ORDER BY at DESC) AS with_newer FROM counted) AS summed
    WHERE with_newer >= %(limit)s
"""


def seconds(key: ApiKey, limit: str, now: datetime) -> int | None:
    """Until the limit of this column has room again, rounded up; None for limits that no minute lifts.

    Exact for calls; for tokens as far as open calls use what is expected of them.
    """
    most = {
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
    }.get(limit)
    if most is None:
        return None
    since = now - limits.MINUTE
    parameters = {
        "is_of_tokens": limit == "tokens_per_minute",
        "wallet_id": key.wallet_id,
        "key_id": key.pk,
        "now": now,
        "since": since,
        "floor": call_ids.floor(since),
        "units": sorted(TOKEN_UNITS),
        "limit": most,
    }
    ((leaves,),) = rows(NEWEST_TO_LEAVE, parameters)
    return 1 if leaves is None else _until(leaves + limits.MINUTE, now)


def _until(at: datetime, now: datetime) -> int:
    return max(-(-(at - now) // timedelta(seconds=1)), 1)
