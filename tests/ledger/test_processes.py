"""Real processes at the same moment: first that the race is there without the lock, then that all is exact with it."""

from collections import Counter
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from logs.models import Call
from tests.books import assert_books
from tests.ledger.conftest import SIZE
from tests.ledger.crew import Crew
from tests.ledger.jobs import call
from tests.metering.gateway import give, sell
from tests.parallel import deadlocks
from tokens import keys
from tokens.keys import IssuedKey
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import Code, Funds, Transfer, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db(transaction=True)
COST = 6_000_000
RICH = 10**12


@pytest.fixture
def rich(alice: User) -> IssuedKey:
    sell()
    return keys.issue(give(alice, RICH), "laptop")


def many_keys(count: int) -> list[IssuedKey]:
    people = [User.objects.create_user(f"person{number}@example.com", "x") for number in range(count)]
    return [keys.issue(give(person, RICH), "key") for person in people]


def split_of(workers: Crew, user: User, *, is_locked: bool) -> tuple[Wallet, list[int]]:
    """$0.01 was given, which is less than two calls cost; 15 calls of five processes. The wallet, and what was given."""
    wallet = give(user, 10_000_000, "promotional")
    key = keys.issue(give(user, RICH), "key").key
    told = workers.all_at_once("split", key_id=key.pk, count=3, is_locked=is_locked)
    assert told == [["accepted"] * 3] * SIZE
    return wallet, sorted(Call.objects.filter(wallet=wallet).values_list("balance_after_nanousd", flat=True))


def test_given_credit_is_spent_once(workers: Crew, alice: User, charlie: User) -> None:
    """Without the lock several processes take the same given credit, and it goes below zero."""
    sell()
    wallet, after = split_of(workers, alice, is_locked=False)
    assert ledger.balances(wallet).promotional_nanousd < 0
    assert len(set(after)) < len(after)

    wallet, after = split_of(workers, charlie, is_locked=True)
    assert ledger.balances(wallet).promotional_nanousd == 0
    start = RICH + 10_000_000
    assert after == [start - COST * number for number in range(3 * SIZE, 0, -1)]
    paid_by_credit = Call.objects.filter(wallet=wallet).values_list("promotional_nanousd", flat=True)
    assert sorted(paid_by_credit) == [0] * 13 + [4_000_000, COST]
    assert_books()


def test_the_last_cent_is_spent_once(workers: Crew, alice: User) -> None:
    """Looking first and holding after lets every process in; authorize does both in one statement."""
    sell()
    issued = keys.issue(give(alice, 1), "small")
    wallet_id = issued.key.wallet_id
    assert workers.all_at_once("check_then_hold", wallet_id=wallet_id, amount=COST) == [True] * SIZE
    with connection.cursor() as cursor:
        cursor.execute("UPDATE wallet_funds SET held_nanousd = 0 WHERE wallet_id = %s", [wallet_id])
    let_in = workers.all_at_once("ask", text=issued.text, threads=4, most=2)
    assert sum(map(len, let_in)) == 1
    assert_books()


def test_a_wallet_has_exactly_as_many_keys_as_it_may(workers: Crew, alice: User, charlie: User) -> None:
    without, with_lock = wallet_of(alice), wallet_of(charlie)
    made = workers.all_at_once("issue", wallet_id=without.pk, limit=7, count=4, is_locked=False)
    assert sum(made) > 7
    made = workers.all_at_once("issue", wallet_id=with_lock.pk, limit=7, count=4, is_locked=True)
    assert sum(made) == ApiKey.objects.filter(wallet=with_lock).count() == 7
    keys.revoke(ApiKey.objects.filter(wallet=with_lock)[0])
    made = workers.all_at_once("issue", wallet_id=with_lock.pk, limit=7, count=2, is_locked=True)
    assert sum(made) == 1


