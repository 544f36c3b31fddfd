"""Counts from the calls what 0008 made room for: of every day its cached input and its dearest call, of the last 62 days the hours.

Day by day, each in a transaction of its own that keeps recording out for as long as counting that day takes. What is there
is replaced, so that it may be run again: after a crash half-way, and to count what processes of the release before have
recorded since (`migrate tokens 0008`, then `migrate`).
"""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper

HOURS_KEPT = timedelta(days=62)


def _tokens(units: tuple[str, ...]) -> str:
    return "+".join(f"coalesce((usage->>'{unit}')::bigint, 0)" for unit in units)


CACHED = _tokens(("cached_input_tokens", "cached_input_audio_tokens", "cached_input_image_tokens"))
INPUT = f"{CACHED}+" + _tokens(
    (
        "input_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "input_audio_tokens",
        "input_image_tokens",
    )
)
OUTPUT = _tokens(("output_tokens", "reasoning_tokens"))

# Whoever records a call writes both tables in the same transaction, and waits here; who reads does not.
LOCK = "LOCK TABLE tokens_dailyusage, tokens_hourlyusage IN SHARE ROW EXCLUSIVE MODE"
# A day's rows are found by their key one by one: there may be millions of other days.
PLAN = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
DAYS = f"""
    WITH counted AS MATERIALIZED (
        SELECT wallet_id, key_id, model_id, max(charged_nanousd) AS largest,
            coalesce(sum({CACHED}) FILTER (WHERE status = 'succeeded'), 0) AS cached
        FROM logs_call WHERE id >= %(floor)s AND id < %(ceiling)s
        GROUP BY wallet_id, key_id, model_id
    )
    UPDATE tokens_dailyusage d SET cached_input_tokens = cached, largest_nanousd = largest
    FROM counted
    WHERE d.wallet_id = counted.wallet_id AND d.day = %(day)s AND d.key_id = counted.key_id
        AND d.model_id = counted.model_id AND (d.cached_input_tokens, d.largest_nanousd) IS DISTINCT FROM (cached, largest)
"""
HOURS = f"""
    INSERT INTO tokens_hourlyusage AS h (wallet_id, hour, key_id, model_id, calls, failed, input_tokens,
        cached_input_tokens, output_tokens, charged_nanousd)
    SELECT wallet_id, date_trunc('hour', uuid_extract_timestamp(id), 'UTC') AS hour, key_id, model_id, count(*),
        count(*) FILTER (WHERE status = 'failed'),
        coalesce(sum({INPUT}) FILTER (WHERE status = 'succeeded'), 0),
        coalesce(sum({CACHED}) FILTER (WHERE status = 'succeeded'), 0),
        coalesce(sum({OUTPUT}) FILTER (WHERE status = 'succeeded'), 0), sum(charged_nanousd)
    FROM logs_call WHERE id >= %(floor)s AND id < %(ceiling)s
    GROUP BY wallet_id, hour, key_id, model_id
    ON CONFLICT (wallet_id, hour, key_id, model_id) DO UPDATE SET
        calls = excluded.calls, failed = excluded.failed, input_tokens = excluded.input_tokens,
        cached_input_tokens = excluded.cached_input_tokens, output_tokens = excluded.output_tokens,
        charged_nanousd = excluded.charged_nanousd
"""


def count_again(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """From the first day to the last one on which a call was counted; calls of new days are counted as they come."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT min(day), max(day) FROM tokens_dailyusage")
        first, last = cursor.fetchone()
        today = datetime.now(UTC).date()
        for number in range((last - first).days + 1 if first else 0):
            day = first + timedelta(days=number)
            _count_day(cursor, day, with_hours=day >= today - HOURS_KEPT)


def _count_day(cursor: CursorWrapper, day: date, *, with_hours: bool) -> None:
    given = {"day": day, "floor": _floor(day), "ceiling": _floor(day + timedelta(days=1))}
    with transaction.atomic():
        cursor.execute(LOCK)
        cursor.execute(PLAN)
        cursor.execute(DAYS, given)
        if with_hours:
            cursor.execute(HOURS, given)


def _floor(day: date) -> UUID:
    """The smallest id of that UTC day."""
    return UUID(int=int(datetime.combine(day, time.min, UTC).timestamp() * 1000) << 80)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("logs", "0007_limits_one_by_one"),
        ("tokens", "0008_hours"),
    ]

    operations = [migrations.RunPython(count_again, migrations.RunPython.noop)]
