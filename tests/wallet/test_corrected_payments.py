"""Corrections by staff beside refunds and disputes: what went back of a payment is never taken out of the wallet twice."""

import threading
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from accounts.audit import Instruction, Refused
from accounts.models import User
from tests.books import assert_books
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.refunding import house_cents, in_dashboard, only, paid
from tests.wallet.test_disputes import disputed, hear, move
from tests.wallet.test_refunds_of_stripe import stripe_refund, taxed
from wallet import acts, corrections, disputes, invariants, refunds, stripe_api
from wallet.models import Dispute, Proposal, Refund, TopUp, Transfer, Wallet
from wallet.refunds import asking as refund_asking
from wallet.topups.verdicts import Parked


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> Iterator[None]:
    yield
    assert_books()
    assert invariants.check() == []


def by(who: User) -> Instruction:
    return Instruction(who, "It was credited twice.", uuid.uuid4())


def credit_of(top_up: TopUp, code: str = "top_up") -> Transfer:
    return Transfer.objects.get(reference=f"{code}:{top_up.payment_intent_id}")


def correct(who: User, transfer: Transfer) -> Transfer:
    done = acts.correct(by(who), transfer)
    assert isinstance(done, Transfer)
    return done


def refused(who: User, transfer: Transfer) -> str:
    with pytest.raises(Refused) as raised:
        acts.correct(by(who), transfer)
    return str(raised.value)


