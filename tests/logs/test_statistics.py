"""Sums by hour, day and month are those of the calls; the periods that they are of; the months and the forecast."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q

from accounts.models import User
from logs import call_ids, forecasts, latencies, statistics
from logs.forecasts import Pace
from logs.models import Call
from logs.statistics import Measure, Period, Step, Usage
from logs.sums import Span
from logs.wanted import Wanted
from pricing.models import PriceVersion
from pricing.rating import total_input_tokens
from tests.logs import recorded
from tokens.models import ApiKey

NOON = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
FIRST = date(2026, 9, 1)
MS = timedelta(milliseconds=1)
USAGES: tuple[dict[str, int], ...] = (
    {"input_tokens": 1_000, "output_tokens": 10},
    {"input_tokens": 7, "cached_input_tokens": 993, "output_tokens": 1},
    {"output_tokens": 333},
    {"input_tokens": 123_457},
)
RATES = ((0, {"input_tokens": 2_500_000, "cached_input_tokens": 250_000, "output_tokens": 10_000_000}),)


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")


def edges(text: str) -> Iterator[datetime]:
    """The moments around a midnight, and around an hour of that day."""
    for at in (day(text), day(text) + timedelta(hours=7)):
        yield from (at - MS, at, at + MS)


def make_months(*texts: str) -> None:
    """Room for calls of these months, whatever month it is when the test runs."""
    with connection.cursor() as cursor:
        for text in texts:
            cursor.execute("SELECT logs_make_partition(%s::date)", [f"{text}-01"])


@pytest.fixture
def versions() -> list[PriceVersion]:
    return [recorded.model(f"model-{number}", RATES) for number in range(8)]


@pytest.fixture
def calls(alice: User, charlie: User, versions: list[PriceVersion]) -> list[Call]:
    """Alice's calls, around the edges of days and months; Charlie makes some too."""
    make_months("2026-08", "2026-09", "2026-10", "2026-11")
    draw = random.Random(6)
    keys = [recorded.key_of(alice, name) for name in ("Laptop", "Server", "Phone")]
    theirs = recorded.key_of(charlie)
    made = []
    for text in ("2026-09-01", "2026-10-31", "2026-11-01", "2026-11-02", "2026-11-20", "2026-11-23"):
        for at in edges(text):
            changes = {"status": Call.Status.FAILED} if draw.random() < 0.25 else {}
            made.append(
                recorded.call(
                    draw.choice(keys), draw.choice(versions), draw.choice(USAGES), at=at, **changes,
                    latency_ms=draw.randrange(9_000),
                )
            )  # fmt: skip
            recorded.call(theirs, versions[0], at=at)
    return made


def used(call: Call) -> Usage:
    if call.status == Call.Status.FAILED:
        return Usage(calls=1, failed=1)
    return Usage(
        1,
        0,
        total_input_tokens(call.usage),
        call.usage.get("cached_input_tokens", 0),
        call.usage.get("output_tokens", 0),
        call.charged_nanousd,
    )


PERIODS = [
    Period(day("2026-10-25"), day("2026-11-24"), Step.DAY),
    Period(day("2026-11-01"), day("2026-11-02"), Step.DAY),
    Period(day("2026-08-01"), day("2026-11-24"), Step.MONTH),
    Period(day("2026-10-31"), day("2026-11-02"), Step.MONTH),
    Period(day("2026-11-01"), day("2026-11-03"), Step.HOUR),
    Period(day("2026-11-23") + timedelta(hours=7), day("2026-11-23") + timedelta(hours=8), Step.HOUR),
    Period(day("2026-07-01"), day("2026-07-02"), Step.DAY),
]


