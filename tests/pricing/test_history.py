"""A model's price history: changes in words, and the drawing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from pricing import catalogue, charts, history, importing
from pricing.catalogue import SellableModel
from pricing.listings import UNDATED_FROM
from pricing.publishing import DatedRates
from tests.pricing.lists import listing, rates

MARCH = datetime(2026, 3, 13, tzinfo=UTC)


def stored(*dated: tuple[datetime, tuple[tuple[int, dict[str, int]], ...]]) -> SellableModel:
    importing.run([listing("gpt-test", history=tuple(DatedRates(at, rates) for at, rates in dated))])
    catalogue.forget()
    model = catalogue.find("gpt-test")
    assert model is not None
    return model


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("2", "2", ""),
        ("2", "2.5", "+25 %"),
        ("2.5", "2", "−20 %"),
        ("3", "4", "+33.3 %"),
        ("3", "0", "−100 %"),
        ("0", "1", "was free"),
        ("1", "101", "+10,000 %"),
        ("1000000", "1000001", "+<0.1 %"),
        ("1000000", "999999", "−<0.1 %"),
    ],
)
def test_changes_in_words(before: str, after: str, words: str) -> None:
    assert history.change(Decimal(before), Decimal(after)) == words


@pytest.mark.django_db
def test_each_version_says_what_it_changed() -> None:
    now = timezone.now()
    model = stored(
        (UNDATED_FROM, rates(2_000_000, 8_000_000)),
        (
            MARCH,
            (
                (0, {"input_tokens": 1_000_000, "output_tokens": 8_000_000}),
                (1_000, {"input_tokens": 3_000_000}),
            ),
        ),
        (now + timedelta(days=2), rates(1_500_000, 8_000_000)),
    )
    newest, current, first = history.of(model, at=now)
    assert [version.state for version in (newest, current, first)] == ["coming", "now", ""]

    def changes(version: history.Version) -> dict[str, list[str]]:
        return {cell.unit: [price.change for price in cell.prices] for cell in version.cells}

    assert changes(first)["input_tokens"] == [""]
    # Long input cost as much as short before, $2: the tier at $3 is half as much more.
    assert changes(current)["input_tokens"] == ["−50 %", "+50 %"]
    assert changes(current)["output_tokens"] == [""]
    assert changes(newest)["input_tokens"] == ["+50 %"]


@pytest.mark.django_db
def test_units_come_and_go() -> None:
    model = stored(
        (UNDATED_FROM, rates()),
        (MARCH, ((0, {"input_tokens": 2_500_000, "output_tokens": 10_000_000, "web_searches": 10**10}),)),
        (timezone.now() + timedelta(days=2), rates()),
    )
    newest, current, first = (
        next(cell for cell in version.cells if cell.unit == "web_searches")
        for version in history.of(model, at=timezone.now())
    )
    assert (first.prices, first.is_dropped) == ((), False)
    assert [price.change for price in current.prices] == ["new"]
    assert (newest.prices, newest.is_dropped) == ((), True)


@pytest.mark.django_db
def test_the_drawing_steps_at_each_change() -> None:
    now = timezone.now()
    model = stored(
        (UNDATED_FROM, rates(2_000_000, 8_000_000)),
        (MARCH, rates(1_000_000, 8_000_000)),
        (now + timedelta(days=30), rates(4_000_000, 8_000_000)),
    )
    chart = charts.of_history(model.versions, now=now)
    assert chart is not None
    assert [series.unit for series in chart.series] == [
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
    ]
    prompt = chart.series[0]
    assert [mark.label for mark in chart.scale] == ["$0.00", "$5.00", "$10.00"]
    bottom, top = chart.scale[0].at, chart.scale[2].at
    heights = [(bottom - dot.y) / (bottom - top) for dot in prompt.dots]
    assert heights == pytest.approx([0.1, 0.4], abs=0.01)
    assert chart.left < prompt.dots[0].x < (chart.now or 0) < prompt.dots[1].x < chart.right
    assert prompt.past.endswith(f"H{chart.now}")
    assert prompt.future.startswith(f"M{chart.now} ")
    assert [dot.at for dot in chart.series[2].dots] == []


@pytest.mark.django_db
def test_a_price_that_never_changed_has_no_drawing() -> None:
    assert charts.of_history(stored((UNDATED_FROM, rates())).versions, now=timezone.now()) is None


@pytest.mark.django_db
def test_a_first_change_to_come_is_drawn_from_now_on() -> None:
    """What was before it has no date, so the drawing begins a little before now: a price is not told as of another day."""
    now = timezone.now()
    coming = now + timedelta(days=8)
    model = stored((UNDATED_FROM, rates(2_000_000, 8_000_000)), (coming, rates(4_000_000, 8_000_000)))
    chart = charts.of_history(model.versions, now=now)
    assert chart is not None
    assert chart.days[0][2] < now
    dot = chart.series[0].dots[0]
    assert (dot.at, chart.left < (chart.now or 0) < dot.x < chart.right) == (coming, True)
    assert chart.series[0].past.endswith(f"H{chart.now}")


@pytest.mark.django_db
def test_a_fraction_above_a_round_price_stays_on_the_drawing() -> None:
    model = stored((MARCH, rates(0, 0)), (MARCH + timedelta(days=1), rates(1, 5)))
    multiplied = replace(model.versions[1], table=model.versions[1].table.with_rate(8_100))
    chart = charts.of_history([model.versions[0], multiplied], now=timezone.now())
    assert chart is not None
    heights = [dot.y for series in chart.series for dot in series.dots]
    assert min(heights) >= chart.top


@pytest.mark.django_db
def test_a_free_model_and_two_changes_at_once_can_be_drawn(client: Client) -> None:
    now = timezone.now()
    soon = now + timedelta(minutes=2)
    model = stored((MARCH, rates(0, 0)), (soon, rates(0, 0)), (soon + timedelta(microseconds=1), rates(0, 1)))
    assert charts.of_history(model.versions, now=now) is not None
    page = client.get("/pricing/gpt-test/").text
    assert "chart-steps" in page
    assert page.count("Coming") == 2
    assert "was free" in page
