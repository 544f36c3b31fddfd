"""Many at once, on real connections: the lock is what keeps the last cent from being spent twice."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from accounts.models import User
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tests.parallel import at_once
from tokens import keys
from wallet import grants, holds, ledger
from wallet.models import Hold, Transfer
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_parallel_calls_cannot_all_spend_the_same_last_cent(alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 10_000_000), "small")
    gateway = Gateway()

    def ask(_: int) -> int:
        return int(gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300).status_code)

    # Each expects to cost 6,000,000: the first leaves something, the second takes the balance below zero.
    assert sorted(at_once(12, ask)) == [200] * 2 + [402] * 10
    assert ledger.balances(issued.key.wallet).available_nanousd == -2_000_000
    assert_books()


def test_the_race_is_there_without_the_check_in_the_statement(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `holds.PLACE` prevents: checking the balance first and holding after lets all of them in."""
    sell()
    issued = keys.issue(give(alice, 10_000_000), "small")
    seen = threading.Barrier(8)

    def check_then_hold(_: int) -> bool:
        available = ledger.balances(issued.key.wallet).available_nanousd
        seen.wait()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE wallet_funds SET held_nanousd = held_nanousd + 6000000 WHERE wallet_id = %s",
                [issued.key.wallet_id],
            )
        return available > 0

    assert all(at_once(8, check_then_hold))
    assert ledger.balances(issued.key.wallet).available_nanousd < -6_000_000


def test_opposite_batches_do_not_deadlock(alice: User, charlie: User) -> None:
    sell()
    mine, theirs = (keys.issue(give(user, 10**12), "k") for user in (alice, charlie))
    gateway = Gateway()

    def batch(number: int) -> int:
        order = [mine.key, theirs.key] if number % 2 else [theirs.key, mine.key]
        return sum(
            result["result"] == "accepted"
            for _ in range(5)
            for result in gateway.record(*[call(key) for key in order for _ in range(20)])
        )

    assert sum(at_once(6, batch)) == 6 * 5 * 40
    assert_books()


def test_one_batch_sent_by_many_at_once_is_charged_once(alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 10**12), "k")
    gateway = Gateway()
    batch = [call(issued.key) for _ in range(50)]
    answers = at_once(8, lambda _: gateway.record(*batch))
    accepted = [r["call_id"] for answer in answers for r in answer if r["result"] == "accepted"]
    assert sorted(accepted) == sorted(c["call_id"] for c in batch)
    assert {r["result"] for answer in answers for r in answer} == {"accepted", "duplicate"}
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**12 - 50 * 6_000_000
    assert_books()


def test_one_id_raced_for_two_wallets_is_charged_to_one(alice: User, charlie: User) -> None:
    sell()
    mine, theirs = (keys.issue(give(user, 10**12), "k") for user in (alice, charlie))
    gateway = Gateway()
    report = call(mine.key)
    answers = at_once(
        8, lambda n: gateway.record({**report, "token_id": (mine if n % 2 else theirs).key.pk})[0]["result"]
    )
    assert answers.count("accepted") == 1
    assert Transfer.objects.filter(code="usage").count() == 1
    assert_books()


def test_fifty_parallel_sign_ups_of_one_person_give_one_starter_credit(alice: User) -> None:
    given = at_once(50, lambda _: grants.give_starter_credit(alice))
    assert sum(transfer is not None for transfer in given) == 1
    assert ledger.balances(wallet_of(alice)).promotional_nanousd == 100_000_000
    assert_books()


def test_aliases_of_one_inbox_share_one_starter_credit(db: None) -> None:
    spellings = [
        "eve@gmail.com",
        "e.v.e@gmail.com",
        "eve+1@gmail.com",
        "EVE@googlemail.com",
        "ｅve@gmail.com",
    ]
    people = [User.objects.create_user(address, "x") for address in spellings]
    given = at_once(len(people), lambda n: grants.give_starter_credit(people[n]))
    assert sum(transfer is not None for transfer in given) == 1
    assert_books()


def test_releasing_expiring_and_recording_one_call_at_once_closes_its_hold_once(alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 10**12), "k")
    gateway = Gateway()
    for _ in range(5):
        admitted = gateway.authorize(issued.text).json()
        Hold.objects.update(expires_at="2020-01-01T00:00Z")
        work: list[Callable[[], object]] = [
            lambda: gateway.post("release", {"call_id": admitted["call_id"]}),  # noqa: B023 (run before the next)
            holds.expire_overdue,
            lambda: gateway.record(call(issued.key, call_id=admitted["call_id"])),  # noqa: B023
        ]
        at_once(3, lambda n: work[n]())  # noqa: B023
        assert ledger.balances(issued.key.wallet).held_nanousd == 0
    assert_books()
