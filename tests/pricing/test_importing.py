"""The import: again without effect, a changed price as a new version, what staff did left alone."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from pricing import catalogue, importing
from pricing.importing import Outcome
from pricing.listings import UNDATED_FROM, Listing
from pricing.models import Model, Origin, PriceVersion, UnitPrice
from pricing.publishing import DatedRates, complete, publish, rates_of
from tests.pricing.lists import TODAY, listing, rates

pytestmark = pytest.mark.django_db

DEARER = rates(prompt=3_000_000)
CHEAPER = rates(prompt=2_000_000)
SOON = TODAY + timedelta(seconds=90)
IN_A_WEEK = TODAY + timedelta(days=7, seconds=30)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: TODAY)


def run(*listings: Listing) -> dict[str, Outcome]:
    return importing.run(listings, now=TODAY).outcomes


def versions() -> list[tuple[datetime, int]]:
    return [
        (version.effective_from, rates_of(version)[0][1]["input_tokens"])
        for version in PriceVersion.objects.order_by("effective_from", "id")
    ]


def test_a_new_model_with_its_history() -> None:
    history = (DatedRates(UNDATED_FROM, rates()), DatedRates(NEW_YEAR, DEARER))
    assert run(listing(history=history)) == {"gpt-test": Outcome.NEW}
    assert versions() == [(UNDATED_FROM, 2_500_000), (NEW_YEAR, 3_000_000)]
    assert Model.objects.get().origin == Origin.IMPORT
    assert PriceVersion.objects.first().source == "a price list for tests"  # type: ignore[union-attr]  # there is one


def test_again_changes_nothing_and_asks_little(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    history = (DatedRates(UNDATED_FROM, rates()), DatedRates(NEW_YEAR, DEARER))
    run(listing(history=history), listing("other"))
    with django_assert_num_queries(8):  # lock, four tables, an empty transaction for new ones, unlock
        assert set(run(listing(history=history), listing("other")).values()) == {Outcome.UNCHANGED}
    assert PriceVersion.objects.count() == 3


def test_a_changed_price_is_a_new_version_soon() -> None:
    run(listing())
    changed = listing(history=(DatedRates(UNDATED_FROM, CHEAPER),))
    assert run(changed) == {"gpt-test": Outcome.CHANGED}
    assert versions() == [(UNDATED_FROM, 2_500_000), (SOON, 2_000_000)]
    assert importing.run([changed], now=SOON + timedelta(days=1)).outcomes == {"gpt-test": Outcome.UNCHANGED}


def test_a_price_that_rises_does_so_after_the_notice() -> None:
    run(listing())
    changed = listing(history=(DatedRates(UNDATED_FROM, DEARER),))
    assert run(changed) == {"gpt-test": Outcome.CHANGED}
    assert versions() == [(UNDATED_FROM, 2_500_000), (IN_A_WEEK, 3_000_000)]
    for day in range(9):
        found = importing.run([changed], now=TODAY + timedelta(days=day)).outcomes
        assert found == {"gpt-test": Outcome.UNCHANGED}, day


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (7_500_001, "Prompt would cost 3 times as much, and 3 is the most"),
        (833_333, "0.333 times"),
        (0, "Prompt would cost nothing"),
    ],
)
def test_a_price_that_jumps_is_left_until_staff_force_it(prompt: int, words: str) -> None:
    run(listing())
    jumped = [listing(history=(DatedRates(UNDATED_FROM, rates(prompt=prompt)),), title="New title")]
    summary = importing.run(jumped, now=TODAY)
    assert words in summary.refused["gpt-test"]
    assert versions() == [(UNDATED_FROM, 2_500_000)]
    assert (Model.objects.get().title, summary.changes) == ("New title", [])
    assert importing.run(jumped, now=TODAY, forced=["other"]).refused.keys() == {"gpt-test"}
    forced = importing.run(jumped, now=TODAY, forced=["gpt-test"])
    assert (forced.refused, [change.name for change in forced.changes]) == ({}, ["gpt-test"])
    assert versions()[1][1] == prompt


def test_the_price_of_long_input_may_not_jump_either() -> None:
    run(listing())
    tiered = ((0, rates()[0][1]), (100_000, {"output_tokens": 31_000_000}))
    summary = importing.run([listing(history=(DatedRates(UNDATED_FROM, tiered),))], now=TODAY)
    assert "Completion would cost 3.1 times" in summary.refused["gpt-test"]
    assert versions() == [(UNDATED_FROM, 2_500_000)]


def test_the_factor_is_the_operators(settings: Settings) -> None:
    settings.PRICE_IMPORT_FACTOR = 1
    run(listing())
    changed = [listing(history=(DatedRates(UNDATED_FROM, rates(prompt=2_500_001)),))]
    assert importing.run(changed, now=TODAY).refused.keys() == {"gpt-test"}
    settings.PRICE_IMPORT_FACTOR = 2
    assert importing.run(changed, now=TODAY).refused == {}


def test_a_price_that_is_not_complete_is_left_even_where_it_is_forced() -> None:
    run(listing())
    half = listing(history=(DatedRates(UNDATED_FROM, ((0, {"input_tokens": 2_000_000}),)),))
    summary = importing.run([half], now=TODAY, forced=["gpt-test"])
    assert "no price for input and output" in summary.refused["gpt-test"]
    assert versions() == [(UNDATED_FROM, 2_500_000)]


def test_a_dry_run_tells_and_writes_nothing() -> None:
    run(listing(), listing("leaves"))
    lists = [listing(history=(DatedRates(UNDATED_FROM, DEARER),), title="New"), listing("comes")]
    summary = importing.run(lists, now=TODAY, dry_run=True)
    assert summary.outcomes == {
        "comes": Outcome.NEW,
        "gpt-test": Outcome.CHANGED,
        "leaves": Outcome.CHANGED,
    }
    assert [(change.name, change.after.effective_from) for change in summary.changes] == [
        ("gpt-test", IN_A_WEEK)
    ]
    assert versions() == [(UNDATED_FROM, 2_500_000)] * 2
    assert set(Model.objects.values_list("name", "title", "unsold_reason")) == {
        ("gpt-test", "GPT-TEST", ""),
        ("leaves", "LEAVES", ""),
    }
    done = importing.run(lists, now=TODAY)
    assert (done.outcomes, done.changes) == (summary.outcomes, summary.changes)


def test_a_rise_that_is_listed_for_tomorrow_waits_and_a_fall_after_it_does_not() -> None:
    run(listing())
    tomorrow, in_three_days = TODAY + timedelta(days=1), TODAY + timedelta(days=3)
    history = (
        DatedRates(UNDATED_FROM, rates()),
        DatedRates(tomorrow, DEARER),
        DatedRates(in_three_days, CHEAPER),
    )
    run(listing(history=history))
    assert versions() == [(UNDATED_FROM, 2_500_000), (in_three_days, 2_000_000)]
    run(listing(history=history[:2]))
    assert versions() == [
        (UNDATED_FROM, 2_500_000),
        (in_three_days, 2_000_000),
        (IN_A_WEEK, 3_000_000),
    ]


def test_an_announced_price_is_added() -> None:
    run(listing())
    run(listing(history=(DatedRates(UNDATED_FROM, rates()), DatedRates(NEW_YEAR, DEARER))))
    assert versions() == [(UNDATED_FROM, 2_500_000), (NEW_YEAR, 3_000_000)]


def test_an_announced_price_that_is_taken_back_is_charged_at_no_moment() -> None:
    run(listing(history=(DatedRates(UNDATED_FROM, rates()), DatedRates(NEW_YEAR, DEARER))))
    assert run(listing()) == {"gpt-test": Outcome.CHANGED}
    assert versions() == [
        (UNDATED_FROM, 2_500_000),
        (NEW_YEAR, 3_000_000),
        (NEW_YEAR, 2_500_000),
    ]
    found = catalogue.priced("gpt-test")
    assert found
    assert [version.table.rates[0][1]["input_tokens"] for version in found.versions] == [2_500_000, 2_500_000]
    assert run(listing()) == {"gpt-test": Outcome.UNCHANGED}


def test_a_past_that_is_told_differently_changes_nothing_that_was_charged() -> None:
    run(listing())
    earlier = datetime(2026, 1, 1, tzinfo=UTC)
    run(listing(history=(DatedRates(UNDATED_FROM, DEARER), DatedRates(earlier, rates()))))
    assert versions() == [(UNDATED_FROM, 2_500_000)]


def test_a_model_that_was_not_sold_gets_the_price_of_today() -> None:
    run(listing(history=(), unsold_reason="its price depends on the time of day"))
    assert Model.objects.get().unsold_reason == "Import: its price depends on the time of day"
    earlier = datetime(2026, 1, 1, tzinfo=UTC)
    run(listing(history=(DatedRates(UNDATED_FROM, rates()), DatedRates(earlier, DEARER))))
    assert versions() == [(UNDATED_FROM, 3_000_000)]
    assert Model.objects.get().unsold_reason == ""


def test_a_model_that_cannot_be_sold_any_more_keeps_its_prices() -> None:
    run(listing())
    assert run(listing(history=(), unsold_reason="its price depends on the time of day")) == {
        "gpt-test": Outcome.CHANGED
    }
    assert versions() == [(UNDATED_FROM, 2_500_000)]
    assert catalogue.find("gpt-test") is None
    assert catalogue.priced("gpt-test") is not None


def test_a_model_that_left_the_list_is_kept_from_sale_and_comes_back() -> None:
    run(listing(), listing("other"))
    assert run(listing())["other"] is Outcome.CHANGED
    assert run(listing())["other"] is Outcome.UNCHANGED
    assert "not in the price list" in Model.objects.get(name="other").unsold_reason
    assert run(listing(), listing("other"))["other"] is Outcome.CHANGED
    assert Model.objects.get(name="other").unsold_reason == ""


def test_what_staff_did_is_left_alone() -> None:
    run(listing("priced"), listing("refused"))
    publish(Model.objects.get(name="priced"), CHEAPER, effective_from=SOON, source="staff")
    Model.objects.filter(name="refused").update(unsold_reason="We don't sell this.")
    Model.objects.create(name="ours", provider_code="us", provider="Us")
    outcomes = run(listing("priced"), listing("refused"))
    assert outcomes == {"priced": Outcome.LEFT_TO_STAFF, "refused": Outcome.UNCHANGED}
    assert Model.objects.get(name="refused").unsold_reason == "We don't sell this."
    assert Model.objects.get(name="ours").unsold_reason == ""


def test_details_are_brought_up_to_date() -> None:
    run(listing())
    assert run(listing(title="GPT Test", context_window=128_000)) == {"gpt-test": Outcome.CHANGED}
    model = Model.objects.get()
    assert (model.title, model.context_window) == ("GPT Test", 128_000)
    assert PriceVersion.objects.count() == 1


def test_names_that_differ_by_case_are_two_models() -> None:
    run(listing("M2"), listing("m2"))
    assert Model.objects.count() == 2


def test_a_price_that_cannot_be_stored_stops_the_import_before_it_writes() -> None:
    bad = replace(listing("bad"), history=(DatedRates(UNDATED_FROM, rates(prompt=10**16)),))
    with pytest.raises(ValueError, match="input_tokens"):
        run(listing(), bad)
    assert not Model.objects.exists()


def test_the_command_loads_the_whole_catalogue_and_says_so() -> None:
    first, second, details = StringIO(), StringIO(), StringIO()
    call_command("import_prices", stdout=first)
    assert "0 changed" in first.getvalue()
    counts = (Model.objects.count(), PriceVersion.objects.count(), UnitPrice.objects.count())
    assert counts[0] > 400
    call_command("import_prices", stdout=second)
    assert "nothing changed" in second.getvalue()
    call_command("import_prices", stdout=details, verbosity=2)
    assert "not sold: deepseek-chat: its price depends on the time of day" in details.getvalue()
    assert (Model.objects.count(), PriceVersion.objects.count(), UnitPrice.objects.count()) == counts
    for name in ("gpt-4o", "claude-haiku-4-5", "mj_fast_imagine", "kling-v2-1-master"):
        assert catalogue.find(name), name


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_have_the_effect_of_one() -> None:
    lists = [listing(f"model-{number}") for number in range(20)]
    start, found = threading.Barrier(4), []

    def import_lists() -> None:
        try:
            start.wait(10)
            found.append(importing.run(lists, now=TODAY))
        finally:
            connection.close()

    threads = [threading.Thread(target=import_lists) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(summary.count(Outcome.NEW) for summary in found) == [0, 0, 0, 20]
    assert Model.objects.count() == PriceVersion.objects.count() == 20


def test_the_stored_price_is_the_listed_one() -> None:
    run(listing())
    found = catalogue.find("gpt-test")
    assert found
    table = found.price_at(TODAY)
    assert table
    assert table.rates == complete(rates())
