"""Above the limit one person asks and another decides, once; the database holds them to it."""

import pytest
from django.db import DatabaseError, transaction
from django.db.utils import IntegrityError
from django.utils import timezone
from pytest_django import Settings

from accounts.audit import Refused
from accounts.models import AuditEntry, User
from tests.books import assert_books
from tests.staffing.conftest import REASON, by
from tests.staffing.test_acts import DOLLAR, STARTER, moved, state, waiting
from wallet import acts, ledger
from wallet.models import Code, Proposal, Transfer, Wallet


@pytest.fixture
def proposal(keeper: User, wallet: Wallet) -> Proposal:
    """The keeper wants to give $100.01."""
    return waiting(acts.give_credit(by(keeper), wallet, 100 * DOLLAR + 10_000_000))


def test_the_limit_itself_needs_one_person(keeper: User, wallet: Wallet) -> None:
    moved(acts.give_credit(by(keeper), wallet, 100 * DOLLAR))
    waiting(acts.give_credit(by(keeper), wallet, 100 * DOLLAR + 1))
    assert ledger.balances(wallet).balance_nanousd == STARTER + 100 * DOLLAR


def test_a_limit_of_nothing_makes_everything_wait(
    keeper: User, wallet: Wallet, starter: Transfer, settings: Settings
) -> None:
    settings.STAFF_LIMIT_CENTS = 0
    waiting(acts.give_credit(by(keeper), wallet, 1))
    waiting(acts.void_grant(by(keeper), starter, STARTER))
    waiting(acts.correct(by(keeper), starter))
    assert ledger.balances(wallet).balance_nanousd == STARTER


def test_asking_moves_nothing_and_is_in_the_trail(proposal: Proposal, keeper: User, wallet: Wallet) -> None:
    assert proposal.state == Proposal.State.WAITING
    assert ledger.balances(wallet).balance_nanousd == STARTER
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.request_id) == (keeper, "wallet.propose_grant", proposal.pk)
    again = acts.give_credit(by(keeper, request_id=proposal.pk), wallet, proposal.amount_nanousd)
    assert again == proposal
    assert Proposal.objects.count() == AuditEntry.objects.count() == 1


def test_a_second_person_approves_once(
    proposal: Proposal, keeper: User, second: User, staff: User, wallet: Wallet
) -> None:
    transfer = acts.approve(by(second, "I saw the ticket."), proposal)
    assert (transfer.code, transfer.reference) == (Code.GRANT, f"grant:{proposal.pk}")
    assert transfer.details == {"staff": {"by": keeper.pk, "approved_by": second.pk}}
    assert ledger.balances(wallet).balance_nanousd == STARTER + proposal.amount_nanousd
    entry = AuditEntry.objects.get(action="wallet.approve_grant")
    assert (entry.actor, entry.reason) == (second, "I saw the ticket.")
    assert (entry.details["asked_by"], entry.details["proposal"]) == (keeper.pk, str(proposal.pk))
    before = state()
    assert acts.approve(by(second, "Once more."), proposal) == transfer
    assert acts.give_credit(by(keeper, request_id=proposal.pk), wallet, proposal.amount_nanousd) == proposal
    for attempt in (acts.approve, acts.decline):
        with pytest.raises(Refused, match=r"second@example\.com has approved it already"):
            attempt(by(staff), proposal)
    with pytest.raises(Refused, match="has approved it already"):
        acts.decline(by(second), proposal)
    assert state() == before
    assert_books()


def test_who_asked_does_not_decide(proposal: Proposal, keeper: User) -> None:
    before = state()
    for attempt in (acts.approve, acts.decline):
        with pytest.raises(Refused, match="another person"):
            attempt(by(keeper), proposal)
    assert state() == before
    assert_books()


def test_superusers_need_a_second_person_too(staff: User, keeper: User, wallet: Wallet) -> None:
    proposal = waiting(acts.give_credit(by(staff), wallet, 200 * DOLLAR))
    with pytest.raises(Refused, match="another person"):
        acts.approve(by(staff), proposal)
    assert acts.approve(by(keeper), proposal).amount_nanousd == 200 * DOLLAR


def test_a_second_person_declines_for_good(
    proposal: Proposal, second: User, staff: User, wallet: Wallet
) -> None:
    assert acts.decline(by(second), proposal).state == Proposal.State.DECLINED
    assert AuditEntry.objects.filter(action="wallet.decline_grant", actor=second, reason=REASON).count() == 1
    before = state()
    acts.decline(by(second), proposal)
    for actor in (second, staff):
        with pytest.raises(Refused, match="has declined it already"):
            acts.approve(by(actor), proposal)
    assert state() == before
    assert ledger.balances(wallet).balance_nanousd == STARTER


def test_who_lost_the_right_asked_for_nothing(proposal: Proposal, keeper: User, second: User) -> None:
    keeper.user_permissions.clear()
    before = state()
    with pytest.raises(Refused, match="may no longer act"):
        acts.approve(by(second), proposal)
    assert state() == before
    acts.decline(by(second), proposal)


def test_what_can_no_longer_be_done_waits_to_be_declined(
    keeper: User, second: User, wallet: Wallet, starter: Transfer, settings: Settings
) -> None:
    settings.STAFF_LIMIT_CENTS = 9
    void = waiting(acts.void_grant(by(keeper), starter, STARTER))
    fix = waiting(acts.correct(by(keeper), starter))
    acts.approve(by(second), fix)
    before = state()
    with pytest.raises(Refused, match="undone this transfer already"):
        acts.approve(by(second), void)
    with pytest.raises(Refused, match="undone this transfer already"):
        acts.correct(by(second), starter)
    assert state() == before
    acts.decline(by(second), void)
    assert_books()


@pytest.mark.parametrize(
    "change",
    [
        {"amount_nanousd": 1},
        {"reason": "Another reason"},
        {"id": "0196f0a0-0000-7000-8000-000000000000"},
        {"code": "correction"},
        {"state": "approved"},
        {"state": "declined", "decided_at": timezone.now()},
    ],
)
def test_the_database_keeps_what_was_asked_for(proposal: Proposal, change: dict[str, object]) -> None:
    before = state()
    with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(**change)
    assert state() == before


def test_the_database_wants_another_person(proposal: Proposal, keeper: User, second: User) -> None:
    decided = {"state": "approved", "decided_at": timezone.now()}
    with pytest.raises(IntegrityError, match="proposal_second_person"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(decided_by=keeper, **decided)
    acts.decline(by(second), proposal)
    with pytest.raises(DatabaseError, match="decided once"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(decided_by=second, **decided)


def test_proposals_stay(proposal: Proposal) -> None:
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).delete()