@pytest.mark.django_db
@pytest.mark.parametrize("period", PERIODS, ids=lambda period: f"{period.start:%m-%d}-{period.step}")
def test_sums_are_those_of_the_calls(calls: list[Call], period: Period) -> None:
    wallet_id = calls[0].wallet_id
    choices = [
        (None, None),
        (calls[0].model_id, None),
        (None, calls[0].key_id),
        (calls[1].model_id, calls[1].key_id),
    ]
    for model_id, key_id in choices:
        of_them = [
            call
            for call in calls
            if period.start <= call_ids.moment(call.pk) < period.end
            and model_id in (None, call.model_id)
            and key_id in (None, call.key_id)
        ]
        by_model: dict[int, Usage] = defaultdict(Usage)
        by_key: dict[int, Usage] = defaultdict(Usage)
        for call in of_them:
            by_model[call.model_id] += used(call)
            by_key[call.key_id] += used(call)
        for measure in Measure:
            found = statistics.of(wallet_id, period, measure, model_id=model_id, key_id=key_id)
            assert found.by_model == by_model
            assert found.by_key == by_key
            assert found.by_step == steps_of(of_them, period, measure, found.drawn)
            assert statistics.added(found.by_model.values()) == found.total


def steps_of(calls: list[Call], period: Period, measure: Measure, drawn: list[int]) -> dict[datetime, Any]:
    found: dict[datetime, Counter[int | None]] = defaultdict(Counter)
    for call in calls:
        colour = call.model_id if call.model_id in drawn else None
        found[statistics.floor(call_ids.moment(call.pk), period.step)][colour] += used(call).of(measure)
    return found


@pytest.mark.django_db
def test_every_call_is_in_one_step(calls: list[Call]) -> None:
    for step in (Step.DAY, Step.MONTH):
        period = Period(day("2026-01-01"), day("2027-01-01"), step)
        found = statistics.of(calls[0].wallet_id, period, Measure.CALLS)
        assert found.total == statistics.added(map(used, calls))
        assert sum(sum(colours.values()) for colours in found.by_step.values()) == len(calls)


@pytest.mark.django_db
@pytest.mark.parametrize("measure", Measure)
def test_the_five_largest_are_drawn_and_the_others_as_one(calls: list[Call], measure: Measure) -> None:
    period = Period(day("2026-08-01"), day("2026-11-24"), Step.DAY)
    found = statistics.of(calls[0].wallet_id, period, measure)
    stacks = statistics.stacks(found)
    sizes = sorted((usage.of(measure) for usage in found.by_model.values()), reverse=True)
    assert len(sizes) == 8
    assert [stack.total for stack in stacks] == [*sizes[:5], sum(sizes[5:])]
    assert [stack.model_id for stack in stacks] == [*found.drawn, None]
    for number, at in enumerate(period.starts()):
        assert sum(stack.values[number] for stack in stacks) == sum(found.at(at).values())


def test_no_other_models_where_five_are_all() -> None:
    period = Period(day("2026-11-01"), day("2026-11-02"), Step.DAY)
    models = {number: Usage(calls=number) for number in range(1, 6)}
    found = statistics.Statistics(period, Measure.CALLS, models, {}, {period.start: {1: 1}})
    assert [stack.model_id for stack in statistics.stacks(found)] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("start", "end", "by", "expected"),
    [
        ("2026-11-20", "2026-11-22", "day", ("2026-11-20T00", "2026-11-22T00", "day")),
        ("2026-11-20", "2026-11-22", "", ("2026-11-20T00", "2026-11-22T00", "hour")),
        ("2026-11-19", "2026-11-22", "", ("2026-11-19T00", "2026-11-22T00", "day")),
        ("2026-11-15", "2026-11-22", "hour", ("2026-11-15T00", "2026-11-22T00", "hour")),
        ("2026-11-15", "2026-11-22T00:00:01", "hour", ("2026-11-15T00", "2026-11-23T00", "day")),
        ("2026-09-24", "2026-09-25", "hour", ("2026-09-24T00", "2026-09-25T00", "hour")),
        ("2026-09-23", "2026-09-24", "hour", ("2026-09-23T00", "2026-09-24T00", "day")),
        ("2026-11-22T12:34:56", None, "", ("2026-11-22T12", "2026-11-23T13", "hour")),
        ("2026-11-22T12:34:56", None, "day", ("2026-11-22T00", "2026-11-24T00", "day")),
        (None, "2026-09-03", "", ("2026-09-01T00", "2026-09-03T00", "day")),
        (None, None, "", ("2026-09-01T00", "2026-11-24T00", "day")),
        ("2026-08-15", None, "", ("2026-08-15T00", "2026-11-24T00", "day")),
        ("1926-01-01", "2126-01-01", "hour", ("2026-09-01T00", "2026-11-24T00", "day")),
        ("0001-01-01", "2026-09-02", "", ("2026-09-01T00", "2026-09-02T00", "day")),
        ("0001-01-01", "0001-01-02", "", ("0001-01-01T00", "0001-01-02T00", "day")),
        ("9999-12-31", None, "", ("9999-12-31T00", "9999-12-31T00", "day")),
        (None, "2026-08-01", "", ("2026-09-01T00", "2026-09-01T00", "day")),
    ],
)  # fmt: skip
def test_a_time_is_shown_by_whole_steps(
    start: str | None, end: str | None, by: str, expected: tuple[str, str, str]
) -> None:
    first, last = (at and datetime.fromisoformat(at).replace(tzinfo=UTC) for at in (start, end))
    period = statistics.period(Span(first or None, last or None), by, first_used=FIRST, now=NOON)
    assert (period.start.isoformat()[:13], period.end.isoformat()[:13], period.step) == expected
    assert period.starts()[-1:] == ([period.last] if period.end > period.start else [])


