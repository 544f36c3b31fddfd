"""Versions are written once, announced in time, and the database lets nobody change them."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from pricing.models import Model, PriceVersion, UnitPrice
from pricing.publishing import PublishingError, complete, publish, rates_of
from pricing.rating import Rates

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
RATES = ((0, {"input_tokens": 2_500_000, "output_tokens": 10_000_000}),)
CHEAPER = ((0, {"input_tokens": 2_000_000, "output_tokens": 10_000_000}),)
DEARER = ((0, {"input_tokens": 3_000_000, "output_tokens": 10_000_000}),)
MIXED = ((0, {"input_tokens": 1_000_000, "output_tokens": 10_000_001}),)


@pytest.fixture
def model() -> Model:
    return Model.objects.create(name="gpt-test", provider_code="openai", provider="OpenAI")


def soon() -> datetime:
    return timezone.now() + timedelta(seconds=90)


def in_a_week() -> datetime:
    return timezone.now() + timedelta(days=7, seconds=30)


def test_the_first_version_may_lie_in_the_past(model: Model) -> None:
    version = publish(model, RATES, effective_from=LONG_AGO, source="test")
    stored = PriceVersion.objects.get(pk=version.pk)
    assert stored.multiplier_bp == 10_000
    assert rates_of(stored) == complete(RATES)


def test_missing_cached_and_reasoning_prices_are_written(model: Model) -> None:
    publish(
        model,
        ((0, {"input_tokens": 1, "input_audio_tokens": 9, "output_tokens": 2}), (100, {"input_tokens": 5})),
        effective_from=LONG_AGO,
        source="test",
    )
    rows = set(UnitPrice.objects.values_list("unit", "above_input_tokens", "price_picousd_per_unit"))
    assert rows == {
        ("input_tokens", 0, 1),
        ("cached_input_tokens", 0, 1),
        ("output_tokens", 0, 2),
        ("reasoning_tokens", 0, 2),
        ("input_audio_tokens", 0, 9),
        ("cached_input_audio_tokens", 0, 9),
        ("input_tokens", 100, 5),
        ("cached_input_tokens", 100, 5),
    }


def test_the_same_content_is_no_new_version(model: Model) -> None:
    first = publish(model, RATES, effective_from=LONG_AGO, source="test")
    again = publish(model, RATES, effective_from=soon(), source="another source")
    assert again == first
    assert PriceVersion.objects.count() == 1


@pytest.mark.parametrize("seconds", [-1, 0, 59])
def test_a_change_needs_sixty_seconds_of_notice(model: Model, seconds: int) -> None:
    publish(model, RATES, effective_from=LONG_AGO, source="test")
    with pytest.raises(PublishingError, match="60 seconds"):
        publish(model, CHEAPER, effective_from=timezone.now() + timedelta(seconds=seconds), source="test")
    assert PriceVersion.objects.count() == 1


@pytest.mark.parametrize("rates", [DEARER, MIXED])
def test_a_rise_needs_days_of_notice(model: Model, rates: Rates, settings: Settings) -> None:
    publish(model, RATES, effective_from=LONG_AGO, source="test")
    with pytest.raises(PublishingError, match="rises at the earliest 7 days"):
        publish(model, rates, effective_from=timezone.now() + timedelta(days=7, seconds=-1), source="test")
    publish(model, rates, effective_from=in_a_week(), source="test")
    settings.PRICE_RISE_NOTICE_DAYS = 0
    publish(model, DEARER, effective_from=soon(), source="test")
    assert PriceVersion.objects.count() == 3


def test_a_price_of_long_input_that_rises_is_a_rise(model: Model) -> None:
    tiered = ((0, RATES[0][1]), (1_000, {"output_tokens": 10_000_001}))
    publish(model, RATES, effective_from=LONG_AGO, source="test")
    with pytest.raises(PublishingError, match="rises"):
        publish(model, tiered, effective_from=soon(), source="test")


def test_a_unit_that_had_no_price_is_no_rise(model: Model) -> None:
    publish(model, RATES, effective_from=LONG_AGO, source="test")
    publish(model, ((0, {**RATES[0][1], "web_searches": 10**10}),), effective_from=soon(), source="test")
    assert PriceVersion.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_change_published_by_many_at_once_is_one_version(model: Model) -> None:
    publish(model, RATES, effective_from=LONG_AGO, source="test")
    moment, start, written = in_a_week(), threading.Barrier(4), []

    def change() -> None:
        try:
            start.wait(10)
            written.append(publish(model, DEARER, effective_from=moment, source="test").pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(written) == 4
    assert len(set(written)) == 1
    assert PriceVersion.objects.count() == 2


def test_two_versions_from_one_moment_are_refused(model: Model) -> None:
    moment = in_a_week()
    publish(model, RATES, effective_from=moment, source="test")
    with pytest.raises(PublishingError, match="that very moment"):
        publish(model, DEARER, effective_from=moment, source="test")


def test_a_time_without_zone_is_refused(model: Model) -> None:
    with pytest.raises(PublishingError, match="time zone"):
        publish(model, RATES, effective_from=datetime(2020, 1, 1), source="test")  # noqa: DTZ001  # what is refused


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ((), "at least one"),
        (((0, {}),), "at least one"),
        (((5, {"images": 1}),), "at least one"),
        (((0, {"images": -1}),), "from 0"),
        (((0, {"images": 10**15 + 1}),), "from 0"),
        (((0, {"images": True}),), "from 0"),
        (((0, {"tokens": 1}),), "not a unit"),
        (((0, {"images": 1}), (10, {"seconds": 1})), "no base price"),
    ],
)
def test_bad_rates_are_refused(
    model: Model, rates: tuple[tuple[int, dict[str, int]], ...], reason: str
) -> None:
    with pytest.raises(PublishingError, match=reason):
        publish(model, rates, effective_from=LONG_AGO, source="test")
    assert not PriceVersion.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pricing_priceversion SET multiplier_bp = 1",
        "UPDATE pricing_unitprice SET price_picousd_per_unit = 0",
        "DELETE FROM pricing_unitprice",
        "DELETE FROM pricing_priceversion",
        "TRUNCATE pricing_unitprice",
        "TRUNCATE pricing_priceversion CASCADE",
        "TRUNCATE pricing_model CASCADE",
    ],
)
def test_the_database_refuses_to_change_a_version(model: Model, statement: str) -> None:
    publish(model, RATES, effective_from=LONG_AGO, source="test")
    # A foreign key that is checked later would stop TRUNCATE before its trigger speaks.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="is refused"), transaction.atomic():
            cursor.execute(statement)
    assert UnitPrice.objects.count() == 4


def test_the_orm_cannot_change_or_delete_a_version_either(model: Model) -> None:
    version = publish(model, RATES, effective_from=LONG_AGO, source="test")
    version.multiplier_bp = 1
    with pytest.raises(IntegrityError), transaction.atomic():
        version.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        model.delete()
    with pytest.raises(IntegrityError, match="is refused"), transaction.atomic():
        UnitPrice.objects.all().delete()


def test_a_unit_price_cannot_be_added_to_an_older_version(model: Model) -> None:
    older = PriceVersion.objects.create(
        model=model, effective_from=LONG_AGO, created_at=timezone.now() - timedelta(days=1)
    )
    with pytest.raises(IntegrityError, match="was written before"), transaction.atomic():
        UnitPrice.objects.create(version=older, unit="images", price_picousd_per_unit=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("unit", "tokens"), ("price_picousd_per_unit", -1), ("price_picousd_per_unit", 10**15 + 1)],
)
def test_the_database_checks_unit_prices(model: Model, field: str, value: object) -> None:
    version = PriceVersion.objects.create(model=model, effective_from=LONG_AGO)
    good: dict[str, object] = {"version": version, "unit": "images", "price_picousd_per_unit": 1}
    with pytest.raises(IntegrityError), transaction.atomic():
        UnitPrice.objects.create(**{**good, field: value})
    UnitPrice.objects.create(**good)
    with pytest.raises(IntegrityError), transaction.atomic():
        UnitPrice.objects.create(**good)
