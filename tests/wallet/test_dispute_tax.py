"""How much of what a bank takes back is tax: whatever the parts and their order, the sums are the same."""

import datetime
from dataclasses import replace
from itertools import permutations

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.wallet.books import CENT, balance_cents
from tests.wallet.refunding import house_cents
from wallet import dispute_shares, disputes, history, invariants, ledger, refunds
from wallet.models import Code, Dispute, TopUp, Transfer, Wallet
from wallet.stripe_api import DisputeMovement, StripeDispute, StripeRefund
from wallet.transactions import again_if_lost

OPENED = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)


def taxed(wallet: Wallet, number: int) -> TopUp:
    """$10.00 of credit with $1.93 of tax on top."""
    top_up = TopUp.objects.create(
        wallet=wallet,
        amount_cents=1000,
        state=TopUp.State.PAID,
        payment_intent_id=f"pi_{number}",
        received_cents=1000,
        tax_cents=193,
        paid_at=timezone.now(),
    )
    clearing = ledger.house("stripe_clearing")
    parts = (Code.TOP_UP, 1000, ledger.paid(wallet)), (Code.TAX, 193, ledger.house("tax_payable"))

    def credit() -> None:
        for code, cents, account in parts:
            ledger.post(
                code=code,
                reference=f"{code.value}:pi_{number}",
                debit=clearing,
                credit=account,
                amount_nanousd=cents * CENT,
            )

    again_if_lost(credit)
    return top_up


def telling(top_up: TopUp, name: str, *amounts: int) -> StripeDispute:
    movements = tuple(
        DisputeMovement(f"txn_{name}_{place}_{top_up.payment_intent_id}", "adjustment", "usd", amount, 0)
        for place, amount in enumerate(amounts)
    )
    return StripeDispute(
        id=f"du_{name}_{top_up.payment_intent_id}",
        charge_id="",
        payment_intent_id=str(top_up.payment_intent_id),
        amount=-amounts[0],
        currency="usd",
        status="needs_response",
        reason="fraudulent",
        livemode=False,
        opened_at=OPENED,
        evidence_due_at=None,
        has_evidence=False,
        movements=movements,
        read_at=timezone.now(),
    )


def taken(top_up: TopUp) -> tuple[int, int]:
    """Credit and tax."""
    found = Dispute.objects.filter(top_up=top_up)
    return sum(each.taken_cents for each in found), sum(each.tax_cents for each in found)


def test_the_whole_takes_all_the_tax_and_gives_all_of_it_back(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    assert taken(top_up) == (1000, 193)
    assert balance_cents(alices) == 0
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193, 1193)))
    assert taken(top_up) == (0, 0)
    assert (balance_cents(alices), invariants.check()) == (1000, [])


def test_three_parts_in_any_order_come_to_the_same(alices: Wallet) -> None:
    for number, order in enumerate(permutations([("a", -5), ("b", -488, 488), ("c", -700)])):
        top_up = taxed(alices, number)
        for name, *amounts in order:
            told = telling(top_up, str(name), *(int(amount) for amount in amounts))
            again_if_lost(lambda told=told: disputes.apply(told))  # type: ignore[misc]
        assert taken(top_up) == (705 - 114, 114)
    assert invariants.check() == []


def refund(top_up: TopUp, amount: int, status: str = "succeeded") -> None:
    """In Stripe's dashboard."""
    payment = str(top_up.payment_intent_id)
    refunds.record(StripeRefund(f"re_{amount}_{payment}", status, amount, "usd", None, payment))


def tax_owed_cents() -> int:
    return house_cents("tax_payable")


def test_a_payment_that_is_refunded_and_disputed_gives_its_tax_back_once(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 1193)
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    assert (tax_owed_cents(), balance_cents(alices)) == (0, -1193)
    assert [row.problem for row in disputes.unclear()] == [dispute_shares.TOO_MUCH]
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193, 1193)))
    assert (tax_owed_cents(), balance_cents(alices)) == (0, 0)
    assert (invariants.check(), list(disputes.unclear())) == ([], [])


def test_a_dispute_after_a_part_was_refunded_takes_what_tax_is_left(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 596)
    row = again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    assert row.problem == "More was taken than the payment brought in."
    assert (tax_owed_cents(), balance_cents(alices)) == (0, 1000 + 193 - 596 - 1193)
    assert invariants.check() == []


def test_a_refund_that_a_dispute_stops_leaves_all_the_tax_to_the_dispute(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 1193, "pending")
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    refund(top_up, 1193, "failed")
    assert (tax_owed_cents(), balance_cents(alices)) == (0, 0)
    assert invariants.check() == []