def test_more_than_a_year_is_shown_by_month() -> None:
    span = Span(day("2020-02-15"), day("2026-03-10"))
    period = statistics.period(span, "day", first_used=date(2019, 1, 1), now=NOON)
    assert period.step is Step.MONTH
    starts = period.starts()
    assert starts[:2] == [day("2020-02-15"), day("2020-03-01")]
    assert starts[-1] == day("2026-03-01") == period.last
    assert len(starts) == 6 * 12 + 2


def test_percent_is_rounded_down() -> None:
    assert statistics.percent(999_999, 1_000_000) == "99.9"
    assert statistics.percent(3, 3) == "100.0"
    assert statistics.percent(0, 3) == "0.0"
    assert statistics.percent(0, 0) is None


@pytest.mark.django_db
def test_latencies_are_of_the_newest_calls_that_succeeded(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_months("2026-11")
    key, version = recorded.key_of(alice), recorded.model()
    for number in range(1, 31):  # The newest is the slowest.
        recorded.call(
            key,
            version,
            at=NOON + number * MS,
            latency_ms=number * 10,
            first_token_ms=number if number % 2 else None,
        )
    recorded.call(key, version, at=NOON + 40 * MS, latency_ms=99_999, status=Call.Status.FAILED)
    recorded.call(key, version, at=NOON + 41 * MS)
    every = latencies.of(Wanted(key.wallet_id))
    assert every
    assert (every.calls, every.p50_ms, every.p95_ms) == (32, 150, 290)
    assert (every.first_token_p50_ms, every.first_token_p95_ms) == (15, 29)
    monkeypatch.setattr(latencies, "NEWEST", 12)
    newest = latencies.of(Wanted(key.wallet_id))
    assert newest
    assert (newest.calls, newest.p50_ms, newest.p95_ms) == (12, 250, 300)
    nobody = latencies.of(Wanted(key.wallet_id, key_id=key.pk + 1))
    assert nobody == latencies.Latencies(0, None, None, None, None)


def outlook(
    key: ApiKey, now: datetime, available: int = 10**9, chosen: Q | None = None
) -> forecasts.Forecasts:
    first_used = statistics.first_day(key.wallet_id)
    assert first_used
    return forecasts.of(key.wallet_id, available, first_used=first_used, now=now, chosen=chosen or Q())


@pytest.mark.django_db
def test_this_month_is_held_against_as_many_days_of_the_last(
    calls: list[Call], versions: list[PriceVersion]
) -> None:
    def between(first: str, end: str, *, model_id: int | None = None) -> Usage:
        return statistics.added(
            used(call)
            for call in calls
            if day(first) <= call_ids.moment(call.pk) < day(end) and model_id in (None, call.model_id)
        )

    months = outlook(calls[0].key, NOON).months
    assert (months.first, months.last_first, months.last_same) == (
        date(2026, 11, 1), date(2026, 10, 1), date(2026, 10, 23),
    )  # fmt: skip
    assert months.this == between("2026-11-01", "2026-11-24")
    assert months.same == between("2026-10-01", "2026-10-24")
    assert months.last == between("2026-10-01", "2026-11-01")
    assert months.last.calls > 0
    assert months.same.calls == 0
    assert months.change is None
    one = versions[0].model_id
    chosen = outlook(calls[0].key, NOON, chosen=Q(model=one)).months
    assert chosen.this == between("2026-11-01", "2026-11-24", model_id=one) != months.this


@pytest.mark.django_db
def test_a_shorter_month_before_counts_whole(alice: User) -> None:
    make_months("2026-01", "2026-02", "2026-03")
    key, version = recorded.key_of(alice), recorded.model()
    for text, count in (("2026-01-31", 1), ("2026-02-28", 2), ("2026-03-01", 3), ("2026-03-31", 4)):
        for number in range(count):
            recorded.call(key, version, at=day(text) + number * MS)
    months = outlook(key, day("2026-03-31") + timedelta(hours=5)).months
    assert (months.this.calls, months.same.calls, months.last.calls) == (7, 2, 2)
    assert months.last_same == date(2026, 2, 28)
    assert (months.change, months.change_percent) == (5 * 6_000_000, 250)
    january = outlook(key, day("2027-01-15")).months
    assert (january.last_first, january.last_same) == (date(2026, 12, 1), date(2026, 12, 15))


@pytest.mark.django_db
def test_paces_count_from_midnight_and_the_whole_wallet(calls: list[Call]) -> None:
    now = day("2026-11-26") + timedelta(hours=5)
    week, month = outlook(calls[0].key, now, chosen=Q(model=calls[0].model_id)).paces
    assert (week.days, week.since, month.days, month.since) == (7, day("2026-11-20"), 30, day("2026-10-28"))

    def since(at: datetime) -> int:
        return sum(call.charged_nanousd for call in calls if call_ids.moment(call.pk) >= at)

    assert week.spent_nanousd == since(week.since) > 0
    assert month.spent_nanousd == since(month.since) > week.spent_nanousd


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "paces"),
    [
        ("2026-11-26", [(1, "2026-11-26")]),
        ("2026-11-24", [(3, "2026-11-24")]),
        ("2026-11-20", [(7, "2026-11-20")]),
        ("2026-11-19", [(7, "2026-11-20"), (8, "2026-11-19")]),
        ("2026-10-27", [(7, "2026-11-20"), (30, "2026-10-28")]),
    ],
)
def test_no_pace_is_from_before_the_first_call(alice: User, first: str, paces: list[tuple[int, str]]) -> None:
    make_months("2026-10", "2026-11")
    key = recorded.key_of(alice)
    recorded.call(key, recorded.model(), at=day(first) + timedelta(hours=4))
    found = outlook(key, day("2026-11-26") + timedelta(hours=5)).paces
    assert [(pace.days, pace.since) for pace in found] == [(days, day(since)) for days, since in paces]
    assert found[-1].spent_nanousd == (6_000_000 if first > "2026-10-28" else 0)


