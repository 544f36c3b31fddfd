"""How long a look at many calls may take."""

import time

import pytest
from django.db import connection

from logs import bounds

pytestmark = pytest.mark.django_db(transaction=True)


def slept(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def looked(seconds: list[float]) -> None:
    with bounds.alone(1, 500):
        for each in seconds:
            slept(each)


def slow_between() -> None:
    with bounds.within(200):
        time.sleep(0.3)
        slept(0)


def test_all_statements_of_a_look_have_the_time_together() -> None:
    began_at = time.monotonic()
    with pytest.raises(bounds.TooLong):
        looked([0.4] * 4)
    assert 0.4 < time.monotonic() - began_at < 1
    with bounds.within(2_000):
        slept(0.1)
    slept(0.6)  # And none after it has.


def test_a_look_whose_time_is_over_sends_nothing_more() -> None:
    with pytest.raises(bounds.TooLong):
        slow_between()
