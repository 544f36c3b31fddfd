"""Counts audio and images that came out as tokens, which both roll-ups left out: of the models that have a price for them.

Hour by hour where hours are kept, each in a transaction of its own that keeps recording out for as long as counting that hour
takes; day by day before, where nothing is recorded any more. It may be run again: after a crash half-way, and to count
what processes of the release before have recorded since (`migrate tokens 0010`, then `migrate`).

Days of archived months stay as they are: their seals say the same, and nobody reads their calls here.
"""

import time as clock
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.apps.registry import Apps
from django.db import OperationalError, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper

HOURS_KEPT = timedelta(days=62)
LEFT_OUT = ("output_audio_tokens", "output_image_tokens")
OUTPUT = "+".join(
    f"coalesce((usage->>'{unit}')::bigint, 0)" for unit in ("output_tokens", "reasoning_tokens", *LEFT_OUT)
)

MODELS = """
    SELECT array_agg(DISTINCT v.model_id) FROM pricing_unitprice u JOIN pricing_priceversion v ON v.id = u.version_id
    WHERE u.unit = ANY(%(left_out)s)
"""
DAYS = """
    SELECT min(day), max(day) FROM tokens_dailyusage
    WHERE model_id = ANY(%(models)s)
        AND day >= coalesce((SELECT max(month) + interval '1 month' FROM logs_archivedmonth), '-infinity')
"""
# Whoever records a call writes this table and that of hours in the same transaction, and waits here; who reads does not.
# Those who record wait behind this lock while it waits itself, so it is given up soon and asked for again.
LOCK = "SET LOCAL lock_timeout = '300ms'; LOCK TABLE tokens_dailyusage IN SHARE ROW EXCLUSIVE MODE"
TRIES, PAUSE_S = 3600, 0.5
# Lock timeout, deadlock.
TAKEN = {"55P03", "40P01"}
# Rows are found by their key one by one: there may be millions of others.
PLAN = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
FOUND = f"""
    WITH found AS MATERIALIZED (
        SELECT wallet_id, key_id, model_id, coalesce(sum({OUTPUT}) FILTER (WHERE status = 'succeeded'), 0) AS output
        FROM logs_call WHERE id >= %(floor)s AND id < %(ceiling)s AND model_id = ANY(%(models)s)
        GROUP BY wallet_id, key_id, model_id
    )
"""
SAME = "u.wallet_id = found.wallet_id AND u.key_id = found.key_id AND u.model_id = found.model_id"
WHOLE_DAY = f"""{FOUND}
    UPDATE tokens_dailyusage u SET output_tokens = output FROM found
    WHERE {SAME} AND u.day = %(day)s AND u.output_tokens <> output
"""
HOUR = f"""{FOUND}
    UPDATE tokens_hourlyusage u SET output_tokens = output FROM found
    WHERE {SAME} AND u.hour = %(hour)s AND u.output_tokens <> output
"""
# What the day has so far. It is right when the last of its hours is.
DAY_OF_HOUR = f"""{FOUND}
    UPDATE tokens_dailyusage u SET output_tokens = (
        SELECT sum(h.output_tokens) FROM tokens_hourlyusage h
        WHERE h.wallet_id = u.wallet_id AND h.hour >= %(midnight)s AND h.hour < %(midnight)s + interval '1 day'
            AND h.key_id = u.key_id AND h.model_id = u.model_id)
    FROM found
    WHERE {SAME} AND u.day = %(day)s
"""


def count_again(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """From the first day to the last one on which such a model was called; calls of new days are counted as they come."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(MODELS, {"left_out": list(LEFT_OUT)})
        (models,) = cursor.fetchone()
        if not models:
            return
        cursor.execute(DAYS, {"models": models})
        first, last = cursor.fetchone()
        today = datetime.now(UTC).date()
        for number in range((last - first).days + 1 if first else 0):
            day = first + timedelta(days=number)
            # The oldest day's hours may be cleared away while this runs; nothing is recorded there any more.
            if day > today - HOURS_KEPT:
                _count_hours(cursor, models, day)
            else:
                _count_day(cursor, models, day)


def _count_day(cursor: CursorWrapper, models: list[int], day: date) -> None:
    midnight = _midnight(day)
    ends = {"floor": _floor(midnight), "ceiling": _floor(midnight + timedelta(days=1))}
    with transaction.atomic():
        cursor.execute(PLAN)
        cursor.execute(WHOLE_DAY, {"models": models, "day": day, **ends})


def _count_hours(cursor: CursorWrapper, models: list[int], day: date) -> None:
    midnight = _midnight(day)
    for hour in (midnight + timedelta(hours=number) for number in range(24)):
        ends = {"floor": _floor(hour), "ceiling": _floor(hour + timedelta(hours=1))}
        given = {"models": models, "day": day, "midnight": midnight, "hour": hour, **ends}
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
        ("logs", "0009_archived_months"),
        ("pricing", "0004_replaced_versions"),
        ("tokens", "0010_days"),
    ]

    operations = [migrations.RunPython(count_again, migrations.RunPython.noop)]
