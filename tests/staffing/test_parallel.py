"""Twenty times at once, on real connections: one effect, one entry, the same answer."""

import uuid
from collections.abc import Callable

import pytest
from django.db import transaction

from accounts import audit
from accounts.audit import Refused
from accounts.models import AuditEntry, User
from tests.books import assert_books
from tests.parallel import at_once
from tests.staffing.conftest import REASON, browser, by
from tests.staffing.test_acts import DOLLAR, STARTER, waiting
from tests.staffing.test_pages import open_form, page
from wallet import acts, ledger
from wallet.models import Code, Proposal, Transfer, Wallet

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 20


def test_a_form_that_is_sent_twenty_times_at_once_grants_once(keeper: User, wallet: Wallet) -> None:
    clients = [browser(keeper) for _ in range(MANY)]
    before = Transfer.objects.count()
    path = page("wallet_wallet_grant_credit", wallet.pk)
    form = {**open_form(clients[0], path), "amount": "7.00"}

    def send(number: int) -> tuple[int, str, str]:
        answer = clients[number].post(path, form)
        told = clients[number].get(answer["Location"]).content.decode()
        return answer.status_code, answer["Location"], told[told.index("Granted $7.00") :][:120]

    assert len(set(at_once(MANY, send))) == 1
    assert Transfer.objects.count() == before + 1
    assert AuditEntry.objects.count() == 1
    assert ledger.balances(wallet).balance_nanousd == STARTER + 7 * DOLLAR
    assert_books()


def test_a_large_grant_is_asked_for_once(keeper: User, wallet: Wallet) -> None:
    wish = by(keeper)
    answers = at_once(MANY, lambda _: acts.give_credit(wish, wallet, 200 * DOLLAR))
    assert {waiting(each).pk for each in answers} == {wish.request_id}
    assert Proposal.objects.count() == AuditEntry.objects.count() == 1


def test_one_of_many_deciders_decides(keeper: User, hire: Callable[..., User], wallet: Wallet) -> None:
    proposal = waiting(acts.give_credit(by(keeper), wallet, 200 * DOLLAR))
    deciders = [hire(f"decider-{number}", "act_on_books") for number in range(10)]

    def decide(number: int) -> str:
        try:
            if number % 2:
                acts.approve(by(deciders[number]), proposal)
            else:
                acts.decline(by(deciders[number]), proposal)
        except Refused:
            return "refused"
        return "approved" if number % 2 else "declined"

    outcomes = at_once(10, decide)
    assert outcomes.count("refused") == 9
    found = Proposal.objects.get()
    assert found.state in outcomes
    given = 200 * DOLLAR if found.state == Proposal.State.APPROVED else 0
    assert ledger.balances(wallet).balance_nanousd == STARTER + given
    assert AuditEntry.objects.exclude(action__startswith="wallet.propose").count() == 1
    assert_books()


def test_a_transfer_is_undone_once_whoever_tries(keeper: User, wallet: Wallet, starter: Transfer) -> None:
    """Corrections and withdrawals of the same transfer, each by a form of its own."""

    def undo(number: int) -> bool:
        try:
            if number % 2:
                acts.correct(by(keeper), starter)
            else:
                acts.void_grant(by(keeper), starter, STARTER)
        except Refused:
            return False
        return True

    assert at_once(MANY, undo).count(True) == 1
    assert Transfer.objects.filter(corrects=starter).count() == AuditEntry.objects.count() == 1
    assert ledger.balances(wallet).balance_nanousd == 0
    assert_books()


def test_withdrawals_share_what_is_left(keeper: User, wallet: Wallet) -> None:
    """Ten grants of a dollar, of which five were used: parallel withdrawals stop at what is left."""
    granted = [acts.give_credit(by(keeper), wallet, DOLLAR) for _ in range(10)]
    with transaction.atomic():
        ledger.post(
            code=Code.CORRECTION,
            reference="used",
            debit=ledger.promotional(wallet),
            credit=ledger.house("adjustments"),
            amount_nanousd=5 * DOLLAR,
        )

    def withdraw(number: int) -> bool:
        grant = granted[number]
        assert isinstance(grant, Transfer)
        try:
            acts.void_grant(by(keeper), grant, DOLLAR)
        except Refused:
            return False
        return True

    assert at_once(10, withdraw).count(True) == 5
    assert ledger.balances(wallet).promotional_nanousd == STARTER
    assert_books()


def test_the_race_is_there_without_the_entry_in_front(
    keeper: User, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `audit.record` prevents: an effect per sender, here seen by giving each request an id of its own."""
    wish = by(keeper)
    real = audit.record

    def without_the_id(who: audit.Instruction, *rest: object) -> bool:
        return real(audit.Instruction(who.actor, REASON, uuid.uuid4()), *rest)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(audit, "record", without_the_id)
    monkeypatch.setattr(Proposal, "reference", property(lambda self: f"grant:{uuid.uuid4()}"))
    at_once(5, lambda _: acts.give_credit(wish, wallet, DOLLAR))
    assert ledger.balances(wallet).balance_nanousd == STARTER + 5 * DOLLAR
