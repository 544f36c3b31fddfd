"""The key of hours begins with the hour: the migration to it and back under traffic, and what finds its rows by it."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts.models import User
from logs import statistics
from logs.invariants import OF_HOURS
from logs.statistics import Measure, Period, Step
from tests.logs.meanwhile import ENOUGH, Recorder, in_thread
from tokens import spending
from tokens.models import HourlyUsage
from wallet import invariants
from wallet.transactions import report_rows

MIGRATION = import_module("tokens.migrations.0012_hours_by_hour")
BY_HOUR, BY_WALLET = ["hour", "wallet_id", "key_id", "model_id"], ["wallet_id", "hour", "key_id", "model_id"]


def run(order: "Callable[[Any, BaseDatabaseSchemaEditor], None]") -> None:
    with connection.schema_editor(atomic=False) as editor:
        order(apps, editor)


def ask(sql: str, given: Sequence[Any] = ()) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return [row[0] for row in cursor.fetchall()]


def keys_of_hours() -> dict[str, list[str]]:
    """The columns of every index of the table, all of them valid."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.indexrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum), bool_and(i.indisvalid)"
            " FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid"
            " WHERE i.indrelid = 'tokens_hourlyusage'::regclass GROUP BY 1"
        )
        found = cursor.fetchall()
    assert all(is_valid for *_, is_valid in found)
    return {name: columns for name, columns, _ in found}


def test_the_models_key_is_the_tables(db: None) -> None:
    assert keys_of_hours() == {"tokens_hourlyusage_pkey": BY_HOUR}
    assert [field.attname for field in HourlyUsage._meta.pk_fields] == BY_HOUR


@pytest.mark.django_db(transaction=True)
def test_it_is_changed_while_calls_are_recorded(alice: User) -> None:
    """To either order, under this release's statement; every call counts once."""
    record = Recorder(alice)
    with in_thread(record):
        while record.calls <= 10 * ENOUGH:
            run(MIGRATION.by_wallet)
            assert keys_of_hours() == {"tokens_hourlyusage_pkey": BY_WALLET}
            run(MIGRATION.by_hour)
    assert keys_of_hours() == {"tokens_hourlyusage_pkey": BY_HOUR}
    record.check()
    assert sum(used.calls for used in HourlyUsage.objects.all()) == record.calls
    assert invariants.check() == []


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_behind_a_long_read(alice: User) -> None:
    """The key is changed when nobody reads the table; who records does not stand in line behind that."""
    record = Recorder(alice)
    run(MIGRATION.by_wallet)
    reading, over = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic():
            HourlyUsage.objects.count()
            reading.set()
            time.sleep(2.5)
        over.wait()

    with in_thread(read), in_thread(record):
        reading.wait()
        run(MIGRATION.by_hour)
        over.set()
    assert keys_of_hours() == {"tokens_hourlyusage_pkey": BY_HOUR}
    record.check()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_valid", [True, False])
def test_what_a_crash_left_is_built_anew(*, is_valid: bool) -> None:
    run(MIGRATION.by_wallet)
    with connection.cursor() as cursor:
        # Of the other columns, so that it would be seen if it were kept.
        cursor.execute("CREATE UNIQUE INDEX hourly_usage_next_key ON tokens_hourlyusage (wallet_id)")
        cursor.execute(
            "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = 'hourly_usage_next_key'::regclass",
            [is_valid],
        )
    for _ in range(2):
        run(MIGRATION.by_hour)
        assert keys_of_hours() == {"tokens_hourlyusage_pkey": BY_HOUR}


@pytest.mark.parametrize("columns", [BY_HOUR, BY_WALLET])
def test_either_releases_statement_finds_the_key(db: None, columns: list[str]) -> None:
    assert f"ON CONFLICT ({', '.join(BY_HOUR)})" in spending.ADD
    statement = spending.ADD.replace(", ".join(BY_HOUR), ", ".join(columns))
    plan = "\n".join(ask(f"EXPLAIN {statement}", [[]] * 12))
    assert "Conflict Arbiter Indexes: tokens_hourlyusage_pkey" in plan


@pytest.fixture
def month(db: None) -> datetime:
    """The hours of 200 wallets, a row each, from this midnight on."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tokens_hourlyusage (hour, wallet_id, key_id, model_id, calls, failed, input_tokens,"
            " cached_input_tokens, output_tokens, charged_nanousd) SELECT %s + hour * interval '1 hour', wallet, wallet, 1,"
            " 1, 0, 1, 0, 1, 1 FROM generate_series(0, 719) AS hour, generate_series(1, 200) AS wallet",
            [midnight],
        )
        cursor.execute("ANALYZE tokens_hourlyusage")
    return midnight


def test_a_wallets_week_is_looked_up_hour_by_hour(month: datetime) -> None:
    start = month + timedelta(days=9, hours=5)
    week = Period(start, start + timedelta(days=7), Step.HOUR)
    sql, given = statistics._query(7, week, Measure.SPEND, {})
    plan = "\n".join(ask(f"EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF) {sql}", given))
    assert "tokens_hourlyusage_pkey" in plan
    assert re.search(r"Index Cond: \(\(hour = ANY .* AND \(wallet_id = 7\)\)", plan), plan
    assert "actual rows=168.00" in plan
    found = statistics.of(7, week, Measure.SPEND)
    assert (len(found.by_step), found.total.calls) == (168, 168)


def test_the_hours_of_one_wallet_are_checked_by_the_key(month: datetime) -> None:
    first, last = (month + timedelta(days=days) for days in (20, 27))
    given = {"wallets": [7], "first": first.date(), "last": last.date(), "floor": None, "ceiling": None}
    plan = "\n".join(line for (line,) in report_rows(f"EXPLAIN {OF_HOURS}", given))
    assert "Seq Scan on tokens_hourlyusage" not in plan
    assert "tokens_hourlyusage_pkey" in plan
    assert re.search(r"Index Cond: \(\(hour >= .* AND \(hour < .* AND \(wallet_id = ANY", plan), plan


def pages_written(hour: int) -> int:
    """How many pages of the key a batch changes that has a call of every wallet."""
    used = {(wallet, hour, wallet, 1): spending.Used(datetime.now(UTC), calls=1) for wallet in range(1, 201)}
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        spending.adding(used).now()
        cursor.execute(
            "SELECT count(*) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('tokens_hourlyusage_pkey')"
            " AND isdirty"
        )
        return int(cursor.fetchone()[0])


def test_a_batch_of_many_wallets_writes_few_pages_of_it(month: datetime) -> None:
    hour = int(month.timestamp()) // 3600 + 720
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pg_buffercache")
        assert pages_written(hour) < 10
        cursor.execute(
            "ALTER TABLE tokens_hourlyusage DROP CONSTRAINT tokens_hourlyusage_pkey,"
            f" ADD CONSTRAINT tokens_hourlyusage_pkey PRIMARY KEY ({', '.join(BY_WALLET)})"
        )
        assert pages_written(hour + 1) > 100
