"""What the benchmark writes into the books is what recording would have written: every invariant holds over it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from bench import books, population
from bench.drawing import Drawing, Kind, Past, Payer
from bench.filling import History
from logs import receipts
from logs.models import Call
from tests import plugin
from tests.books import assert_books
from tokens.models import DailyUsage, HourlyUsage

CALLS = 3_000
# So near that their months are there already, which other tests need as they are.
PAST = Past(CALLS, days=30, batch=500, largest_share=0.1)


@pytest.fixture
def direct() -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    name = str(connection.settings_dict["NAME"])
    with psycopg.connect(plugin.CLUSTER.url(name), autocommit=True) as made:
        yield made


@pytest.mark.django_db(transaction=True)
def test_calls_of_the_past_are_complete(direct: "psycopg.Connection[tuple[Any, ...]]") -> None:
    call_command("import_prices", verbosity=0)
    people = population.settle(5)
    indexes = _indexes()
    history = History(direct, people, PAST)
    history.fill(CALLS // 3)
    history.fill(CALLS)
    assert _indexes() == indexes
    found = books.verify(granted_nanousd=people.granted_nanousd, acknowledged=CALLS, refused={})
    assert found.problems == ()
    assert_books()
    for call in Call.objects.select_related("model", "key").order_by("id")[:: CALLS // 100]:
        assert receipts.of(call).problem == ""
    of_wallets = Counter(Call.objects.values_list("wallet_id", flat=True))
    assert of_wallets[people.keys[0].wallet_id] == max(of_wallets.values())
    assert 0 < sum(used.failed for used in DailyUsage.objects.all()) < CALLS / 10
    assert sum(used.calls for used in HourlyUsage.objects.all()) == CALLS


def test_the_same_calls_are_drawn_each_time() -> None:
    first, second = (_drawing().draw(0, 500) for _ in range(2))
    assert first.calls == second.calls
    assert len(set(first.calls)) == 500


def test_the_last_key_makes_few_calls_over_all_of_the_time() -> None:
    drawn = _drawing().draw(0, 500)
    places = [place for place, line in enumerate(drawn.calls) if line.split("\t")[2] == "5"]
    assert len(places) == 50
    assert places[0] < 50
    assert places[-1] >= 450


def test_a_batch_is_paid_for_by_a_transfer_of_its_own() -> None:
    drawn = _drawing().draw(0, 500)
    assert [bill.transfer_id for bill in drawn.bills] == [1, 2, 3, 4, 5]
    assert sum(bill.calls for bill in drawn.bills) == sum("succeeded" in line for line in drawn.calls)


def _drawing() -> Drawing:
    kind = Kind(1, "1\t1\tsucceeded\t{}\t7\t7", "1\t1\tfailed\t{}\t0\t0\t\\N", {"output_tokens": 3}, 7)
    payer = Payer(0, 1, [1, 2, 3, 4, 5], last_key_every=10)
    return Drawing(Past(500, days=2, batch=100), [payer], [[kind]], 1_780_000_000_000, 0)


def _indexes() -> list[tuple[str, ...]]:
    """What is indexed on each part of the table; a part's index may have any name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.indrelid::regclass, regexp_replace(pg_get_indexdef(i.indexrelid), '^.* ON ', ''), i.indisvalid"
            " FROM pg_index i WHERE i.indrelid::regclass::text LIKE 'logs\\_call%' ORDER BY 1, 2"
        )
        return [tuple(map(str, row)) for row in cursor.fetchall()]


def test_wallets_have_what_is_left() -> None:
    drawing = _drawing()
    drawing.payers[0].balance_nanousd = 10_000
    drawn = drawing.draw(0, 500)
    assert drawing.payers[0].balance_nanousd == 10_000 - sum(bill.amount_nanousd for bill in drawn.bills)
    assert f"\t{drawing.payers[0].balance_nanousd}\t" in drawn.calls[-1]