def test_a_payment_of_which_something_went_back_is_not_corrected(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    refund_asking.settle_request(refunds.start(alices, 400))
    hear(dispute_id := disputed(stripe_at_hand, top_up, amount=250))
    said = refused(staff, credit_of(top_up))
    assert (
        f"went back already: refund {only(alices).refund_id} of $4.00, dispute {dispute_id} of $2.50." in said
    )
    assert "Undo those instead" in said
    assert balance_cents(alices) == 350
    # What returned is gone no more.
    stripe_at_hand.command(f"refunds/{only(alices).refund_id}/fail")
    refund_asking.settle(only(alices).pk)
    assert f"went back already: dispute {dispute_id} of $2.50." in refused(staff, credit_of(top_up))
    move(stripe_at_hand, dispute_id, "win")
    hear(dispute_id)
    correct(staff, credit_of(top_up))
    assert balance_cents(alices) == 0


def test_one_that_is_asked_for_counts_before_stripe_hears_of_it(alices: Wallet, staff: User) -> None:
    top_up = taxed(alices, 1000, 0)
    refunds.start(alices, 400)
    assert f"refund {only(alices).pk} of $4.00" in refused(staff, credit_of(top_up))


def test_a_proposal_from_before_a_refund_is_refused_when_it_is_approved(
    alices: Wallet, staff: User, settings: Any
) -> None:
    settings.STAFF_LIMIT_CENTS = 1
    top_up = taxed(alices, 1000, 190)
    second = User.objects.create_superuser("second@example.com", "x")
    proposals = [acts.correct(by(staff), credit_of(top_up, code)) for code in ("top_up", "tax")]
    refunds.record(stripe_refund(top_up, 357))
    for proposal in proposals:
        assert isinstance(proposal, Proposal)
        with pytest.raises(Refused, match=r"refund re_1 of \$3\.57"):
            acts.approve(by(second), proposal)
        proposal.refresh_from_db()
        assert proposal.state == "waiting"
    assert (balance_cents(alices), house_cents("tax_payable")) == (700, 133)


def test_tax_that_was_given_back_is_not_corrected(alices: Wallet, staff: User) -> None:
    top_up = taxed(alices, 1000, 190)
    refunds.record(stripe_refund(top_up, 357))
    assert "refund re_1 of $3.57" in refused(staff, credit_of(top_up, "tax"))
    assert house_cents("tax_payable") == 133


def test_a_payment_whose_tax_was_corrected_is_given_back_no_more(alices: Wallet, staff: User) -> None:
    top_up = taxed(alices, 1000, 190)
    fix = correct(staff, credit_of(top_up, "tax"))
    assert refunds.overview(alices).cents == 0
    with pytest.raises(Parked, match="took back by a correction"):
        refunds.record(stripe_refund(top_up, 357))
    correct(staff, fix)
    assert refunds.overview(alices).cents == 1000
    refunds.record(stripe_refund(top_up, 357))
    assert (balance_cents(alices), house_cents("tax_payable")) == (700, 133)


def test_what_was_taken_again_after_all_is_not_refundable(alices: Wallet, staff: User) -> None:
    """A correction, one that undoes that, and one that undoes that in turn: the credit is gone."""
    last = credit_of(taxed(alices, 1000, 0))
    for refundable in (0, 1000, 0):
        last = correct(staff, last)
        assert refunds.overview(alices).left_cents == refundable


def test_credit_that_came_back_is_not_taken_again_beside_a_refund(alices: Wallet, staff: User) -> None:
    top_up = taxed(alices, 1000, 0)
    taken = correct(staff, credit_of(top_up))
    with pytest.raises(Parked):
        refunds.record(stripe_refund(top_up, 400))
    returned = correct(staff, taken)
    refunds.record(stripe_refund(top_up, 400))
    assert "refund re_1 of $4.00" in refused(staff, returned)
    assert balance_cents(alices) == 600


def test_what_follows_from_stripe_is_corrected_there(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox
) -> None:
    """One leg alone would leave the other in between for good."""
    refunds.record(stripe_refund(taxed(alices, 1000, 190), 357))
    row = only(alices)
    hear(dispute_id := disputed(stripe_at_hand, paid(stripe_at_hand, alices)))
    legs = Transfer.objects.filter(details__refund=str(row.pk))
    assert sorted(legs.values_list("code", flat=True)) == ["refund", "tax"]
    for leg in legs:
        assert f"what becomes of refund {row.pk}, which is decided at Stripe" in refused(staff, leg)
    for leg in Transfer.objects.filter(details__dispute=dispute_id):
        assert f"what becomes of dispute {dispute_id}" in refused(staff, leg)
    assert house_cents("refunds_pending") == 357


def take_by_request(alices: Wallet, top_up: TopUp, _: Sandbox) -> Callable[[], object]:
    return lambda: refunds.start(alices, 400)


def take_in_dashboard(alices: Wallet, top_up: TopUp, sandbox: Sandbox) -> Callable[[], object]:
    told = stripe_api.refund(in_dashboard(sandbox, top_up, 400))
    return lambda: refunds.record(told)


def take_by_bank(alices: Wallet, top_up: TopUp, sandbox: Sandbox) -> Callable[[], object]:
    dispute_id = disputed(sandbox, top_up, amount=400)
    follow = disputes.heard_of(dispute_id)

    def take() -> None:
        with transaction.atomic():
            follow()

    return take


TAKERS = [take_by_request, take_in_dashboard, take_by_bank]


def beside(work: Callable[[], object], other: Callable[[], object]) -> tuple[bool, object]:
    """`work`, not committed yet, while `other` runs: whether that waited, and what came of it."""
    came: list[object] = []

    def run() -> None:
        def caught(_: int) -> None:
            try:
                came.append(other())
            except (Refused, refunds.TooMuch, Parked) as reason:
                came.append(reason)

        at_once(1, caught)

    thread = threading.Thread(target=run)
    with transaction.atomic():
        work()
        thread.start()
        thread.join(1.0)
        has_waited = thread.is_alive()
    thread.join(20)
    return has_waited, came[0]


@pytest.mark.parametrize("taker", TAKERS)
def test_a_correction_waits_for_what_goes_back_and_sees_it(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox, taker: Any
) -> None:
    top_up = paid(stripe_at_hand, alices)
    credit = credit_of(top_up)
    has_waited, came = beside(taker(alices, top_up, stripe_at_hand), lambda: acts.correct(by(staff), credit))
    assert (has_waited, type(came)) == (True, Refused)
    assert balance_cents(alices) == 600


@pytest.mark.parametrize("taker", TAKERS)
def test_what_goes_back_waits_for_a_correction_and_sees_it(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox, taker: Any
) -> None:
    top_up = paid(stripe_at_hand, alices)
    credit, take = credit_of(top_up), taker(alices, top_up, stripe_at_hand)
    has_waited, _ = beside(lambda: acts.correct(by(staff), credit), take)
    assert has_waited
    assert not Refund.objects.exists()
    assert not Dispute.objects.filter(top_up__isnull=False).exists()
    assert balance_cents(alices) == 0


@pytest.mark.parametrize("taker", TAKERS)
def test_without_the_lock_it_would_be_taken_twice(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox, taker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is real: the correction has looked before the other commits."""
    top_up = paid(stripe_at_hand, alices)
    monkeypatch.setattr(corrections, "wallets", SimpleNamespace(lock=lambda wallet_id: None))
    credit = credit_of(top_up)
    beside(taker(alices, top_up, stripe_at_hand), lambda: acts.correct(by(staff), credit))
    assert balance_cents(alices) == -400


def test_many_at_once_take_it_once(alices: Wallet, staff: User, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    credit = credit_of(top_up)

    def work(number: int) -> str:
        try:
            if number % 2:
                refunds.start(alices, 300)
                return "refund"
            acts.correct(by(staff), credit)
        except (Refused, refunds.TooMuch):
            return "no"
        return "correction"

    done = at_once(12, work)
    if "correction" in done:
        assert (done.count("correction"), done.count("refund"), balance_cents(alices)) == (1, 0, 0)
    else:
        assert (done.count("refund"), balance_cents(alices)) == (3, 100)


def test_an_inquiry_that_takes_the_payment_after_a_correction_takes_nothing(
    alices: Wallet, staff: User, stripe_at_hand: Sandbox
) -> None:
    """It was known before, with its payment; only its money comes after."""
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up, inquiry="true")
    hear(dispute_id)
    fix = correct(staff, credit_of(top_up))
    move(stripe_at_hand, dispute_id, "escalate")
    row = hear(dispute_id)
    assert f"Staff took top-up {top_up.pk} back by a correction" in row.problem
    assert (row.withdrawn_cents, balance_cents(alices)) == (0, 0)
    correct(staff, fix)
    row = hear(dispute_id)
    assert (row.problem, row.withdrawn_cents, balance_cents(alices)) == ("", 1000, 0)
