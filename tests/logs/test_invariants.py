"""What roll-ups say of the wrong day, or hour, is found; also where all of them together say what is right."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from accounts.models import User
from logs.sums import SUMMED
from tests.logs import recorded
from wallet import invariants

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
# In order: the dearest call is on the second day, and on each day in the first of two hours.
USAGES = (
    {"input_tokens": 9_000, "output_tokens": 5},
    {"input_tokens": 90_000, "cached_input_tokens": 3, "output_tokens": 700},
    {"input_tokens": 40_000, "cached_input_tokens": 8, "output_tokens": 60},
)
RATES = {"input_tokens": 2_500_000, "cached_input_tokens": 250_000, "output_tokens": 10_000_000}


@pytest.fixture
def midnights(alice: User) -> list[datetime]:
    """Three days on which one key called one model: two calls of two hours, and one that failed."""
    version, key = recorded.model(rates=((0, RATES),)), recorded.key_of(alice)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - back * DAY for back in (5, 4, 3)]
    for day, usage in zip(days, USAGES, strict=True):
        recorded.call(key, version, usage, at=day + timedelta(hours=7))
        recorded.call(key, version, {"input_tokens": 10}, at=day + timedelta(hours=9))
        recorded.call(key, version, at=day + timedelta(hours=9), status="failed")
    assert broken() == {}
    return days


def broken() -> dict[str, list[str]]:
    return {finding.invariant.name: finding.ids for finding in invariants.check()}


def write(sql: str, *parameters: date | datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        assert cursor.rowcount > 1, "the fault was not planted"


@pytest.mark.parametrize("column", SUMMED)
@pytest.mark.parametrize("shift", [DAY, 2 * DAY])
def test_what_is_counted_under_another_day_is_found(
    midnights: list[datetime], column: str, shift: timedelta
) -> None:
    write(
        f"UPDATE tokens_dailyusage SET {column} = {column} + CASE WHEN day = %s THEN 1 ELSE -1 END WHERE day IN (%s, %s)",
        *(day.date() for day in (midnights[0], midnights[0], midnights[0] + shift)),
    )
    assert broken().keys() == {"daily_usage"}


@pytest.mark.parametrize("column", SUMMED)
def test_what_is_counted_under_another_hour_is_found(midnights: list[datetime], column: str) -> None:
    one, other = midnights[0] + timedelta(hours=7), midnights[0] + timedelta(hours=9)
    write(
        f"UPDATE tokens_hourlyusage SET {column} = {column} + CASE WHEN hour = %s THEN 1 ELSE -1 END WHERE hour IN (%s, %s)",
        one, one, other,
    )  # fmt: skip
    assert broken().keys() == {"hourly_usage"}


@pytest.mark.parametrize("change", ["+ 1", "- 1", "* 2"])
def test_the_dearest_call_of_a_cheap_day_is_compared_too(midnights: list[datetime], change: str) -> None:
    write(
        f"UPDATE tokens_dailyusage SET largest_nanousd = largest_nanousd {change} WHERE day <> %s",
        midnights[1].date(),
    )
    assert broken().keys() == {"daily_usage"}


def test_whole_rows_under_each_others_days_are_found(midnights: list[datetime]) -> None:
    """Also where they lie so far apart that a remainder of their days would be the same."""
    far = (midnights[0] - 509 * DAY).date()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tokens_dailyusage SET day = %s WHERE day = %s", [far, midnights[0].date()])
        assert cursor.rowcount == 1
    found = broken()
    assert found.keys() == {"daily_usage"}
    assert len(found["daily_usage"]) == 2
    assert str(far) in found["daily_usage"][0]
