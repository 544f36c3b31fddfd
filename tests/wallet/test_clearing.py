"""Stripe's balance transactions in our books: each kind once, what fits nothing not at all."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from tests.books import assert_books
from tests.parallel import at_once
from tests.wallet.books import CENT
from wallet import clearing, ledger
from wallet.models import Code, Dispute, Refund, StripeTransaction, TopUp, Transfer, Wallet
from wallet.stripe_api.listing import BalanceTransaction

CHARGE = BalanceTransaction(
    id="txn_1",
    type="charge",
    reporting_category="charge",
    source_id="ch_1",
    charge_id="ch_1",
    payment_intent_id="pi_1",
    currency="usd",
    amount=1000,
    fee=59,
    net=941,
    made_at=datetime(2026, 5, 1, tzinfo=UTC),
)


def moved(**changes: Any) -> BalanceTransaction:
    """A balance transaction with other values; its net adds up unless it is given."""
    given = {"fee": 0, **changes}
    amount = given.get("amount", CHARGE.amount)
    return replace(CHARGE, **{"net": amount - given["fee"], **given})


def credited(wallet: Wallet, cents: int = 1000, tax_cents: int = 0, payment: str = "pi_1") -> TopUp:
    top_up = TopUp.objects.create(
        wallet=wallet,
        amount_cents=cents,
        state="paid",
        received_cents=cents,
        tax_cents=tax_cents,
        payment_intent_id=payment,
        paid_at=timezone.now(),
    )
    parts = [(Code.TOP_UP, cents, ledger.paid(wallet)), (Code.TAX, tax_cents, ledger.house("tax_payable"))]
    with transaction.atomic():
        for code, amount, account in parts:
            if amount:
                ledger.post(
                    code=code,
                    reference=f"{code.value}:{payment}",
                    debit=ledger.house("stripe_clearing"),
                    credit=account,
                    amount_nanousd=amount * CENT,
                )
    return top_up


def refund(top_up: TopUp, cents: int = 400, refund_id: str = "re_1", **values: Any) -> Refund:
    return Refund.objects.create(
        request_id=uuid4(),
        wallet=top_up.wallet,
        top_up=top_up,
        amount_cents=cents,
        state="succeeded",
        refund_id=refund_id,
        **values,
    )


def dispute() -> Dispute:
    return Dispute.objects.create(
        id="dp_1", amount_cents=1000, status="needs_response", opened_at=timezone.now()
    )


def lies(kind: str) -> int:
    """Cents on the debit side of a house account."""
    account = ledger.house(kind)
    total = -sum(row.balance_nanousd for row in account.house_balances.all())
    assert total % CENT == 0
    return total // CENT


def booked(told: BalanceTransaction) -> StripeTransaction:
    row = clearing.book(told)
    assert (row.state, row.problem) == ("booked", "")
    assert_books()
    return row


def unexplained(told: BalanceTransaction) -> str:
    before = Transfer.objects.count()
    row = clearing.book(told)
    assert row.state == "unexplained"
    assert Transfer.objects.count() == before
    assert_books()
    return row.problem


def assert_equal() -> None:
    standing = clearing.standing()
    assert standing.difference_nanousd == 0, standing


def test_a_charge_is_matched_and_only_its_fee_booked(alices: Wallet) -> None:
    top_up = credited(alices)
    assert list(clearing.in_transit()) == [top_up]
    assert clearing.standing().in_transit_nanousd == 1000 * CENT
    assert_equal()
    row = booked(CHARGE)
    assert (row.amount_cents, row.fee_cents, row.net_cents, row.source_id) == (1000, 59, 941, "ch_1")
    [fee] = Transfer.objects.exclude(code="top_up")
    assert (fee.reference, fee.code, fee.amount_nanousd) == ("stripe_fee:txn_1", "stripe_fee", 59 * CENT)
    assert (lies("stripe_clearing"), lies("stripe_fees")) == (941, 59)
    top_up.refresh_from_db()
    assert top_up.charge_id == "ch_1"
    assert list(clearing.in_transit()) == []
    assert_equal()


def test_tax_is_part_of_the_charge(alices: Wallet) -> None:
    credited(alices, 1000, tax_cents=190)
    booked(moved(amount=1190, fee=65))
    assert (lies("stripe_clearing"), lies("tax_payable")) == (1125, -190)
    assert_equal()


def test_any_number_of_times_and_at_once_is_once(alices: Wallet) -> None:
    credited(alices)
    at_once(12, lambda _: clearing.book(CHARGE).state)
    booked(CHARGE)
    assert Transfer.objects.filter(code="stripe_fee").count() == 1
    assert StripeTransaction.objects.count() == 1
    assert lies("stripe_clearing") == 941


def test_a_charge_of_no_wallet_waits_until_it_is_credited(alices: Wallet) -> None:
    assert unexplained(CHARGE) == "Payment pi_1 of $10.00 at Stripe is in no wallet: no top-up has it."
    assert clearing.standing().difference_nanousd == -941 * CENT
    assert clearing.standing().unexplained_nanousd == 941 * CENT
    credited(alices)
    booked(CHARGE)
    assert_equal()


@pytest.mark.parametrize("state", ["open", "pending", "failed", "parked"])
def test_a_charge_of_a_top_up_without_credit_is_in_no_wallet(alices: Wallet, state: str) -> None:
    TopUp.objects.create(wallet=alices, amount_cents=1000, state=state, payment_intent_id="pi_1")
    assert "is in no wallet" in unexplained(CHARGE)


@pytest.mark.parametrize("amount", [999, 1001, 100_000, -1000])
def test_a_charge_of_another_amount_is_not_matched(alices: Wallet, amount: int) -> None:
    credited(alices)
    assert "at Stripe; top-up" in unexplained(moved(amount=amount))
    assert lies("stripe_clearing") == 1000


def test_a_second_charge_of_one_payment_is_not_matched(alices: Wallet) -> None:
    credited(alices)
    booked(CHARGE)
    problem = unexplained(moved(id="txn_2", source_id="ch_2", charge_id="ch_2"))
    assert "was credited for charge ch_1, not ch_2" in problem


def test_another_currency_is_unexplained(alices: Wallet) -> None:
    credited(alices)
    assert unexplained(replace(CHARGE, currency="eur")) == "Its currency is eur; the books are in usd."


def test_a_net_that_does_not_add_up_is_unexplained(alices: Wallet) -> None:
    credited(alices)
    assert "is not 1000 less a fee of 59" in unexplained(replace(CHARGE, net=900))


@pytest.mark.parametrize("kind", ["refund", "payment_refund"])
def test_a_refund_leaves_stripe_and_its_failure_comes_back(alices: Wallet, kind: str) -> None:
    refund(credited(alices))
    booked(CHARGE)
    booked(moved(id="txn_2", type=kind, reporting_category="refund", source_id="re_1", amount=-400))
    assert (lies("stripe_clearing"), lies("refunds_pending")) == (541, 400)
    assert Transfer.objects.get(reference="refund:txn_2").code == "refund"
    assert_equal()
    failure = moved(
        id="txn_3", type="refund_failure", reporting_category="refund_failure", source_id="re_1", amount=400
    )
    booked(failure)
    assert (lies("stripe_clearing"), lies("refunds_pending")) == (941, 0)
    assert Transfer.objects.get(reference="refund_reversal:txn_3").code == "refund_reversal"
    assert_equal()


def test_a_refund_that_nobody_knows_or_of_another_amount_is_unexplained(alices: Wallet) -> None:
    told = moved(id="txn_2", type="refund", source_id="re_1", amount=-400)
    assert unexplained(told) == "Refund re_1 of $4.00 is not known here."
    refund(credited(alices), 399)
    assert unexplained(told) == "Refund re_1 is $4.00 at Stripe; here it is $3.99."
    Refund.objects.update(tax_cents=1)
    booked(told)


def test_a_debit_that_the_bank_took_back_is_a_refund_made_at_stripe(alices: Wallet) -> None:
    top_up = credited(alices)
    booked(replace(CHARGE, type="payment"))
    back = moved(id="txn_2", type="payment_failure_refund", source_id="pyr_1", amount=-1000)
    assert "is not known here" in unexplained(back)
    refund(top_up, 1000, "txn_2", origin="stripe", transaction_id="txn_2")
    booked(back)
    assert (lies("stripe_clearing"), lies("refunds_pending")) == (-59, 1000)
    assert_equal()


def test_a_dispute_takes_with_its_fee_and_gives_back_without(alices: Wallet) -> None:
    credited(alices)
    booked(CHARGE)
    withdrawn = moved(
        id="txn_2", type="adjustment", reporting_category="dispute", source_id="dp_1", amount=-1000, fee=1500
    )
    assert unexplained(withdrawn) == "Dispute dp_1 is not known here."
    dispute()
    booked(withdrawn)
    assert (lies("disputes"), lies("stripe_fees"), lies("stripe_clearing")) == (1000, 1559, -1559)
    booked(
        replace(withdrawn, id="txn_3", reporting_category="dispute_reversal", amount=1000, fee=0, net=1000)
    )
    assert (lies("disputes"), lies("stripe_fees"), lies("stripe_clearing")) == (0, 1559, -559)
    assert_equal()


def test_a_payout_and_its_return(alices: Wallet) -> None:
    credited(alices)
    booked(CHARGE)
    booked(moved(id="txn_2", type="payout", source_id="po_1", amount=-900))
    assert (lies("bank"), lies("stripe_clearing")) == (900, 41)
    booked(moved(id="txn_3", type="payout_failure", source_id="po_1", amount=900))
    assert (lies("bank"), lies("stripe_clearing")) == (0, 941)
    assert_equal()


@pytest.mark.parametrize("kind", ["stripe_fee", "stripe_fx_fee", "tax_fee", "network_cost"])
def test_an_amount_that_is_itself_a_fee(alices: Wallet, kind: str) -> None:
    booked(moved(type=kind, source_id="", amount=-25))
    assert (lies("stripe_fees"), lies("stripe_clearing")) == (25, -25)
    booked(moved(id="txn_2", type=kind, source_id="", amount=5))
    assert (lies("stripe_fees"), lies("stripe_clearing")) == (20, -20)
    assert_equal()


def test_a_fee_that_comes_back(alices: Wallet) -> None:
    refund(credited(alices))
    booked(CHARGE)
    booked(moved(id="txn_2", type="refund", source_id="re_1", amount=-400, fee=-12))
    assert (lies("stripe_fees"), lies("stripe_clearing")) == (47, 553)
    assert_equal()


@pytest.mark.parametrize("kind", ["transfer", "topup", "reserve_transaction", "something_new"])
def test_what_no_rule_knows_moves_nothing(alices: Wallet, kind: str) -> None:
    assert (
        unexplained(moved(type=kind, reporting_category=kind))
        == f"Nothing here moves money as {kind}, {kind}."
    )


def test_a_failure_in_the_middle_leaves_nothing(alices: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    dispute()
    real = ledger.post

    def fails_at_the_fee(**given: Any) -> Transfer:
        if given["code"] == Code.STRIPE_FEE:
            raise ledger.ReferenceConflict("The fee moved otherwise.")
        return real(**given)

    monkeypatch.setattr(ledger, "post", fails_at_the_fee)
    told = moved(
        id="txn_2", type="adjustment", reporting_category="dispute", source_id="dp_1", amount=-1000, fee=1500
    )
    assert unexplained(told) == "The fee moved otherwise."
    assert (lies("disputes"), lies("stripe_clearing")) == (0, 0)
