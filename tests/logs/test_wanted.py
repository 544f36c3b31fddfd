"""What a filter means: its times, and that its two writings, for Django and for SQL, find the same."""

import itertools
import random
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from django.db import connection

from logs import call_ids
from logs.models import Call
from logs.sums import Span
from logs.wanted import PRESETS, Wanted, of_days, of_preset
from tests.logs import recorded

MOMENT = datetime(2028, 3, 1, 0, 30, tzinfo=UTC)


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2028, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("preset", "span"),
    [
        ("hour", Span(at(2, 29, 23, 30))),
        ("24h", Span(at(2, 29, 0, 30))),
        ("today", Span(at(3, 1))),
        ("yesterday", Span(at(2, 29), at(3, 1))),
        ("7d", Span(at(2, 24))),
        ("30d", Span(at(2, 1))),
        ("month", Span(at(3, 1))),
        ("last-month", Span(at(2, 1), at(3, 1))),
    ],
)
def test_presets_are_of_utc_days(preset: str, span: Span) -> None:
    assert of_preset(preset, MOMENT) == span
    assert of_preset(preset, MOMENT.astimezone(timezone(timedelta(hours=-9)))) == span


def test_each_preset_is_tested() -> None:
    marks = test_presets_are_of_utc_days.pytestmark[0].args[1]  # type: ignore[attr-defined]  # pytest puts it there
    assert [preset for preset, _ in marks] == list(PRESETS)


def test_days_to_the_end_of_time() -> None:
    assert of_days(None, None) == Span()
    assert of_days(at(2, 29).date(), at(2, 29).date()) == Span(at(2, 29), at(3, 1))
    assert of_days(None, date.max) == Span()


@pytest.mark.django_db
def test_sql_and_queryset_find_the_same() -> None:
    draw = random.Random(6)
    now = datetime.now(UTC).replace(microsecond=0)
    owner = recorded.person("owner")
    keys = [
        recorded.key_of(owner, "one"),
        recorded.key_of(owner, "two"),
        recorded.key_of(recorded.person("other")),
    ]
    versions = [recorded.model("m1"), recorded.model("m2")]
    calls = [
        recorded.call(
            draw.choice(keys),
            draw.choice(versions),
            {"input_tokens": draw.randrange(1, 3) * 1000},
            at=now - timedelta(hours=number),
            status=draw.choice(Call.Status.values),
            stream=draw.choice((True, False, None)),
        )
        for number in range(60)
    ]
    sizes = set()
    for model, key, status, stream, above, hours in itertools.product(
        (None, versions[0].model_id),
        (None, keys[1].pk),
        ("", "failed"),
        (None, False),
        (None, 3_000_000),
        (None, 30),
    ):
        span = Span(now - timedelta(hours=hours), now - timedelta(hours=3)) if hours else Span()
        wanted = Wanted(keys[0].wallet_id, span, model, key, status, stream, above)
        found = {
            call.pk
            for call in calls
            if call.wallet_id == keys[0].wallet_id
            and (model is None or call.model_id == model)
            and (key is None or call.key_id == key)
            and (not status or call.status == status)
            and (stream is None or call.stream is stream)
            and (above is None or call.charged_nanousd > above)
            and (
                hours is None
                or now - timedelta(hours=hours) <= call_ids.moment(call.pk) < now - timedelta(hours=3)
            )
        }
        assert {call.pk for call in wanted.calls} == found, wanted
        condition, parameters = wanted.where("c")
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM logs_call c WHERE {condition}", parameters)
            assert {pk for (pk,) in cursor.fetchall()} == found, wanted
        sizes.add(len(found))
    assert len(sizes) > 10, "the filters differ"
