"""Counts what stands against a key's limits by one statement for each limit that the key has.

They run one after the other under the lock of the wallet's funds, which is as exact as one statement for all: whoever
records a call takes its hold away and lowers the funds in one transaction, so that none can commit in between. The key comes
from the statement that found it; the ceiling spares the months that are made ahead.
"""

from django.db import migrations

# Unit by unit, which takes a third of the time that going through all of a call's units does.
UNITS = (
    "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "input_audio_tokens", "cached_input_audio_tokens", "output_audio_tokens", "input_image_tokens",
    "cached_input_image_tokens", "output_image_tokens",
)  # fmt: skip
TOKENS = " + ".join(f"coalesce((usage->>'{unit}')::bigint, 0)" for unit in UNITS)
# Without sequential scans: a plan is kept, also where it was made while a table was small.
CREATE = f"""
CREATE FUNCTION logs_limit_reached(k tokens_apikey, minute_floor uuid, minute_ceiling uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    held record;
    recorded record;
BEGIN
    PERFORM FROM wallet_funds WHERE wallet_id = k.wallet_id FOR NO KEY UPDATE;
    SELECT coalesce(sum(amount_nanousd), 0) AS amount, count(*) AS calls,
        count(*) FILTER (WHERE created_at > now() - interval '1 minute') AS requests,
        coalesce(sum(expected_tokens) FILTER (WHERE created_at > now() - interval '1 minute'), 0) AS tokens
    INTO held
    FROM wallet_hold
    WHERE wallet_id = k.wallet_id AND state = 'open' AND expires_at > now() AND reference = k.id::text;
    IF k.limit_nanousd IS NOT NULL AND k.limit_nanousd <= held.amount + (
        SELECT coalesce(sum(charged_nanousd), 0) FROM tokens_dailyusage WHERE key_id = k.id
    ) THEN
        RETURN 'limit_nanousd';
    END IF;
    IF k.period_limit_nanousd IS NOT NULL AND k.period_limit_nanousd <= held.amount + (
        SELECT coalesce(sum(charged_nanousd), 0) FROM tokens_dailyusage
        WHERE key_id = k.id AND day >= date_trunc(k.period, now() AT TIME ZONE 'UTC')::date
    ) THEN
        RETURN 'period_limit_nanousd';
    END IF;
    IF num_nonnulls(k.requests_per_minute, k.tokens_per_minute) > 0 THEN
        SELECT count(*) AS requests, coalesce(sum(CASE WHEN k.tokens_per_minute IS NOT NULL THEN {TOKENS} END), 0) AS tokens
        INTO recorded
        FROM logs_call
        WHERE wallet_id = k.wallet_id AND id >= minute_floor AND id < minute_ceiling AND key_id = k.id;
        IF k.requests_per_minute <= held.requests + recorded.requests THEN
            RETURN 'requests_per_minute';
        END IF;
        IF k.tokens_per_minute <= held.tokens + recorded.tokens THEN
            RETURN 'tokens_per_minute';
        END IF;
    END IF;
    IF k.calls_in_flight <= held.calls THEN
        RETURN 'calls_in_flight';
    END IF;
    RETURN '';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0006_rise_notices"),
        ("tokens", "0007_last_asked_at"),
    ]

    operations = [
        migrations.RunSQL(CREATE, "DROP FUNCTION logs_limit_reached(tokens_apikey, uuid, uuid)"),
        # What it stands for is gone with the release that brings this one.
        migrations.RunSQL("DROP FUNCTION logs_limit_reached(bigint, bigint, uuid)", migrations.RunSQL.noop),
    ]
