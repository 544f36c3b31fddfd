"""Requests that come one at a time share a transaction, and each gets its own answer."""

import threading
from collections.abc import Sequence

import pytest

from accounts.models import User
from logs.grouping import Group
from logs.recording import Result, record
from tests.books import assert_books
from tests.metering.gateway import call, give, sell
from tests.parallel import at_once
from tokens import keys
from wallet import ledger


class Slow:
    """Records nothing, slowly, and remembers what came together."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.may_go = threading.Event()

    def __call__(self, calls: Sequence[object]) -> list[Result]:
        self.batches.append(list(calls))
        self.may_go.wait(10)
        if "bad" in calls:
            raise RuntimeError("bad")
        return [Result(str(one), "accepted") for one in calls]


def start(group: Group, calls: list[object], answers: dict[int, object], number: int) -> threading.Thread:
    def work() -> None:
        try:
            answers[number] = [result.call_id for result in group.record(calls)]
        except RuntimeError as error:
            answers[number] = str(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def waiting(group: Group, count: int) -> None:
    gate = threading.Event()
    for _ in range(500):
        if len(group._waiting) == count:
            return
        gate.wait(0.01)
    raise AssertionError(f"{len(group._waiting)} are waiting, not {count}")


def test_what_gathers_during_a_transaction_goes_together() -> None:
    slow = Slow()
    group = Group(slow)
    answers: dict[int, object] = {}
    threads = [start(group, ["a"], answers, 0)]
    waiting(group, 0)
    for number in range(1, 5):
        threads.append(start(group, [f"{number}x", f"{number}y"], answers, number))
        waiting(group, number)
    slow.may_go.set()
    for thread in threads:
        thread.join(10)
    assert [len(batch) for batch in slow.batches] == [1, 8]
    assert answers == {0: ["a"], **{n: [f"{n}x", f"{n}y"] for n in range(1, 5)}}


def test_what_failed_together_is_tried_alone() -> None:
    slow = Slow()
    group = Group(slow)
    answers: dict[int, object] = {}
    threads = [start(group, ["first"], answers, 0)]
    waiting(group, 0)
    threads += [start(group, ["bad"], answers, 1)]
    waiting(group, 1)
    threads += [start(group, ["good"], answers, 2)]
    waiting(group, 2)
    slow.may_go.set()
    for thread in threads:
        thread.join(10)
    assert answers == {0: ["first"], 1: "bad", 2: ["good"]}
    assert group.record(["later"])[0].call_id == "later"


def test_large_requests_go_alone_and_small_ones_never_exceed_the_bound() -> None:
    slow = Slow()
    slow.may_go.set()
    group = Group(slow)
    assert len(group.record([str(n) for n in range(100)])) == 100
    assert [len(batch) for batch in slow.batches] == [100]


@pytest.mark.django_db(transaction=True)
def test_single_calls_of_many_threads_are_charged_exactly(alice: User, charlie: User) -> None:
    sell()
    issued = [keys.issue(give(user, 10**12), "k").key for user in (alice, charlie)]
    group = Group(record)
    reports = [[call(issued[number % 2]) for _ in range(10)] for number in range(12)]

    def one_by_one(number: int) -> list[str]:
        return [group.record([report])[0].result for report in reports[number] for _ in range(2)]

    answers = at_once(12, one_by_one)
    assert all(answer == ["accepted", "duplicate"] * 10 for answer in answers)
    for key in issued:
        assert ledger.balances(key.wallet).balance_nanousd == 10**12 - 60 * 6_000_000
    assert_books()
