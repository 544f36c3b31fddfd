"""What each process keeps in memory: never far behind, and never asked for more than once in five seconds."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from pricing import catalogue, groups, importing
from pricing.models import Kind, Model, Origin
from pricing.publishing import Price, publish, publish_new
from tests.pricing.lists import listing, rates

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass for the catalogue."""
    clock = [1_000.0]
    monkeypatch.setattr(catalogue, "_clock", lambda: clock[0])

    def pass_by(seconds: float) -> None:
        clock[0] += seconds

    return pass_by


def test_find_matches_exactly() -> None:
    importing.run([listing("GPT-Test")])
    assert catalogue.find("GPT-Test")
    for other in ("gpt-test", "GPT-Test ", "GPT-", "%", ""):
        assert catalogue.find(other) is None


def test_the_price_at_a_moment() -> None:
    march = datetime(2026, 3, 13, tzinfo=UTC)
    history = (Price(LONG_AGO, rates()), Price(march, rates(prompt=3_000_000)))
    importing.run([listing(history=history)])
    found = catalogue.find("gpt-test")
    assert found

    def prompt(moment: datetime) -> int | None:
        table = found.price_at(moment)
        return table.rates[0][1]["input_tokens"] if table else None

    assert prompt(LONG_AGO - timedelta(microseconds=1)) is None
    assert prompt(march - timedelta(microseconds=1)) == 2_500_000
    assert prompt(march) == 3_000_000
    assert [version.effective_from for version in found.versions] == [LONG_AGO, march]


def test_only_complete_prices_can_be_sold() -> None:
    for name, kind in (("text", Kind.TEXT), ("vectors", Kind.EMBEDDING)):
        model = Model(name=name, provider_code="p", provider="P", kind=kind)
        history = [Price(LONG_AGO, ((0, {"input_tokens": 1}),))]
        publish_new([(model, history)], source="test", origin=Origin.STAFF)
    Model.objects.create(name="bare", provider_code="p", provider="P")
    assert catalogue.find("text") is None
    assert catalogue.find("bare") is None
    assert catalogue.find("vectors")
    assert [model.name for model in catalogue.sellable()] == ["vectors"]


def test_no_query_within_five_seconds_and_a_small_one_after(
    later: Callable[[float], None], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    importing.run([listing()])
    catalogue.find("gpt-test")
    later(4.9)
    with django_assert_num_queries(0):
        assert catalogue.find("gpt-test")
        assert catalogue.find("unknown") is None
    later(0.2)
    with django_assert_num_queries(1):
        assert catalogue.find("gpt-test")


@pytest.mark.parametrize("change", ["withdrawn", "added", "published"])
def test_every_change_is_seen_within_five_seconds(later: Callable[[float], None], change: str) -> None:
    importing.run([listing()])
    assert catalogue.find("gpt-test")
    before = catalogue.state(timezone.now())
    model = Model.objects.get()
    if change == "withdrawn":
        Model.objects.update(unsold_reason="Broken.")
    elif change == "added":
        importing.run([listing(), listing("other")])
    else:
        publish(model, rates(prompt=1), effective_from=timezone.now() + timedelta(minutes=2), source="test")
    later(5.1)
    found = catalogue.find("gpt-test")
    assert catalogue.state(timezone.now()) != before
    assert (found is None) == (change == "withdrawn")
    assert (catalogue.find("other") is not None) == (change == "added")
    assert len(catalogue.priced("gpt-test").versions) == (2 if change == "published" else 1)  # type: ignore[union-attr]  # it exists


def test_others_read_on_while_one_refreshes(
    later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    importing.run([listing()])
    catalogue.find("gpt-test")
    later(6)
    entered, leave = threading.Event(), threading.Event()

    def slow() -> tuple[int, ...]:
        entered.set()
        assert leave.wait(10)
        return (0,)

    monkeypatch.setattr(catalogue, "_read_revision", slow)
    monkeypatch.setattr(catalogue, "_load", dict)
    refreshing = threading.Thread(target=catalogue.find, args=("gpt-test",))
    refreshing.start()
    assert entered.wait(10)
    assert catalogue.find("gpt-test")
    leave.set()
    refreshing.join(10)
    assert catalogue.find("gpt-test") is None


def test_a_group_that_was_made_a_moment_ago_has_its_rate_in_every_process(
    later: Callable[[float], None],
) -> None:
    """However short ago this process looked: nobody is charged the list's price for want of looking again."""
    importing.run([listing()])
    for name, multiplier_bp in (("Partners", 9_000), ("Friends", 8_000)):
        catalogue.find("gpt-test")
        group = groups.create(name, multiplier_bp)
        later(0.1)
        rate = catalogue.rate_of(group.pk)
        assert rate
        assert rate.multiplier_bp == multiplier_bp
    assert catalogue.rate_of(None) is None
    with pytest.raises(LookupError, match="has no rate"):
        catalogue.rate_of(group.pk + 1)