def test_locks_are_taken_in_one_order_however_the_table_is_read(workers: Crew) -> None:
    """The rows lie in another order than their ids, so a scan and an index meet head-on without ORDER BY."""
    wallet_ids = [
        wallet_of(User.objects.create_user(f"{number}@example.com", "x")).pk for number in range(300)
    ]
    with connection.cursor() as cursor:
        for wallet_id in reversed(wallet_ids):  # An update moves the row to the end.
            cursor.execute(
                "UPDATE wallet_funds SET held_nanousd = held_nanousd WHERE wallet_id = %s", [wallet_id]
            )
    before = deadlocks()
    assert sum(workers.all_at_once("lock_all", wallet_ids=wallet_ids, seconds=1.5, is_ordered=False)) > 0
    between = deadlocks()
    assert between > before
    assert sum(workers.all_at_once("lock_all", wallet_ids=wallet_ids, seconds=1.5, is_ordered=True)) == 0
    assert deadlocks() == between


def test_batches_in_opposite_orders_never_deadlock(workers: Crew) -> None:
    """Not one: a retry would hide it from who reports, but not from the database's own count."""
    sell()
    issued = [each.key for each in many_keys(30)]
    before = deadlocks()
    accepted = workers.all_at_once("opposite", key_ids=[key.pk for key in issued], seconds=3)
    assert deadlocks() == before
    assert min(accepted) > 0
    assert {ledger.balances(key.wallet).balance_nanousd for key in issued} == {
        RICH - COST * sum(accepted) // len(issued)
    }
    assert_books()


def test_a_hundred_copies_of_one_call_are_charged_once(workers: Crew, rich: IssuedKey) -> None:
    report = call(rich.key.pk)
    told = workers.all_at_once("same", reports=[report], threads=20)
    answers = Counter(tuple(answer) for process in told for answer in process)
    assert answers == {("accepted", str(COST)): 1, ("duplicate", str(COST)): 99}
    assert ledger.balances(rich.key.wallet).balance_nanousd == RICH - COST
    assert_books()


def test_one_id_with_two_contents_is_charged_for_one_of_them(
    workers: Crew, rich: IssuedKey, charlie: User
) -> None:
    """Other usage, and another wallet's key: whoever comes first is charged, the others are told."""
    other = keys.issue(give(charlie, RICH), "theirs").key
    report = call(rich.key.pk)
    reports = [report, report | {"usage": {"input_tokens": 4_000}}, report | {"token_id": other.pk}]
    told = workers.all_at_once("same", reports=reports, threads=18)
    answers = Counter(answer[0] for process in told for answer in process)
    assert answers == {"accepted": 1, "duplicate": 29, "conflict": 60}
    assert Transfer.objects.filter(code=Code.USAGE).count() == Call.objects.count() == 1
    assert_books()


def test_fifty_corrections_of_one_transfer_are_one(workers: Crew, alice: User, staff: User) -> None:
    wallet = give(alice, 10**9)
    wrong = Transfer.objects.get()
    made = workers.all_at_once("undo", transfer_id=wrong.pk, staff_id=staff.pk, threads=10)
    assert sum(made) == 1
    assert ledger.balances(wallet).balance_nanousd == 0
    assert_books()


def test_nothing_drifts_under_mixed_work(workers: Crew, staff: User) -> None:
    """One hot wallet and two hundred others: holds, releases, expiry, grants, batches with old calls among the new."""
    sell()
    issued = many_keys(200)
    hot = issued[0].key
    texts = {str(each.key.pk): each.text for each in issued}
    before = deadlocks()
    told: list[dict[str, Any]] = workers.all_at_once(
        "drift", keys_of=texts, hot=str(hot.pk), staff_id=staff.pk, seconds=6
    )
    assert deadlocks() == before
    assert told[0]["runs"][""] > 0
    moved: Counter[str] = Counter()
    for answer in told[1:]:
        moved.update(answer["given"])
        moved.subtract(answer["charged"])
    found = dict(Funds.objects.values_list("wallet_id", "promotional_nanousd"))
    for each in issued:
        funds = ledger.balances(each.key.wallet)
        assert funds.balance_nanousd == RICH + moved[str(each.key.pk)]
        assert found[funds.wallet_id] >= 0
    assert moved[str(hot.pk)] < 0
    assert_books()
