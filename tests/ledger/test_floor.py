"""How far below zero a wallet can go, held against the formula in wallet/README.md.

    balance ≥ −( Σ over admitted calls of max(0, cost − hold) + the hold of the last call admitted )

Why: the last call was let in while balance − open holds > 0. From then on only the calls with open holds and the last one
itself can take anything, so the balance ends above Σ holds − Σ costs − (cost of the last), each cost being at most its hold
and what it took beyond it. A call that nobody admitted, or whose hold was gone, counts as one whose hold was 0.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from logs import authorizing, call_ids
from logs.recording import record
from tests.books import assert_books
from tests.ledger.crew import Crew
from tests.metering.gateway import call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet import holds, ledger
from wallet.models import Hold

# One token is 2,500 nano-dollars.
TOKEN = 2_500


@dataclass
class Admitted:
    """What the formula is made of."""

    opening: int
    holds: dict[str, int] = field(default_factory=dict)
    beyond: int = 0
    last_hold: int = 0

    def cost(self, call_id: str, cost: int) -> None:
        self.beyond += max(0, cost - self.holds.pop(call_id, 0))

    @property
    def floor(self) -> int:
        return min(self.opening, 0) - self.beyond - self.last_hold


def admit(issued: IssuedKey, tokens: int) -> tuple[str, int] | None:
    try:
        told = authorizing.authorize(authorizing.Question(issued.text, "gpt-4o", None, tokens, 0))
    except authorizing.Refused:
        return None
    assert told.held_nanousd == tokens * TOKEN
    return str(told.call_id), told.held_nanousd


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ask", "ask", "ask", "report", "report", "report late", "report unasked", "release"]
        ),
        st.sampled_from([0, 1, 400, 4_000, 40_000]),
        st.integers(0, 20),
    ),
    min_size=5,
    max_size=30,
)


@pytest.mark.usefixtures("for_sale")
@pytest.mark.django_db
@settings(
    max_examples=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(opening=st.sampled_from([1, 5_000, 10_000_000, 250_000_000]), steps=STEPS)
def test_no_order_of_events_takes_a_wallet_below_the_floor(
    opening: int, steps: Sequence[tuple[str, int, int]]
) -> None:
    with transaction.atomic():
        wallet_story(opening, steps)
        transaction.set_rollback(True)


def wallet_story(opening: int, steps: Sequence[tuple[str, int, int]]) -> None:
    issued = keys.issue(give(User.objects.create_user("story@example.com", "x"), opening), "key")
    seen = Admitted(opening)
    for step, tokens, place in steps:
        waiting = sorted(seen.holds)
        call_id = waiting[place % len(waiting)] if waiting else ""
        if step == "ask":
            if told := admit(issued, tokens):
                seen.holds[told[0]], seen.last_hold = told[1], told[1]
        elif step == "report unasked":
            report(issued, seen, str(call_ids.new()), tokens)
        elif call_id and step == "release":
            holds.release(Hold.objects.get(pk=call_id).pk)
            seen.holds.pop(call_id)
        elif call_id:
            if step == "report late":
                Hold.objects.filter(pk=call_id).update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
                holds.expire_overdue()
                seen.holds[call_id] = 0
            report(issued, seen, call_id, tokens)
        assert ledger.balances(issued.key.wallet).balance_nanousd >= seen.floor


def report(issued: IssuedKey, seen: Admitted, call_id: str, tokens: int) -> None:
    report_all(issued, seen, {call_id: tokens})


def report_all(issued: IssuedKey, seen: Admitted, tokens: Mapping[str, int]) -> None:
    results = record(
        [call(issued.key, call_id=call_id, usage={"input_tokens": n}) for call_id, n in tokens.items()]
    )
    for (call_id, n), result in zip(tokens.items(), results, strict=True):
        assert (result.result, result.charged_nanousd) == ("accepted", n * TOKEN)
        seen.cost(call_id, result.charged_nanousd)


@pytest.fixture
def for_sale(db: None) -> None:
    sell()


@pytest.mark.django_db(transaction=True)
def test_parallel_calls_of_many_processes_stay_above_the_floor(workers: Crew, alice: User) -> None:
    """Everything that asks at once, until it is refused; then reports of up to four times what was expected."""
    sell()
    issued = keys.issue(give(alice, 200_000_000), "key")
    rng, seen = random.Random(7), Admitted(200_000_000)
    for _ in range(4):
        before = ledger.balances(issued.key.wallet).available_nanousd
        for process in workers.all_at_once("ask", text=issued.text, threads=6, most=50):
            seen.holds.update(dict(process))
        seen.last_hold = max(seen.last_hold, *seen.holds.values())  # Nobody knows which was the last.
        funds = ledger.balances(issued.key.wallet)
        assert funds.held_nanousd == sum(seen.holds.values())
        assert min(-seen.last_hold, before - 1) < funds.available_nanousd <= 0
        done = rng.sample(sorted(seen.holds), len(seen.holds) * 2 // 3)
        factors = [0, 1, 2, 4]
        report_all(issued, seen, {each: seen.holds[each] // TOKEN * rng.choice(factors) for each in done})
        assert ledger.balances(issued.key.wallet).balance_nanousd >= seen.floor
        give(alice, 150_000_000)
    assert_books()


@pytest.mark.django_db
def test_the_floor_is_reached_and_not_only_approached(alice: User) -> None:
    """One nano-dollar lets one call in; it takes what it was expected to: below zero by its hold, less that nano-dollar."""
    sell()
    issued = keys.issue(give(alice, 1), "key")
    seen = Admitted(1)
    told = admit(issued, 4_000)
    assert told is not None
    assert admit(issued, 0) is None
    seen.holds[told[0]], seen.last_hold = told[1], told[1]
    report(issued, seen, told[0], 4_000)
    assert ledger.balances(issued.key.wallet).balance_nanousd == 1 + seen.floor == 1 - 4_000 * TOKEN


@pytest.mark.django_db
def test_holds_that_a_crash_forgot_count_as_none(alice: User) -> None:
    """A hold may be lost with the database's last moments: its call is then one whose hold was 0, and the formula stands."""
    sell()
    issued = keys.issue(give(alice, 10_000_000), "key")
    seen = Admitted(10_000_000)
    for _ in range(2):
        told = admit(issued, 4_000)
        assert told is not None
        seen.last_hold = told[1]
        holds.release(Hold.objects.get(pk=told[0]).pk)  # As if it had never been written.
        seen.holds[told[0]] = 0
    for call_id in sorted(seen.holds):
        report(issued, seen, call_id, 4_000)
    assert ledger.balances(issued.key.wallet).balance_nanousd == -10_000_000 >= seen.floor
