"""What one person moves alone: no more than the limit within a day, and nothing of their own wallet."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.audit import Refused
from accounts.models import AuditEntry, User
from tests.books import assert_books
from tests.parallel import at_once
from tests.staffing.conftest import REASON, by
from tests.staffing.test_acts import DOLLAR, STARTER, moved, waiting
from wallet import acts, grants, ledger
from wallet.models import Proposal, Transfer, Wallet
from wallet.wallets import wallet_of


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    yield
    assert_books()


@pytest.fixture
def own(keeper: User) -> Wallet:
    """The keeper's, with starter credit in it."""
    wallet = wallet_of(keeper)
    assert grants.give_starter_credit(keeper) is not None
    return wallet


def an_earlier_grant(actor: User, amount: int, *, ago: timedelta) -> None:
    """Only its entry in the trail, which nobody can date back once it is written."""
    details = {"amount_nanousd": amount, "reference": "grant:earlier"}
    AuditEntry.objects.create(
        actor=actor,
        action="wallet.grant",
        target_type="wallet.wallet",
        target_id="0",
        reason=REASON,
        request_id=uuid.uuid4(),
        details=details,
        at=timezone.now() - ago,
    )


def test_many_small_grants_are_one_large_one(
    keeper: User, second: User, wallet: Wallet, charlie: User
) -> None:
    other = wallet_of(charlie)
    for to in (wallet, other, wallet):
        moved(acts.give_credit(by(keeper), to, 30 * DOLLAR))
    waiting(acts.give_credit(by(keeper), other, 10 * DOLLAR + 1))
    moved(acts.give_credit(by(keeper), other, 10 * DOLLAR))
    waiting(acts.give_credit(by(keeper), wallet, 1))
    moved(acts.give_credit(by(second), wallet, 100 * DOLLAR))
    assert ledger.balances(wallet).balance_nanousd == STARTER + 160 * DOLLAR
    assert ledger.balances(other).balance_nanousd == 40 * DOLLAR


def test_withdrawals_and_corrections_count_too(keeper: User, wallet: Wallet) -> None:
    first, other = (moved(acts.give_credit(by(keeper), wallet, 25 * DOLLAR)) for _ in range(2))
    moved(acts.void_grant(by(keeper), first, 25 * DOLLAR))
    fix = moved(acts.correct(by(keeper), other))
    waiting(acts.correct(by(keeper), fix))
    waiting(acts.give_credit(by(keeper), wallet, 1))


def test_a_form_that_is_sent_again_is_answered_as_before(keeper: User, wallet: Wallet) -> None:
    """Even though the same amount would wait now."""
    early, late = by(keeper), by(keeper)
    transfer = moved(acts.give_credit(early, wallet, 60 * DOLLAR))
    proposal = waiting(acts.give_credit(late, wallet, 60 * DOLLAR))
    assert acts.give_credit(early, wallet, 60 * DOLLAR) == transfer
    assert acts.give_credit(late, wallet, 60 * DOLLAR) == proposal
    assert ledger.balances(wallet).balance_nanousd == STARTER + 60 * DOLLAR


def test_what_another_person_approved_counts_for_neither(keeper: User, second: User, wallet: Wallet) -> None:
    proposal = waiting(acts.give_credit(by(keeper), wallet, 500 * DOLLAR))
    assert acts.approve(by(second), proposal).amount_nanousd == 500 * DOLLAR
    acts.decline(by(second), waiting(acts.give_credit(by(keeper), wallet, 500 * DOLLAR)))
    for person in (keeper, second):
        moved(acts.give_credit(by(person), wallet, 100 * DOLLAR))
        waiting(acts.give_credit(by(person), wallet, 1))


def test_what_was_refused_does_not_count(keeper: User, wallet: Wallet, starter: Transfer) -> None:
    with pytest.raises(Refused):
        acts.void_grant(by(keeper), starter, 90 * DOLLAR)
    moved(acts.give_credit(by(keeper), wallet, 100 * DOLLAR))


def test_the_limit_looks_back_a_day(keeper: User, wallet: Wallet) -> None:
    an_earlier_grant(keeper, 100 * DOLLAR, ago=timedelta(hours=24, minutes=1))
    moved(acts.give_credit(by(keeper), wallet, 40 * DOLLAR))
    an_earlier_grant(keeper, 60 * DOLLAR, ago=timedelta(hours=23, minutes=59))
    waiting(acts.give_credit(by(keeper), wallet, 1))


@pytest.mark.django_db(transaction=True)
def test_parallel_grants_do_not_pass_the_limit_together(keeper: User, wallet: Wallet, charlie: User) -> None:
    """To two wallets, so that no lock of theirs puts the grants in line."""
    wallets = [wallet, wallet_of(charlie)]
    answers = at_once(12, lambda number: acts.give_credit(by(keeper), wallets[number % 2], 30 * DOLLAR))
    assert [isinstance(answer, Transfer) for answer in answers].count(True) == 3
    assert Proposal.objects.count() == 9
    assert sum(ledger.balances(each).balance_nanousd for each in wallets) == STARTER + 90 * DOLLAR


def test_nobody_acts_on_their_own_wallet_alone(keeper: User, second: User, own: Wallet) -> None:
    starter = Transfer.objects.get(wallet=own)
    wishes: list[Callable[[], Transfer | Proposal]] = [
        lambda: acts.give_credit(by(keeper), own, 1),
        lambda: acts.void_grant(by(keeper), starter, 1),
        lambda: acts.correct(by(keeper), starter),
    ]
    asked = [waiting(wish()) for wish in wishes]
    assert ledger.balances(own).balance_nanousd == STARTER
    for proposal in asked:
        with pytest.raises(Refused, match="another person"):
            acts.approve(by(keeper), proposal)
    acts.approve(by(second), asked[0])
    assert ledger.balances(own).balance_nanousd == STARTER + 1
    moved(acts.give_credit(by(second), own, DOLLAR))


def test_nobody_approves_what_goes_into_their_own_wallet(keeper: User, second: User, own: Wallet) -> None:
    proposal = waiting(acts.give_credit(by(second), own, 150 * DOLLAR))
    with pytest.raises(Refused, match="your own wallet"):
        acts.approve(by(keeper), proposal)
    assert acts.decline(by(keeper), proposal).state == Proposal.State.DECLINED
    assert ledger.balances(own).balance_nanousd == STARTER


def test_superusers_do_not_either(staff: User, keeper: User) -> None:
    wallet = wallet_of(staff)
    proposal = waiting(acts.give_credit(by(staff), wallet, DOLLAR))
    acts.approve(by(keeper), proposal)
    assert ledger.balances(wallet).balance_nanousd == DOLLAR
