"""What staff do to money: once, with a reason, within bounds, and nothing at all where it is refused."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts.audit import AlreadySent, Instruction, Refused
from accounts.models import AuditEntry, User
from pricing.money import NANO_PER_USD
from tests.books import assert_books
from tests.metering.gateway import give
from tests.staffing.conftest import REASON, by
from wallet import acts, ledger
from wallet.models import Code, Funds, Proposal, Transfer, Wallet

STARTER = 100_000_000
DOLLAR = NANO_PER_USD


def state() -> tuple[object, ...]:
    """All that an act may change."""
    return (
        [(f.wallet_id, f.promotional_nanousd, f.paid_nanousd) for f in Funds.objects.order_by("pk")],
        Transfer.objects.count(),
        AuditEntry.objects.count(),
        list(Proposal.objects.order_by("pk").values_list("pk", "state")),
    )


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    yield
    assert_books()


def moved(answer: Transfer | Proposal) -> Transfer:
    assert isinstance(answer, Transfer)
    return answer


def waiting(answer: Transfer | Proposal) -> Proposal:
    assert isinstance(answer, Proposal)
    return answer


def test_credit_is_granted_with_its_audit_entry(keeper: User, wallet: Wallet) -> None:
    wish = by(keeper)
    transfer = moved(acts.give_credit(wish, wallet, 5 * DOLLAR))
    assert (transfer.code, transfer.amount_nanousd, transfer.wallet) == (Code.GRANT, 5 * DOLLAR, wallet)
    assert transfer.debit_account == ledger.house("promotions")
    assert transfer.details == {"staff": {"by": keeper.pk}}
    assert ledger.balances(wallet).promotional_nanousd == STARTER + 5 * DOLLAR
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.reason) == (keeper, "wallet.grant", REASON)
    assert (entry.target_type, entry.target_id) == ("wallet.wallet", str(wallet.pk))
    assert (entry.request_id, entry.details["reference"]) == (wish.request_id, transfer.reference)


def test_the_same_instruction_again_is_the_same_transfer(keeper: User, wallet: Wallet) -> None:
    wish = by(keeper)
    first = acts.give_credit(wish, wallet, DOLLAR)
    before = state()
    assert acts.give_credit(wish, wallet, DOLLAR) == first
    assert state() == before


def test_the_same_id_for_something_else_is_refused(
    keeper: User, second: User, wallet: Wallet, starter: Transfer
) -> None:
    wish = by(keeper)
    acts.give_credit(wish, wallet, DOLLAR)
    before = state()
    other: list[Callable[[], object]] = [
        lambda: acts.give_credit(wish, wallet, 2 * DOLLAR),
        lambda: acts.give_credit(wish, wallet, 200 * DOLLAR),
        lambda: acts.give_credit(replace(wish, reason="Another reason"), wallet, DOLLAR),
        lambda: acts.give_credit(replace(wish, actor=second), wallet, DOLLAR),
        lambda: acts.correct(wish, starter),
    ]
    for attempt in other:
        with pytest.raises(AlreadySent):
            attempt()
    assert state() == before


@pytest.mark.parametrize("amount", [0, -1, -DOLLAR, 100_000 * DOLLAR + 1, 10**18, 2**63, 2**64])
def test_amounts_out_of_bounds_are_refused(
    keeper: User, wallet: Wallet, starter: Transfer, amount: int
) -> None:
    before = state()
    with pytest.raises(Refused):
        acts.give_credit(by(keeper), wallet, amount)
    with pytest.raises(Refused):
        acts.void_grant(by(keeper), starter, amount)
    assert state() == before


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "    ",
        "abcd",
        "  ab  ",
        "x" * 501,
        "nul\x00byte",
        "gave them sk-AbCdEfGh0123456789012345678901234567890123456789ABCD",
        "gave gateway key " + "a1B2" * 11,
        "with sk_live_123abc",
        "with whsec_123abc",
    ],
)
def test_a_reason_is_needed_and_holds_no_key(keeper: User, reason: str) -> None:
    with pytest.raises(Refused):
        Instruction(keeper, reason, uuid.uuid4())


def test_a_reason_may_name_stripes_ids_and_ours(keeper: User) -> None:
    for reason in (f"See cs_test_{'a1' * 29}.", f"Call {uuid.uuid4()} failed.", "See pi_" + "3" * 24):
        assert Instruction(keeper, f"  {reason} ", uuid.uuid4()).reason == reason


def test_who_may_not_changes_nothing(
    alice: User, viewer: User, keeper: User, wallet: Wallet, starter: Transfer
) -> None:
    proposal = waiting(acts.give_credit(by(keeper), wallet, 101 * DOLLAR))
    fired = User.objects.get(pk=keeper.pk)
    fired.is_active = False
    before = state()
    for actor in (alice, viewer, fired):
        attempts: list[Callable[[User], object]] = [
            lambda who: acts.give_credit(by(who), wallet, DOLLAR),
            lambda who: acts.void_grant(by(who), starter, 1),
            lambda who: acts.correct(by(who), starter),
            lambda who: acts.approve(by(who), proposal),
            lambda who: acts.decline(by(who), proposal),
        ]
        for attempt in attempts:
            with pytest.raises(PermissionDenied):
                attempt(actor)
    assert state() == before


def test_a_grant_is_withdrawn_once_and_named(keeper: User, wallet: Wallet) -> None:
    grant = moved(acts.give_credit(by(keeper), wallet, 5 * DOLLAR))
    void = moved(acts.void_grant(by(keeper), grant, 2 * DOLLAR))
    assert (void.code, void.corrects, void.amount_nanousd) == (Code.GRANT_VOID, grant, 2 * DOLLAR)
    assert ledger.balances(wallet).promotional_nanousd == STARTER + 3 * DOLLAR
    before = state()
    with pytest.raises(Refused, match="undone this transfer already"):
        acts.void_grant(by(keeper), grant, DOLLAR)
    with pytest.raises(Refused, match="undone this transfer already"):
        acts.correct(by(keeper), grant)
    assert state() == before


def test_no_more_is_withdrawn_than_was_given(keeper: User, wallet: Wallet, starter: Transfer) -> None:
    acts.give_credit(by(keeper), wallet, 5 * DOLLAR)
    before = state()
    with pytest.raises(Refused, match=r"Only \$0.10 was given"):
        acts.void_grant(by(keeper), starter, STARTER + 1)
    assert state() == before
    acts.void_grant(by(keeper), starter, STARTER)
    assert ledger.balances(wallet).promotional_nanousd == 5 * DOLLAR


def test_bought_money_never_pays_for_a_withdrawn_grant(alice: User, keeper: User, wallet: Wallet) -> None:
    grant = moved(acts.give_credit(by(keeper), wallet, 5 * DOLLAR))
    give(alice, 9 * DOLLAR)
    acts.void_grant(by(keeper), Transfer.objects.get(code=Code.STARTER_GRANT), STARTER)
    acts.void_grant(by(keeper), moved(acts.give_credit(by(keeper), wallet, DOLLAR)), DOLLAR)
    use(wallet, 4 * DOLLAR)
    before = state()
    with pytest.raises(Refused, match=r"Only \$1.00 of promotional credit is left"):
        acts.void_grant(by(keeper), grant, 2 * DOLLAR)
    assert state() == before


def use(wallet: Wallet, amount: int, kind: str = "promotional") -> Transfer:
    """Credit goes, as a correction of the house would take it."""
    with transaction.atomic():
        return ledger.post(
            code=Code.CORRECTION,
            reference=f"used:{uuid.uuid4()}",
            debit=ledger.paid(wallet) if kind == "paid" else ledger.promotional(wallet),
            credit=ledger.house("adjustments"),
            amount_nanousd=amount,
        )


def test_only_grants_are_withdrawn(alice: User, keeper: User, wallet: Wallet, starter: Transfer) -> None:
    give(alice, 5 * DOLLAR)
    bought = Transfer.objects.latest("pk")
    fix = moved(acts.correct(by(keeper), starter))
    before = state()
    for transfer in (bought, fix):
        with pytest.raises(Refused, match="Only credit that was given"):
            acts.void_grant(by(keeper), transfer, 1)
    assert state() == before


def test_a_correction_turns_the_transfer_round_once(keeper: User, wallet: Wallet, starter: Transfer) -> None:
    wish = by(keeper)
    fix = moved(acts.correct(wish, starter))
    assert (fix.code, fix.corrects, fix.amount_nanousd) == (Code.CORRECTION, starter, STARTER)
    assert (fix.debit_account, fix.credit_account) == (starter.credit_account, starter.debit_account)
    assert ledger.balances(wallet).balance_nanousd == 0
    before = state()
    assert acts.correct(wish, starter) == fix
    with pytest.raises(Refused, match="undone this transfer already"):
        acts.correct(by(keeper), starter)
    assert state() == before
    acts.correct(by(keeper), fix)
    assert ledger.balances(wallet).balance_nanousd == STARTER


def test_a_transfer_of_the_house_is_corrected(keeper: User) -> None:
    with transaction.atomic():
        fee = ledger.post(
            code=Code.STRIPE_FEE,
            reference="fee:1",
            debit=ledger.house("stripe_fees"),
            credit=ledger.house("stripe_clearing"),
            amount_nanousd=7,
        )
    assert moved(acts.correct(by(keeper), fee)).wallet is None
    entry = AuditEntry.objects.get()
    assert (entry.target_type, entry.target_id) == ("wallet.transfer", str(fee.pk))


@pytest.mark.parametrize("step", ["wallet.acts._decide", "wallet.ledger.post"])
def test_a_failure_in_the_middle_leaves_nothing(
    keeper: User, second: User, wallet: Wallet, starter: Transfer, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = waiting(acts.give_credit(by(keeper), wallet, 101 * DOLLAR))
    before = state()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(step, fail)
    with pytest.raises(RuntimeError):
        acts.approve(by(second), proposal)
    if step.endswith("post"):
        attempts: list[Callable[[], object]] = [
            lambda: acts.give_credit(by(keeper), wallet, DOLLAR),
            lambda: acts.correct(by(keeper), starter),
            lambda: acts.void_grant(by(keeper), starter, 1),
        ]
        for attempt in attempts:
            with pytest.raises(RuntimeError):
                attempt()
    assert state() == before
