"""Nothing is paid into the wallet of a closed account, not even in the moment of its closing; out of it, money goes."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connections

from accounts import closing
from accounts.audit import Refused
from accounts.models import User
from accounts.signals import Standing
from tests.books import assert_books
from tests.metering.gateway import give
from tests.parallel import at_once
from tests.staffing.conftest import by
from tests.staffing.test_acts import DOLLAR, STARTER, moved, state, use, waiting
from wallet import acts, leaving, ledger
from wallet.models import Proposal, Transfer, Wallet


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    yield
    assert_books()


def test_nothing_is_paid_into_the_wallet_of_a_closed_account(
    alice: User, keeper: User, wallet: Wallet, starter: Transfer
) -> None:
    wish = by(keeper)
    grant = acts.give_credit(wish, wallet, DOLLAR)
    give(alice, DOLLAR)
    used = [use(wallet, DOLLAR, "paid"), use(wallet, DOLLAR)]
    taken = moved(acts.correct(by(keeper), starter))
    closing.close_own(alice)
    before = state()
    attempts: list[Callable[[], object]] = [
        lambda: acts.give_credit(by(keeper), wallet, 1),
        lambda: acts.give_credit(by(keeper), wallet, 101 * DOLLAR),
        lambda: acts.correct(by(keeper), used[0]),
        lambda: acts.correct(by(keeper), used[1]),
        lambda: acts.correct(by(keeper), taken),
    ]
    for attempt in attempts:
        with pytest.raises(Refused, match="account of this wallet is closed"):
            attempt()
    assert acts.give_credit(wish, wallet, DOLLAR) == grant
    assert state() == before


def test_what_is_asked_for_before_a_closing_can_only_be_declined_after_it(
    alice: User, keeper: User, second: User, wallet: Wallet
) -> None:
    give(alice, 200 * DOLLAR)
    used = use(wallet, 200 * DOLLAR, "paid")
    asked = [
        waiting(acts.give_credit(by(keeper), wallet, 101 * DOLLAR)),
        waiting(acts.correct(by(keeper), used)),
    ]
    closing.close_own(alice)
    before = state()
    for proposal in asked:
        with pytest.raises(Refused, match="account of this wallet is closed"):
            acts.approve(by(second), proposal)
    assert state() == before
    for proposal in asked:
        assert acts.decline(by(second), proposal).state == Proposal.State.DECLINED


def test_an_approval_from_before_a_closing_is_told_again(
    alice: User, keeper: User, second: User, wallet: Wallet
) -> None:
    proposal = waiting(acts.give_credit(by(keeper), wallet, 101 * DOLLAR))
    transfer = acts.approve(by(second), proposal)
    closing.close_own(alice)
    before = state()
    assert acts.approve(by(second), proposal) == transfer
    assert state() == before


def test_money_is_taken_out_of_a_closed_wallet(
    alice: User, keeper: User, second: User, wallet: Wallet, starter: Transfer
) -> None:
    large = waiting(acts.give_credit(by(keeper), wallet, 101 * DOLLAR))
    grant = acts.approve(by(second), large)
    early = waiting(acts.void_grant(by(keeper), grant, 101 * DOLLAR))
    give(alice, 9_999_999)
    bought = Transfer.objects.latest("pk")
    closing.close_own(alice)
    acts.approve(by(second), early)
    acts.correct(by(keeper), bought)
    acts.void_grant(by(keeper), starter, STARTER)
    assert ledger.balances(wallet).balance_nanousd == 0


def _gives_in_the_middle(
    alice: User, keeper: User, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> tuple[bool, list[str]]:
    """Staff give credit between the look at what is left and the end of the closing: whether they waited, and got."""
    said: list[str] = []
    at_the_gap = closing._addresses

    def grant() -> None:
        try:
            acts.give_credit(by(keeper), wallet, DOLLAR)
            said.append("given")
        except Refused as error:
            said.append(str(error))
        finally:
            connections.close_all()

    giver, waited = threading.Thread(target=grant), []

    def in_the_gap(person: User) -> tuple[str, ...]:
        giver.start()
        giver.join(1)
        waited.append(giver.is_alive())
        return at_the_gap(person)

    monkeypatch.setattr("wallet.transactions.ATTEMPTS", 1)
    monkeypatch.setattr(closing, "_addresses", in_the_gap)
    closing.close_own(alice)
    giver.join(20)
    return waited[0], said


@pytest.mark.django_db(transaction=True)
def test_staff_wait_for_a_closing(
    alice: User, keeper: User, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = "The account of this wallet is closed, so nothing is paid into it any more."
    assert _gives_in_the_middle(alice, keeper, wallet, monkeypatch) == (True, [refusal])
    assert ledger.balances(wallet).balance_nanousd == STARTER


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_they_would_not(
    alice: User, keeper: User, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = leaving.standing

    def without_lock(owner: User, *, lock: bool) -> Standing | None:
        return look(owner, lock=False)

    monkeypatch.setattr(leaving, "standing", without_lock)
    assert _gives_in_the_middle(alice, keeper, wallet, monkeypatch) == (False, ["given"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["promotional", "paid"])
def test_a_closing_and_what_staff_pay_in_come_one_after_the_other(
    keeper: User, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given credit is lost with the account; bought money that comes back first keeps it open."""
    monkeypatch.setattr("wallet.transactions.ATTEMPTS", 1)  # a deadlock is an error here
    for turn in range(12):
        person = User.objects.create_user(f"leaver-{turn}@example.com", "correct horse battery")
        wallet = give(person, DOLLAR, kind)
        is_closed, came_back, *given = _all_at_once(person, keeper, use(wallet, DOLLAR, kind))
        closed_at = User.objects.get(pk=person.pk).closed_at
        assert is_closed == (closed_at is not None)
        paid_in = Transfer.objects.filter(wallet=wallet, details__has_key="staff")
        assert paid_in.count() == [came_back, *given].count(True)
        assert closed_at is None or not paid_in.filter(created_at__gte=closed_at).exists()
        if kind == "paid":
            assert came_back != is_closed
        else:
            assert is_closed


def _all_at_once(person: User, keeper: User, used: Transfer) -> list[bool]:
    """Who succeeds: the closing, the correction that gives back what was used, two grants."""
    assert used.wallet is not None
    wallet = used.wallet
    ways: list[Callable[[], object]] = [
        lambda: closing.close_own(person),
        lambda: acts.correct(by(keeper), used),
        lambda: acts.give_credit(by(keeper), wallet, DOLLAR),
        lambda: acts.give_credit(by(keeper), wallet, 2 * DOLLAR),
    ]

    def work(number: int) -> bool:
        try:
            ways[number]()
        except Refused:
            return False
        return True

    return at_once(len(ways), work)
