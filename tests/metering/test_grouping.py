"""Requests that come one at a time share a transaction, and each gets its own answer."""

import threading
from collections.abc import Sequence

import pytest

from accounts.models import User
from logs.grouping import Group
from logs.recording import record
from tests.books import assert_books
from tests.metering.gateway import call, give, sell
from tests.parallel import at_once
from tokens import keys
from wallet import ledger


class Slow:
    """Does nothing, slowly, and remembers what came together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_go = threading.Event()

    def __call__(self, items: Sequence[str]) -> list[str]:
        self.batches.append(list(items))
        self.may_go.wait(10)
        if "bad" in items:
            raise RuntimeError("bad")
        return [f"done {item}" for item in items]


def start(
    group: Group[str, str], items: list[str], answers: dict[int, object], number: int
) -> threading.Thread:
    def work() -> None:
        try:
            answers[number] = group.run(items)
        except RuntimeError as error:
            answers[number] = str(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def waiting(group: Group[str, str], count: int) -> None:
    gate = threading.Event()
    for _ in range(500):
        if len(group._waiting) == count:
            return
        gate.wait(0.01)
    raise AssertionError(f"{len(group._waiting)} are waiting, not {count}")


def test_what_gathers_during_a_transaction_goes_together() -> None:
    slow = Slow()
    group = Group(slow, 10)
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
    assert answers == {0: ["done a"], **{n: [f"done {n}x", f"done {n}y"] for n in range(1, 5)}}


def test_what_failed_together_is_tried_alone() -> None:
    slow = Slow()
    group = Group(slow, 10)
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
    assert answers == {0: ["done first"], 1: "bad", 2: ["done good"]}
    assert group.run(["later"]) == ["done later"]


def test_no_more_than_the_bound_goes_together_unless_one_request_has_more() -> None:
    slow = Slow()
    group = Group(slow, 4)
    answers: dict[int, object] = {}
    threads = []
    for number, items in enumerate(["a", "bc", "d", "efghij", "k"]):
        threads.append(start(group, list(items), answers, number))
        waiting(group, number)
    slow.may_go.set()
    for thread in threads:
        thread.join(10)
    assert ["".join(batch) for batch in slow.batches] == ["a", "bcd", "efghij", "k"]
    assert len(answers) == 5


@pytest.mark.django_db(transaction=True)
def test_single_calls_of_many_threads_are_charged_exactly(alice: User, charlie: User) -> None:
    sell()
    issued = [keys.issue(give(user, 10**12), "k").key for user in (alice, charlie)]
    reports = [[call(issued[number % 2]) for _ in range(10)] for number in range(12)]

    def one_by_one(number: int) -> list[str]:
        return [record([report])[0].result for report in reports[number] for _ in range(2)]

    answers = at_once(12, one_by_one)
    assert all(answer == ["accepted", "duplicate"] * 10 for answer in answers)
    for key in issued:
        assert ledger.balances(key.wallet).balance_nanousd == 10**12 - 60 * 6_000_000
    assert_books()


@pytest.mark.django_db(transaction=True)
def test_large_requests_that_share_a_transaction_are_charged_exactly(alice: User, charlie: User) -> None:
    sell()
    issued = [keys.issue(give(user, 10**13), "k").key for user in (alice, charlie)]
    # Every call is in two requests, of which one is a call short and has a call that nobody can be charged for.
    reports = [[call(issued[number % 2]) for number in range(40)] for _ in range(4)]

    def send(number: int) -> list[str]:
        batch = reports[number // 2]
        return [
            one.result
            for one in record(batch if number % 2 else [*batch[1:], call(issued[0], token_id=999_999)])
        ]

    answers = at_once(8, send)
    for number, answer in enumerate(answers):
        assert len(answer) == 40
        assert answer.count("rejected") == 1 - number % 2
    assert sum(answer.count("accepted") for answer in answers) == 160
    for key in issued:
        assert ledger.balances(key.wallet).balance_nanousd == 10**13 - 80 * 6_000_000
    assert_books()
