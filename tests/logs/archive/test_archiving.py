"""A month leaves the database: the books hold before, during and after, and every step can be done again."""

from datetime import timedelta

from logs import archive
from logs.archive import moving
from logs.models import ArchivedMonth, Call
from tests.books import assert_books
from tests.logs.archive.conftest import (
    FIRST,
    KEPT_ONE,
    SECOND,
    Past,
    before_midnight,
    has_table,
    noon,
)
from wallet import invariants, seals


def broken() -> set[str]:
    return {finding.invariant.name for finding in invariants.check()}


def fill(past: Past) -> list[str]:
    """Calls of three months, batches over both of their ends, and one that was reported a month late."""
    edge = before_midnight(SECOND)
    other = before_midnight(KEPT_ONE)
    ids = past.record(noon(FIRST))
    ids += past.record(noon(FIRST, 11), past.call(noon(FIRST, 11), status="failed"))
    ids += past.record(edge, past.call(edge + timedelta(seconds=1)), recorded_at=edge + timedelta(seconds=2))
    ids += past.record(noon(SECOND), past.call(noon(FIRST, 20)))
    ids += past.record(other, past.call(other + timedelta(seconds=1)))
    return ids + past.record(noon(KEPT_ONE))


def test_the_books_hold_and_nothing_is_lost(past: Past) -> None:
    ids = fill(past)
    before = {str(call.pk): call for call in Call.objects.all()}
    seals.seal_closed_days()
    assert broken() == set()
    moving.run()
    assert broken() == set()
    assert_books()
    assert not has_table(FIRST)
    assert not has_table(SECOND)
    assert has_table(KEPT_ONE)
    assert [month.month for month in ArchivedMonth.objects.all()] == [SECOND, FIRST]
    found = {str(row["id"]): row for key in past.keys for row in archive.calls_of(key.wallet_id)}
    assert found.keys() | {str(call.pk) for call in Call.objects.all()} == set(ids)
    assert len(found) + Call.objects.count() == len(ids)
    for call_id, row in found.items():
        assert {name: getattr(before[call_id], name) for name in row} == row
