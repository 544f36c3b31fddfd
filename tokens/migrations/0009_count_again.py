"""Counts from the calls what 0008 made room for: of every day its cached input and its dearest call, of the last 62 days the hours.

Hour by hour where hours are kept, each in a transaction of its own that keeps recording out for as long as counting that hour
takes; day by day before, where nothing is recorded any more. What is there is replaced, so that it may be run again: after a
crash half-way, and to count what processes of the release before have recorded since (`migrate tokens 0008`, then `migrate`).
"""

import time as clock
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.apps.registry import Apps
from django.db import OperationalError, migrations, transaction
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

# Whoever records a call writes this table and that of hours in the same transaction, and waits here; who reads does not.
# Those who record wait behind this lock while it waits itself, so it is given up soon and asked for again.
LOCK = "SET LOCAL lock_timeout = '300ms'; LOCK TABLE tokens_dailyusage IN SHARE ROW EXCLUSIVE MODE"
TRIES, PAUSE_S = 3600, 0.5
# Lock timeout, deadlock.
TAKEN = {"55P03", "40P01"}
# Rows are found by their key one by one: there may be millions of others.
PLAN = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
SPAN = "id >= %(floor)s AND id < %(ceiling)s"
OF_DAY = "d.wallet_id = found.wallet_id AND d.day = %(day)s AND d.key_id = found.key_id AND d.model_id = found.model_id"
WHOLE_DAY = f"""
    WITH found AS MATERIALIZED (
        SELECT wallet_id, key_id, model_id, max(charged_nanousd) AS largest,
            coalesce(sum({CACHED}) FILTER (WHERE status = 'succeeded'), 0) AS cached
        FROM logs_call WHERE {SPAN}
        GROUP BY wallet_id, key_id, model_id
    )
    UPDATE tokens_dailyusage d SET cached_input_tokens = cached, largest_nanousd = largest
    FROM found
    WHERE {OF_DAY} AND (d.cached_input_tokens, d.largest_nanousd) IS DISTINCT FROM (cached, largest)
"""
HOUR = f"""
    INSERT INTO tokens_hourlyusage AS h (wallet_id, hour, key_id, model_id, calls, failed, input_tokens,
        cached_input_tokens, output_tokens, charged_nanousd)
    SELECT wallet_id, %(hour)s, key_id, model_id, count(*), count(*) FILTER (WHERE status = 'failed'),
        coalesce(sum({INPUT}) FILTER (WHERE status = 'succeeded'), 0),
        coalesce(sum({CACHED}) FILTER (WHERE status = 'succeeded'), 0),
        coalesce(sum({OUTPUT}) FILTER (WHERE status = 'succeeded'), 0), sum(charged_nanousd)
    FROM logs_call WHERE {SPAN}
    GROUP BY wallet_id, key_id, model_id
    ON CONFLICT (wallet_id, hour, key_id, model_id) DO UPDATE SET
        calls = excluded.calls, failed = excluded.failed, input_tokens = excluded.input_tokens,
        cached_input_tokens = excluded.cached_input_tokens, output_tokens = excluded.output_tokens,
        charged_nanousd = excluded.charged_nanousd
"""
# What the day has so far. It is right when the last of its hours is.
DAY_OF_HOUR = f"""
    WITH found AS MATERIALIZED (
        SELECT wallet_id, key_id, model_id, max(charged_nanousd) AS largest FROM logs_call WHERE {SPAN}
        GROUP BY wallet_id, key_id, model_id
    )
    UPDATE tokens_dailyusage d SET largest_nanousd = greatest(d.largest_nanousd, largest),
        cached_input_tokens = (SELECT sum(h.cached_input_tokens) FROM tokens_hourlyusage h
            WHERE h.wallet_id = d.wallet_id AND h.hour >= %(midnight)s AND h.hour < %(midnight)s + interval '1 day'
                AND h.key_id = d.key_id AND h.model_id = d.model_id)
    FROM found
    WHERE {OF_DAY}
"""


def count_again(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """From the first day to the last one on which a call was counted; calls of new days are counted as they come."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT min(day), max(day) FROM tokens_dailyusage")
        first, last = cursor.fetchone()
        today = datetime.now(UTC).date()
        for number in range((last - first).days + 1 if first else 0):
            day = first + timedelta(days=number)
            if day >= today - HOURS_KEPT:
                _count_hours(cursor, day)
            else:
                _count_day(cursor, day)


def _count_day(cursor: CursorWrapper, day: date) -> None:
    midnight = _midnight(day)
    given = {"day": day, "floor": _floor(midnight), "ceiling": _floor(midnight + timedelta(days=1))}
    with transaction.atomic():
        cursor.execute(PLAN)
        cursor.execute(WHOLE_DAY, given)


def _count_hours(cursor: CursorWrapper, day: date) -> None:
    midnight = _midnight(day)
    for hour in (midnight + timedelta(hours=number) for number in range(24)):
        ends = {"floor": _floor(hour), "ceiling": _floor(hour + timedelta(hours=1))}
        given = {"day": day, "midnight": midnight, "hour": hour, **ends}
        for attempt in range(1, TRIES + 1):
            try:
                _count_hour(cursor, given)
                break
            except OperationalError as error:
                if attempt == TRIES or getattr(error.__cause__, "sqlstate", None) not in TAKEN:
                    raise
            clock.sleep(PAUSE_S)


def _count_hour(cursor: CursorWrapper, given: dict[str, object]) -> None:
    with transaction.atomic():
        cursor.execute(LOCK)
        cursor.execute(PLAN)
        cursor.execute(HOUR, given)
        cursor.execute(DAY_OF_HOUR, given)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _floor(at: datetime) -> UUID:
    """The smallest id of that moment."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("logs", "0007_limits_one_by_one"),
        ("tokens", "0008_hours"),
    ]

    operations = [migrations.RunPython(count_again, migrations.RunPython.noop)]
