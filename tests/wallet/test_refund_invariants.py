"""What breaks the books of refunds is found, by name and with both numbers."""

import pytest
from django.db import connection, transaction

from tests.wallet.test_refunds_of_stripe import stripe_refund, taxed
from wallet import invariants, ledger, refunds
from wallet.models import Code, Refund, Wallet


@pytest.fixture
def row(alices: Wallet) -> Refund:
    """$3.00 of $10.00, and 57 cents of tax, given back."""
    return refunds.record(stripe_refund(taxed(alices, 1000, 190), 357))


def found(name: str) -> list[str]:
    return next((each.ids for each in invariants.check() if each.invariant.name == name), [])


def write(sql: str, *values: str | int | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_more_than_the_payment(row: Refund) -> None:
    assert found("refunds_within_payments") == []
    write("UPDATE wallet_topup SET received_cents = 200, tax_cents = 100")
    assert found("refunds_within_payments") == [
        f"top-up {row.top_up_id}: received 300 cents with tax, refunds 357; tax 100, gone back 57"
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("amount_cents = 301", "refund:{} should be 301 cents"),
        ("tax_cents = 0", "tax:refund:{} should be 0 cents"),
        ("state = 'failed'", "refund_reversal:{} should be 300 cents"),
    ],
)
def test_a_row_without_its_transfer(row: Refund, change: str, told: str) -> None:
    assert found("refund_transfers") == []
    write(f"UPDATE wallet_refund SET {change}")
    assert f"refund {row.pk}: {told.format(row.pk)}" in found("refund_transfers")


def test_money_in_between_that_is_of_no_refund(row: Refund) -> None:
    assert found("refunds_pending_explained") == []
    with transaction.atomic():
        stray = ledger.post(
            code=Code.REFUND,
            reference="refund:nobody",
            debit=ledger.paid(row.wallet),
            credit=ledger.house("refunds_pending"),
            amount_nanousd=1,
        )
    assert found("refunds_pending_explained") == [f"transfer {stray.pk}: refund:nobody is of no refund"]