def test_some_hours_of_a_first_day_count_as_a_day() -> None:
    pace = Pace(NOON, NOON + timedelta(hours=1), 4_000_000_000, 10_000_000_000)
    assert (pace.days, pace.a_day_nanousd) == (1, 4_000_000_000)
    assert pace.runs_out_at == pace.now + timedelta(days=2.5)


def pace(spent: int, available: int) -> Pace:
    """Of four days exactly."""
    return Pace(NOON - timedelta(days=4), NOON, spent, available)


def test_the_balance_runs_out_where_the_pace_leads() -> None:
    assert pace(4_000_000_000, 10_000_000_000).runs_out_at == NOON + timedelta(days=10)
    assert pace(4_000_000_000, 10_000_000_000).a_day_nanousd == 1_000_000_000
    assert pace(1, 91).runs_out_at == NOON + timedelta(days=364)
    assert pace(4_000_000_000, 1).runs_out_at == NOON


@pytest.mark.parametrize(("spent", "available"), [(0, 10), (-5, 10), (5, 0), (5, -1), (1, 92)])
def test_it_does_not_run_out(spent: int, available: int) -> None:
    assert pace(spent, available).runs_out_at is None


@pytest.mark.parametrize(
    ("spent", "a_day"),
    [(4_049_999_999, 1_010_000_000), (4, 1), (396, 99), (493_840, 120_000), (200_123_456, 50_000_000)],
)
def test_a_pace_is_told_to_the_cent_or_two_digits(spent: int, a_day: int) -> None:
    assert pace(spent, 0).a_day_nanousd == a_day
