"""Markups act through versions: at their moment, for every model that they concern, and on nothing before it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from pricing import catalogue, importing, markups
from pricing.listings import UNDATED_FROM, Listing
from pricing.models import Markup, Model, Origin, PriceVersion
from pricing.multipliers import Multipliers
from pricing.publishing import DatedRates, PublishingError, publish
from pricing.rating import multiplied, rate
from tests.pricing.lists import listing, rates

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=61)
WEEK = NOW + timedelta(days=7, seconds=61)
CHEAPER = rates(prompt=2_000_000)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    time = {"now": NOW}
    monkeypatch.setattr("django.utils.timezone.now", lambda: time["now"])
    return time


def load(*listings: Listing) -> None:
    importing.run(listings or [listing("gpt-a"), listing("gpt-b"), other()])


def other(**changes: object) -> Listing:
    return listing("claude-a", provider_code="anthropic", provider="Anthropic", **changes)


def history(name: str) -> list[tuple[datetime, int]]:
    """What the model is charged by and from when on, as every process has it."""
    catalogue.forget()
    found = catalogue.priced(name)
    assert found
    return [(version.effective_from, version.table.multiplier_bp) for version in found.versions]


def test_both_multipliers_are_one_in_whole_basis_points() -> None:
    assert multiplied(12_000, 11_000) == 13_200
    # 1.25 × 1.0002 is 1.25025 and 1.25 × 1.0006 is 1.25075: halves go to the even one.
    assert (multiplied(12_500, 10_002), multiplied(12_500, 10_006)) == (12_502, 12_508)
    assert multiplied(1, 1) == 1


def test_a_markup_of_a_provider_makes_versions_of_all_its_models() -> None:
    load()
    written = markups.of_provider("openai", 12_000, effective_from=WEEK)
    assert len(written) == 2
    for name in ("gpt-a", "gpt-b"):
        assert history(name) == [(UNDATED_FROM, 10_000), (WEEK, 12_000)]
    assert history("claude-a") == [(UNDATED_FROM, 10_000)]


def test_that_of_a_model_multiplies_with_that_of_its_provider() -> None:
    load()
    markups.of_provider("openai", 12_000, effective_from=WEEK)
    markups.of_model(Model.objects.get(name="gpt-a"), 5_000, effective_from=SOON)
    assert history("gpt-a") == [
        (UNDATED_FROM, 10_000),
        (SOON, 5_000),
        (WEEK, 6_000),
    ]
    assert history("gpt-b") == [(UNDATED_FROM, 10_000), (WEEK, 12_000)]


def test_where_markups_meet_nobody_pays_by_one_alone() -> None:
    """Whichever is written first, at the very moment too; and the receipts of what was announced before stay readable."""
    load()
    model = Model.objects.get(name="gpt-a")
    markups.of_provider("openai", 12_000, effective_from=WEEK)
    markups.of_model(model, 5_000, effective_from=WEEK)
    assert history("gpt-a") == [(UNDATED_FROM, 10_000), (WEEK, 6_000)]
    stored = PriceVersion.objects.filter(model=model)
    assert list(stored.values_list("effective_from", "multiplier_bp")) == [
        (UNDATED_FROM, 10_000),
        (WEEK, 12_000),
        (WEEK, 6_000),
    ]
    load()
    assert stored.count() == 3


def test_multipliers_that_are_too_much_together_are_refused_by_name() -> None:
    """Also where they meet later, in a version that follows from the markups."""
    model = Model.objects.create(name="new", provider_code="openai", provider="OpenAI")
    markups.of_provider("openai", 1_000_000, effective_from=SOON)
    markups.of_model(model, 1_000_000, effective_from=WEEK)
    with pytest.raises(PublishingError, match="basis points"):
        publish(model, rates(), effective_from=SOON, source="tests")
    assert not PriceVersion.objects.exists()


def test_what_was_announced_for_later_has_the_multiplier_of_then() -> None:
    year = datetime(2027, 1, 1, tzinfo=UTC)
    load(listing(history=(DatedRates(UNDATED_FROM, rates()), DatedRates(year, CHEAPER))))
    markups.of_provider("openai", 9_000, effective_from=SOON)
    assert history("gpt-test") == [
        (UNDATED_FROM, 10_000),
        (SOON, 9_000),
        (year, 9_000),
    ]
    found = catalogue.find("gpt-test")
    assert found
    table = found.price_at(year + timedelta(days=1))
    assert table
    assert table.rates[0][1]["input_tokens"] == 2_000_000


def test_an_import_publishes_with_the_markups_in_force(clock: dict[str, datetime]) -> None:
    load()
    markups.of_provider("openai", 8_000, effective_from=SOON)
    markups.of_provider("openai", 9_000, effective_from=WEEK)
    clock["now"] = NOW + timedelta(days=1)
    soon = clock["now"] + timedelta(seconds=90)
    cheaper = (DatedRates(UNDATED_FROM, CHEAPER),)
    load(listing("gpt-a", history=cheaper), listing("gpt-b"), listing("gpt-c"), other())
    assert history("gpt-a") == [
        (UNDATED_FROM, 10_000),
        (SOON, 8_000),
        (soon, 8_000),
        (WEEK, 9_000),
    ]
    newest = catalogue.priced("gpt-a")
    assert newest
    assert newest.versions[-1].table.rates[0][1]["input_tokens"] == 2_000_000
    # Nobody has called a new model: it has the multiplier of now from its beginning.
    assert history("gpt-c") == [(UNDATED_FROM, 8_000), (WEEK, 9_000)]
    assert importing.run([listing("gpt-a", history=cheaper)]).outcomes == {
        "gpt-a": importing.Outcome.UNCHANGED,
        "gpt-b": importing.Outcome.CHANGED,
        "gpt-c": importing.Outcome.CHANGED,
        "claude-a": importing.Outcome.CHANGED,
    }


def test_what_staff_publish_has_it_too_now_and_later() -> None:
    load()
    markups.of_provider("openai", 8_000, effective_from=SOON)
    markups.of_provider("openai", 9_000, effective_from=WEEK)
    new = Model.objects.create(name="gpt-new", provider_code="openai", provider="OpenAI")
    publish(new, rates(), effective_from=UNDATED_FROM, source="staff")
    assert history("gpt-new") == [(UNDATED_FROM, 10_000), (SOON, 8_000), (WEEK, 9_000)]


def test_the_import_goes_on_with_what_is_its_own() -> None:
    load()
    markups.of_provider("openai", 8_000, effective_from=SOON)
    assert set(PriceVersion.objects.values_list("origin", flat=True)) == {Origin.IMPORT}
    load()
    assert history("gpt-a") == [(UNDATED_FROM, 10_000), (SOON, 8_000)]


def test_a_receipt_of_before_stays_as_it_was() -> None:
    load()
    markups.of_provider("openai", 5_000, effective_from=SOON)
    found = catalogue.find("gpt-a")
    assert found
    before, after = found.price_at(NOW), found.price_at(WEEK)
    assert before
    assert after
    usage = {"input_tokens": 1_200, "output_tokens": 300}
    assert [rate(usage, table).charged_nanousd for table in (before, after)] == [6_000_000, 3_000_000]


@pytest.mark.parametrize(
    ("multiplier_bp", "moment", "reason"),
    [
        (9_000, NOW + timedelta(seconds=59), "60 seconds"),
        (10_001, NOW + timedelta(days=6), "gpt-a: A price rises at the earliest 7 days"),
        (0, WEEK, "between 0.0001 and 100"),
        (1_000_001, WEEK, "between 0.0001 and 100"),
    ],
)
def test_what_is_refused_changes_nothing(multiplier_bp: int, moment: datetime, reason: str) -> None:
    load()
    with pytest.raises(PublishingError, match=reason):
        markups.of_provider("openai", multiplier_bp, effective_from=moment)
    assert not Markup.objects.exists()
    assert PriceVersion.objects.count() == 3


def test_more_that_is_refused() -> None:
    load()
    with pytest.raises(PublishingError, match="no model"):
        markups.of_provider("nobody", 9_000, effective_from=WEEK)
    markups.of_provider("openai", 9_000, effective_from=WEEK)
    with pytest.raises(PublishingError, match="already"):
        markups.of_provider("openai", 8_000, effective_from=WEEK)
    markups.of_provider("anthropic", 1_000_000, effective_from=WEEK)
    with pytest.raises(PublishingError, match="basis points"):
        markups.of_model(Model.objects.get(name="claude-a"), 20_000, effective_from=WEEK)
    assert Markup.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_none_is_written_while_prices_are_imported() -> None:
    load()
    other_connection = connections["default"].copy()
    with other_connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [markups.IMPORT_LOCK])
    try:
        with pytest.raises(PublishingError, match="imported at this moment"):
            markups.of_provider("openai", 9_000, effective_from=WEEK)
    finally:
        with other_connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [markups.IMPORT_LOCK])
        other_connection.close()
    markups.of_provider("openai", 9_000, effective_from=WEEK)


def test_markups_never_change() -> None:
    load()
    markups.of_provider("openai", 9_000, effective_from=WEEK)
    for refused in (lambda: Markup.objects.update(multiplier_bp=1), lambda: Markup.objects.all().delete()):
        with pytest.raises(IntegrityError, match="is refused"), transaction.atomic():
            refused()
    with pytest.raises(IntegrityError), transaction.atomic():
        Markup.objects.create(effective_from=timezone.now(), multiplier_bp=1)
    assert Multipliers.load().at(WEEK, provider_code="openai", model_id=None) == 9_000
