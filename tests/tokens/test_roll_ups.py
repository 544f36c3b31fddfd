"""The roll-ups of usage: what recording counts, and what a migration counts again."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Sum

from accounts.models import User
from cometsite.celery import app
from logs import call_ids, pages, sums
from logs.account_api import ratios
from logs.account_api.log_views import stat_of
from logs.account_api.looking import Sought
from logs.models import ArchivedMonth, Call
from logs.wanted import Wanted
from pricing.units import UNITS, Family, Unit
from tests.logs import recorded
from tests.logs.meanwhile import Recorder, in_thread
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys, spending, tasks
from tokens.models import ApiKey, DailyUsage, HourlyUsage
from wallet import invariants

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def called(key: ApiKey, at: datetime, status: str = "succeeded", **usage: int) -> dict[str, Any]:
    call_id = str(call_ids.new(int(at.timestamp() * 1000)))
    return call(key, call_id=call_id, started_at=at.isoformat(), status=status, usage=usage)


def counted(of: DailyUsage | HourlyUsage) -> tuple[int, ...]:
    tokens = (of.input_tokens, of.cached_input_tokens, of.output_tokens)
    return (of.calls, of.failed, *tokens, of.charged_nanousd)


def test_recording_counts_days_and_hours(alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 10**9), "k")
    gateway = Gateway()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    late = midnight - timedelta(minutes=10)
    gateway.record(
        called(issued.key, late - HOUR, input_tokens=10, cached_input_tokens=4, output_tokens=3),
        called(issued.key, late, input_tokens=30, output_tokens=5),
        called(issued.key, late, status="failed", input_tokens=500, output_tokens=500),
        called(issued.key, midnight, input_tokens=1, output_tokens=2),
    )
    before, on = DailyUsage.objects.order_by("day")
    assert (before.day, on.day) == (late.date(), midnight.date())
    # At $2.50 and $10 a million, cached $1.25: 60,000 nano-dollars and 125,000.
    assert counted(before) == (3, 1, 44, 4, 8, 185_000)
    assert before.largest_nanousd == 125_000
    hours = {each.hour: counted(each) for each in HourlyUsage.objects.all()}
    assert hours == {
        midnight - 2 * HOUR: (1, 0, 14, 4, 3, 60_000),
        midnight - HOUR: (2, 1, 30, 0, 5, 125_000),
        midnight: (1, 0, 1, 0, 2, 22_500),
    }


def test_a_later_batch_adds_and_a_repeated_one_does_not(alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 10**9), "k")
    gateway = Gateway()
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    gateway.record(called(issued.key, at, cached_input_tokens=4, output_tokens=10))
    later = called(issued.key, at, cached_input_tokens=8, output_tokens=1)
    gateway.record(later)
    gateway.record(later)
    day, hour = DailyUsage.objects.get(), HourlyUsage.objects.get()
    assert counted(day) == counted(hour) == (2, 0, 12, 12, 11, 125_000)
    assert day.largest_nanousd == 105_000


@pytest.mark.parametrize("unit", [unit for unit in UNITS.values() if unit.family is Family.TOKENS])
def test_a_token_of_any_sort_is_counted_wherever_tokens_are(alice: User, unit: Unit) -> None:
    """Row, roll-ups, totals of either, statistics, account API: of audio and images too."""
    sell("every", {each.code: 1 for each in UNITS.values() if each.family is Family.TOKENS})
    key = keys.issue(give(alice, 10**9), "k").key
    Gateway().record(call(key, model="every", usage={unit.code: 10}))
    sent = 10 if unit.is_input else 0
    for used in (DailyUsage.objects.get(), HourlyUsage.objects.get()):
        assert (used.input_tokens, used.output_tokens) == (sent, 10 - sent)
    wanted = Wanted(key.wallet_id)
    assert wanted.sums().tokens == sums.of_calls(wanted.calls).tokens == 10
    assert pages.quantity(Call.objects.get().usage) == f"{sent} → {10 - sent}"
    counts = ratios.counts({unit.code: 10})
    assert (counts.prompt, counts.completion) == (sent, 10 - sent)
    assert json.loads(stat_of(Sought([key.wallet_id])).content)["data"]["tpm"] == 10
    assert invariants.check() == []


def _everything() -> list[Any]:
    return [list(table.objects.order_by("pk").values()) for table in (DailyUsage, HourlyUsage)]


def _count_again(name: str) -> None:
    migration = import_module(f"tokens.migrations.{name}")
    with connection.schema_editor(atomic=False) as editor:
        migration.count_again(apps, editor)


HOURS, AUDIO_AND_IMAGES = "0009_count_again", "0011_audio_and_images"


def test_the_migration_counts_as_recording_did(alice: User) -> None:
    version = recorded.model()
    first, second = recorded.key_of(alice), recorded.key_of(alice, "Other")
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT logs_make_partition(%s)", [now.date() - timedelta(days=70)])
    for days in (0, 1, 1, 40):
        at = now - timedelta(days=days)
        recorded.call(first, version, at=at)
        recorded.call(second, version, {"cached_input_tokens": 70 + days, "output_tokens": 9}, at=at)
        recorded.call(second, version, at=at - HOUR, status="failed")
    recorded.call(first, version, {"cached_input_tokens": 5}, at=now - timedelta(days=70))
    HourlyUsage.objects.filter(hour__lt=now - timedelta(days=63)).delete()
    as_recorded = _everything()
    DailyUsage.objects.update(cached_input_tokens=0, largest_nanousd=0)
    HourlyUsage.objects.all().delete()
    _count_again(HOURS)
    assert _everything() == as_recorded
    HourlyUsage.objects.filter(key=second).update(calls=77, charged_nanousd=1)
    _count_again(HOURS)
    assert _everything() == as_recorded


PAINTER = {"input_tokens": 1, "output_tokens": 2, "output_audio_tokens": 3, "output_image_tokens": 4}
PICTURE = {"input_tokens": 30, "output_tokens": 2, "reasoning_tokens": 5, "output_image_tokens": 1290}


def test_the_migration_counts_audio_and_images_again(alice: User) -> None:
    """Of the days and hours that are there, of models that can have such tokens; the others stay as they are."""
    text, painter = recorded.model(), recorded.model("painter", ((0, {**PAINTER, "reasoning_tokens": 2}),))
    key, other = recorded.key_of(alice), recorded.key_of(alice, "Other")
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT logs_make_partition(%s)", [now.date() - timedelta(days=70)])
    for days in (0, 1, 1, 40, 70):
        at = now - timedelta(days=days)
        recorded.call(key, text, at=at)
        recorded.call(key, painter, PICTURE, at=at)
        recorded.call(key, painter, PICTURE, at=at - HOUR)
        recorded.call(key, painter, {"output_audio_tokens": 17 + days}, at=at)
        recorded.call(other, painter, PICTURE, at=at, status="failed")
        recorded.call(other, painter, {"output_tokens": 9}, at=at)
    HourlyUsage.objects.filter(hour__lt=now - timedelta(days=63)).delete()
    as_recorded = _everything()
    for used in (DailyUsage, HourlyUsage):
        assert used.objects.filter(model=painter.model_id, key=key).update(output_tokens=7) > 3
    assert {finding.invariant.name for finding in invariants.check()} == {"daily_usage", "hourly_usage"}
    for _ in range(2):
        _count_again(AUDIO_AND_IMAGES)
        assert _everything() == as_recorded
    assert invariants.check() == []


def test_the_migration_leaves_archived_days_as_their_seals_have_them(alice: User) -> None:
    painter, key = recorded.model("painter", ((0, PAINTER),)), recorded.key_of(alice)
    kept = (datetime.now(UTC) - timedelta(days=100)).replace(day=1, hour=0)
    for at in (kept - timedelta(days=1), kept):
        with connection.cursor() as cursor:
            cursor.execute("SELECT logs_make_partition(%s)", [at.date()])
        recorded.call(key, painter, {"output_image_tokens": 5}, at=at)
    DailyUsage.objects.update(output_tokens=0)
    ArchivedMonth.objects.create(
        month=(kept - timedelta(days=1)).date().replace(day=1),
        upper_id=call_ids.floor(kept),
        calls=1,
        size_bytes=0,
        digest=b"",
    )
    _count_again(AUDIO_AND_IMAGES)
    assert [used.output_tokens for used in DailyUsage.objects.order_by("day")] == [0, 5]


@pytest.mark.django_db(transaction=True)
def test_the_migration_counts_while_calls_are_recorded(alice: User) -> None:
    record = Recorder(alice)
    with in_thread(record):
        for _ in range(40):
            _count_again(HOURS)
            time.sleep(0.02)
    record.check()
    assert [finding.ids for finding in invariants.check()] == []


@pytest.mark.django_db(transaction=True)
def test_audio_and_images_are_counted_while_calls_are_recorded(alice: User) -> None:
    record = Recorder(alice, PAINTER)
    with in_thread(record):
        for _ in range(40):
            HourlyUsage.objects.update(output_tokens=0)
            _count_again(AUDIO_AND_IMAGES)
            time.sleep(0.02)
    record.check()
    assert DailyUsage.objects.get().output_tokens == record.calls * 9
    assert [finding.ids for finding in invariants.check()] == []


def hour_of(key: ApiKey, model: int, at: datetime) -> None:
    HourlyUsage.objects.create(wallet=key.wallet, hour=at, key=key, model_id=model, calls=1)


def test_hours_are_forgotten_after_62_days(alice: User, charlie: User) -> None:
    model = sell()
    of_alice = keys.issue(give(alice, 1), "k").key
    of_charlie = keys.issue(give(charlie, 1), "k").key
    oldest = spending.oldest_hour(datetime(2026, 11, 23, 15, 42, tzinfo=UTC))
    assert oldest == datetime(2026, 9, 22, tzinfo=UTC)
    oldest = spending.oldest_hour()
    for key in (of_alice, of_charlie):
        for hours in (-900, -1, 0, 1):
            hour_of(key, model.pk, oldest + hours * HOUR)
    tasks.forget_old_hours()
    left = [(each.hour, each.wallet_id) for each in HourlyUsage.objects.order_by("pk")]
    wallets = sorted((of_alice.wallet_id, of_charlie.wallet_id))
    assert left == [(oldest + hours * HOUR, wallet) for hours in (0, 1) for wallet in wallets]
    for hours in (5000, 2, 1):
        hour_of(of_alice, model.pk, oldest - hours * HOUR)
        hour_of(of_charlie, model.pk, oldest - hours * HOUR)
    assert spending.forget_old_hours() == 6
    assert spending.forget_old_hours() == 0
    assert HourlyUsage.objects.count() == 4


def test_old_hours_are_found_by_their_primary_key(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        oldest = spending.oldest_hour()
        cursor.execute("EXPLAIN " + spending.FORGET, {"after": oldest - HOUR, "oldest": oldest})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert plan.count("tokens_hourlyusage_pkey") == 2
    assert "Seq Scan" not in plan
    assert re.search(r"Index Cond: .*hour > .*hour < ", plan)
    assert re.search(r"Index Cond: .*hour = ", plan)


def test_old_hours_are_forgotten_each_night() -> None:
    assert "tokens.tasks.forget_old_hours" in {entry["task"] for entry in app.conf.beat_schedule.values()}


def test_the_last_days_of_everybody_are_read_without_the_past() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tokens_dailyusage (wallet_id, day, key_id, model_id, last_used_at, calls, failed, input_tokens,"
            " output_tokens, charged_nanousd) SELECT wallet, current_date - 300 + day, wallet, 1, now(), 1, 0, 1, 1, 1"
            " FROM generate_series(1, 300) AS day, generate_series(1, 100) AS wallet"
        )
        # As autovacuum does.
        cursor.execute("SELECT brin_summarize_new_values('daily_usage_days')")
        cursor.execute("ANALYZE tokens_dailyusage")
        # All of so few pages would be read otherwise.
        cursor.execute("SET LOCAL enable_seqscan = off")
    last_days = DailyUsage.objects.filter(day__gte=datetime.now(UTC).date() - timedelta(days=7))
    plan = last_days.values("model_id").annotate(Sum("calls")).explain()
    assert re.search(r"Bitmap Index Scan on daily_usage_days", plan)
