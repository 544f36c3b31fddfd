"""The function that counts what stands against a key's limits, inside the statement that admits a call.

A function, because each of its statements sees what was committed before it began, not before the whole statement did: so
what is counted after the lock of the wallet's funds includes what others placed that had the lock before. The lock is the
one that placing the hold takes, and lasts as long as the hold's transaction.

No counter is kept, so none can leak or drift: a call counts as it stands among open holds, the calls of the last minute and
daily usage. Overdue holds count for nothing, expired yet or not. tokens/limits.py says what the limits mean.
"""

from django.db import migrations

# Unit by unit, which takes a third of the time that going through all of a call's units does.
UNITS = (
    "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "input_audio_tokens", "cached_input_audio_tokens", "output_audio_tokens", "input_image_tokens",
    "cached_input_image_tokens", "output_image_tokens",
)  # fmt: skip
CREATE = """
CREATE FUNCTION logs_limit_reached(wanted_key_id bigint, wanted_wallet_id bigint, minute_floor uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    reached text;
BEGIN
    PERFORM FROM wallet_funds WHERE wallet_id = wanted_wallet_id FOR NO KEY UPDATE;
    -- In one statement, so that a call which is being recorded counts once: as a hold or as a charge.
    SELECT CASE
            WHEN held.amount + (SELECT coalesce(sum(charged_nanousd), 0) FROM tokens_dailyusage
                    WHERE k.limit_nanousd IS NOT NULL AND key_id = k.id)
                >= k.limit_nanousd THEN 'limit_nanousd'
            WHEN held.amount + (SELECT coalesce(sum(charged_nanousd), 0) FROM tokens_dailyusage
                    WHERE k.period <> '' AND key_id = k.id
                        AND day >= date_trunc(nullif(k.period, ''), now() AT TIME ZONE 'UTC')::date)
                >= k.period_limit_nanousd THEN 'period_limit_nanousd'
            WHEN held.requests + recorded.requests >= k.requests_per_minute THEN 'requests_per_minute'
            WHEN held.tokens + recorded.tokens >= k.tokens_per_minute THEN 'tokens_per_minute'
            WHEN held.calls >= k.calls_in_flight THEN 'calls_in_flight'
            ELSE '' END
    INTO reached
    FROM tokens_apikey k,
        LATERAL (
            SELECT coalesce(sum(amount_nanousd), 0) AS amount, count(*) AS calls,
                count(*) FILTER (WHERE created_at > now() - interval '1 minute') AS requests,
                coalesce(sum(expected_tokens) FILTER (WHERE created_at > now() - interval '1 minute'), 0) AS tokens
            FROM wallet_hold
            WHERE wallet_id = wanted_wallet_id AND state = 'open' AND expires_at > now() AND reference = k.id::text
        ) AS held,
        LATERAL (
            SELECT count(*) AS requests,
                coalesce(sum(CASE WHEN k.tokens_per_minute IS NOT NULL THEN {tokens} END), 0) AS tokens
            FROM logs_call
            WHERE coalesce(k.requests_per_minute, k.tokens_per_minute) IS NOT NULL
                AND wallet_id = wanted_wallet_id AND id >= minute_floor AND key_id = k.id
        ) AS recorded
    WHERE k.id = wanted_key_id;
    RETURN reached;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0003_daily_usage"),
        ("tokens", "0003_rules_of_keys"),
        ("wallet", "0022_expected_tokens"),
    ]

    operations = [
        migrations.RunSQL(
            CREATE.format(tokens=" + ".join(f"coalesce((usage->>'{unit}')::bigint, 0)" for unit in UNITS)),
            "DROP FUNCTION logs_limit_reached(bigint, bigint, uuid)",
        )
    ]
