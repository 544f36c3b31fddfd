"""Automatic top-ups while the same and other things happen at once: first that the race is there, then that it is not."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connections
from django.db.models import QuerySet

from accounts import closing
from accounts.audit import Refused
from accounts.models import User
from tests.accounts.test_closing import by
from tests.parallel import at_once, deadlocks
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.saved import BELOW_5_ADD_10, automatic, payments_at_stripe, spend, switched_on
from wallet import auto_topups, stripe_api, suspensions
from wallet.auto_topups import Wish
from wallet.models import AutoTopUp, TopUp, Wallet

State = TopUp.State
PLENTY = Wish(below_cents=500, add_cents=1000, monthly_cents=50_000)


@pytest.fixture(autouse=True)
def _no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock is an error here, not something to try again."""
    monkeypatch.setattr("wallet.transactions.ATTEMPTS", 1)


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def remove() -> None:
        monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self.all())

    return remove


def charge_in_the_gap(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Any], patience_s: float = 1.5
) -> tuple[bool, int]:
    """`meanwhile` happens between the decision to charge and the row of the charge.

    Answers whether it had to wait, and how many charges Stripe was asked for by who decided.
    """
    decide = auto_topups.charged_this_month_cents
    waited: list[bool] = []
    threads: list[threading.Thread] = []

    def run() -> None:
        try:
            meanwhile()
        finally:
            connections.close_all()

    def in_the_gap(wallet_id: int, now: datetime) -> int:
        if not threads:
            threads.append(threading.Thread(target=run))
            threads[0].start()
            threads[0].join(patience_s)
            waited.append(threads[0].is_alive())
        return decide(wallet_id, now)

    monkeypatch.setattr(auto_topups, "charged_this_month_cents", in_the_gap)
    begun = auto_topups.charge_due()
    threads[0].join(20)
    return waited[0], begun


def test_without_the_locks_one_crossing_would_be_charged_twice(
    alices: Wallet,
    stripe_at_hand: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    without_locks: Callable[[], None],
) -> None:
    """The database's own rule does not help: the first charge is over before the second begins."""
    switched_on(stripe_at_hand, alices)
    without_locks()
    assert charge_in_the_gap(alices, monkeypatch, auto_topups.charge_due, patience_s=20) == (False, 1)
    assert balance_cents(alices) == 2000


def test_with_them_it_is_charged_once(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    assert charge_in_the_gap(alices, monkeypatch, auto_topups.charge_due) == (True, 1)
    assert balance_cents(alices) == 1000
    assert len(payments_at_stripe(stripe_at_hand, alices)) == 1


def test_without_the_locks_a_charge_would_begin_after_switching_off(
    alices: Wallet,
    stripe_at_hand: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    without_locks: Callable[[], None],
) -> None:
    switched_on(stripe_at_hand, alices)
    without_locks()
    said: list[TopUp | None] = []

    def switch_off() -> None:
        said.append(auto_topups.switch_off(alices))

    assert charge_in_the_gap(alices, monkeypatch, switch_off, patience_s=20) == (False, 1)
    assert said == [None], "nothing was under way, it said"


def test_with_them_switching_off_tells_of_the_charge_that_began_before(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    hold = threading.Event()
    charge, said = stripe_api.charge_card, []

    def slowly(**asked: Any) -> Any:
        hold.wait(10)
        return charge(**asked)

    def switch_off() -> None:
        said.append(auto_topups.switch_off(alices))
        hold.set()

    monkeypatch.setattr(stripe_api, "charge_card", slowly)
    assert charge_in_the_gap(alices, monkeypatch, switch_off) == (True, 1)
    assert said == automatic(alices)
    assert auto_topups.charge_due() == 0
    assert balance_cents(alices) == 1000


def test_sixteen_workers_and_a_spender(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """Every charge follows a balance below five, and no two are under way at once."""
    switched_on(stripe_at_hand, alices, wish=PLENTY)
    before = deadlocks()

    def work(number: int) -> int:
        if number == 0:
            for part in range(8):
                spend(alices, 300, f"spent-{part}")
            return 0
        return sum(auto_topups.charge_due() for _ in range(4))

    begun = sum(at_once(16, work))
    while more := auto_topups.charge_due():
        begun += more
    paid = automatic(alices)
    assert {top_up.state for top_up in paid} == {State.PAID}
    assert begun == len(paid) == len(payments_at_stripe(stripe_at_hand, alices))
    # 24 dollars are gone. Each charge found less than 5 and added 10, so what is left lies between 5 and 15.
    assert balance_cents(alices) == len(paid) * 1000 - 2400
    assert 500 <= balance_cents(alices) < 1500
    assert deadlocks() == before


def test_workers_switching_declines_and_events_end_in_one_state(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later", wish=PLENTY)
    before = deadlocks()

    def work(number: int) -> None:
        for _ in range(3):
            if number % 4 == 0:
                auto_topups.switch_on(alices, PLENTY)
            elif number % 4 == 1:
                auto_topups.switch_off(alices)
            else:
                auto_topups.charge_due()

    at_once(12, work)
    auto_topups.switch_off(alices)
    assert auto_topups.charge_due() == 0
    assert {top_up.state for top_up in automatic(alices)} <= {State.FAILED}
    assert auto_topups.under_way(alices) is None
    assert balance_cents(alices) == 0
    assert deadlocks() == before


def test_many_that_hear_of_one_decline_count_it_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    at_once(8, lambda _: auto_topups.charge(top_up))
    assert AutoTopUp.objects.get().declines == 1
    assert len(payments_at_stripe(stripe_at_hand, alices)) == 1


def test_many_that_hear_of_one_payment_credit_it_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    at_once(8, lambda _: auto_topups.charge(top_up))
    assert balance_cents(alices) == 1000
    assert len(payments_at_stripe(stripe_at_hand, alices)) == 1


def test_no_charge_begins_on_an_account_that_is_being_closed(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    addresses, begun, waited = closing._addresses, [], []

    def begin() -> None:
        begun.append(auto_topups.begin(alices.pk))
        connections.close_all()

    thread = threading.Thread(target=begin)

    def in_the_gap(person: User) -> tuple[str, ...]:
        thread.start()
        thread.join(1)
        waited.append(thread.is_alive())
        return addresses(person)

    monkeypatch.setattr(closing, "_addresses", in_the_gap)
    closing.close_own(alice)
    thread.join(20)
    assert (waited, begun) == ([True], [None])
    assert not TopUp.objects.exists()


def test_closing_finds_a_charge_that_began_before(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    said: list[str] = []

    def close() -> None:
        try:
            closing.close_own(alice)
        except Refused as reason:
            said.append(str(reason))

    assert charge_in_the_gap(alices, monkeypatch, close) == (True, 1)
    assert "being charged" in said[0]
    assert automatic(alices)[0].state == State.PENDING


def test_a_suspension_and_a_charge_take_turns(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge began first, so it ends; none begins after the suspension."""
    switched_on(stripe_at_hand, alices, wish=PLENTY)
    wish = by(staff)
    assert charge_in_the_gap(alices, monkeypatch, lambda: suspensions.suspend(wish, alices)) == (True, 1)
    assert balance_cents(alices) == 1000
    spend(alices, 900, "spent")
    assert auto_topups.begin(alices.pk) is None
    assert auto_topups.charge_due() == 0
    assert BELOW_5_ADD_10.below_cents > balance_cents(alices)