def test_a_refund_that_fails_after_the_dispute_leaves_all_the_tax_to_the_dispute(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 1193)
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    refund(top_up, 1193, "failed")
    assert (tax_owed_cents(), balance_cents(alices), taken(top_up)) == (0, 0, (1000, 193))
    newest, _, dispute, asked = history.page(alices).movements[:4]
    assert (newest.code, newest.story.payment) == (Code.TAX, top_up)
    assert (
        newest.story.explained
        == "Tax that the bank took of this payment returns to you: nothing came of its refund."
    )
    told = "$1.93 of it is tax of this payment, which went back in another way already."
    assert dispute.story.explained == f"{told} Should nothing come of that, it returns to you."
    assert asked.story.explained == ""
    assert invariants.check() == []
    refund(top_up, 1193, "failed")
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193, 1193)))
    assert (tax_owed_cents(), balance_cents(alices), taken(top_up)) == (193, 1000, (0, 0))
    assert invariants.check() == []


def test_the_tax_that_a_failed_refund_leaves_is_spread_over_all_disputes(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 1193)
    for name, amount in (("a", -500), ("b", -100), ("c", -500)):
        again_if_lost(lambda name=name, amount=amount: disputes.apply(telling(top_up, name, amount)))  # type: ignore[misc]
    assert taken(top_up) == (1100, 0)
    refund(top_up, 1193, "failed")
    assert taken(top_up) == (1100 - 178, 178)
    assert (tax_owed_cents(), balance_cents(alices)) == (193 - 178, 1000 - 1100 + 178)
    assert invariants.check() == []


def test_a_refund_that_is_told_before_the_dispute_was_won_gives_all_the_tax_back(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    refund(top_up, 1193)
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193, 1193)))
    assert (tax_owed_cents(), balance_cents(alices)) == (0, 0)
    assert invariants.check() == []
    refund(top_up, 1193, "failed")
    assert (tax_owed_cents(), balance_cents(alices), taken(top_up)) == (193, 1000, (0, 0))
    assert invariants.check() == []


def test_a_refund_on_its_way_beside_a_dispute_breaks_nothing_in_between(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 1193, "pending")
    again_if_lost(lambda: disputes.apply(telling(top_up, "a", -1193)))
    assert (tax_owed_cents(), invariants.check(), list(disputes.unclear())) == (0, [], [])
    refund(top_up, 1193)
    assert (tax_owed_cents(), balance_cents(alices)) == (0, -1193)
    assert (invariants.check(), disputes.unclear().count()) == ([], 1)
    refund(top_up, 1193, "failed")
    assert not disputes.unclear()


def test_a_part_that_is_tax_alone_is_no_fault_of_the_books_unless_its_transfer_is_missing(
    alices: Wallet,
) -> None:
    top_up = taxed(alices, 1)
    row = again_if_lost(lambda: disputes.apply(telling(top_up, "a", -3, -1)))
    assert (row.withdrawn_cents, row.tax_cents, balance_cents(alices)) == (4, 1, 1000 - 3)
    [tax] = Transfer.objects.filter(code=Code.TAX, details__dispute=row.pk)
    assert not Transfer.objects.filter(reference=tax.reference.replace("tax", "dispute") + ":wallet").exists()
    assert (invariants.check(), invariants.check([alices.pk])) == ([], [])
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM wallet_transfer WHERE id = %s", [tax.pk])
        cursor.execute("SET session_replication_role = origin")
    [finding] = invariants.check([alices.pk])
    assert finding.invariant.name == "disputes"
    [said] = finding.ids
    assert said.startswith(
        f"dispute {row.pk}: its wallet lacks 30000000 nano-dollars and tax 0, Stripe withdrew 4"
    )


@pytest.mark.parametrize("name", ["received_cents", "tax_cents"])
def test_a_payment_without_tax_or_without_anything(name: str) -> None:
    assert dispute_shares.tax_in(TopUp(received_cents=None, tax_cents=None), 50) == 0
    assert dispute_shares.tax_in(TopUp(**{name: 100}), 50) == (0 if name == "received_cents" else 50)


@given(
    received=st.integers(0, 10_000),
    tax=st.integers(0, 3_000),
    first=st.integers(-50, 20_000),
    more=st.integers(0, 500),
)
def test_a_part_never_has_more_tax_than_it_is_long(received: int, tax: int, first: int, more: int) -> None:
    top_up = TopUp(received_cents=received, tax_cents=tax)
    before, after = dispute_shares.tax_in(top_up, first), dispute_shares.tax_in(top_up, first + more)
    assert 0 <= before <= after <= before + more
    assert dispute_shares.tax_in(top_up, received + tax) == tax
    assert dispute_shares.tax_in(top_up, 0) == 0


def test_one_that_names_no_payment_is_nobodys(alices: Wallet) -> None:
    top_up = taxed(alices, 1)
    nameless = replace(telling(top_up, "a", -500), payment_intent_id="")
    row = again_if_lost(lambda: disputes.apply(nameless))
    assert (row.top_up, balance_cents(alices)) == (None, 1000)
