"""What is refundable, how an amount is spread, and the tax in it; with figures that a bookkeeper can check."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.refunds.refundable import Part, Payment, allocate, of_wallet, split

CENT = 10_000_000
FIRST, SECOND = UUID(int=1), UUID(int=2)


def found(paid: int, promotional: int = 0, held: int = 0, *payments: Payment) -> tuple[int, int]:
    """Refundable cents, and the nano-dollars that stay."""
    refundable = of_wallet(
        paid_nanousd=paid, promotional_nanousd=promotional, held_nanousd=held, payments=payments
    )
    return refundable.cents, refundable.rest_nanousd


def test_whole_cents_of_what_is_not_used() -> None:
    payment = Payment(FIRST, 1000)
    assert found(999_999_999, 0, 0, payment) == (99, CENT - 1)
    assert found(-5 * CENT, 0, 0, payment) == (0, 0)
    assert found(2000 * CENT, 0, 0, payment) == (1000, 1000 * CENT)
    assert found(500 * CENT) == (0, 500 * CENT)


def test_holds_are_covered_by_given_credit_first() -> None:
    payment = Payment(FIRST, 1000)
    assert found(1000 * CENT, 30 * CENT, 30 * CENT, payment) == (1000, 0)
    assert found(1000 * CENT, 30 * CENT, 50 * CENT, payment) == (980, 0)
    assert found(10 * CENT, 0, 50 * CENT, payment) == (0, 0)
    # Given credit below zero is a debt.
    assert found(1000 * CENT, -30 * CENT, 0, payment) == (970, 0)


def test_an_amount_is_spread_in_order() -> None:
    payments = [Payment(FIRST, 300, gone_cents=100), Payment(SECOND, 500)]
    assert allocate(payments, 250) == [Part(FIRST, 200, 0), Part(SECOND, 50, 0)]
    assert allocate(payments, 200) == [Part(FIRST, 200, 0)]
    for wrong in (0, -1, 701):
        with pytest.raises(ValueError, match="can't be given back"):
            allocate(payments, wrong)


def test_tax_in_three_parts_is_all_of_it() -> None:
    """$10.00 with $1.99 of tax, refunded in $3.33, $3.33 and $3.34: 66, 67 and 66 cents of tax."""
    gone = tax = 0
    shares = []
    for cents in (333, 333, 334):
        [part] = allocate([Payment(FIRST, 1000, 199, gone, tax)], cents)
        gone, tax = gone + part.amount_cents, tax + part.tax_cents
        shares.append(part.tax_cents)
    assert (shares, gone, tax) == ([66, 67, 66], 1000, 199)


def test_a_refund_in_the_dashboard_has_its_tax_in_it() -> None:
    """Of $11.90, with $1.90 of tax, $5.95 are $5.00 and $0.95."""
    assert split(Payment(FIRST, 1000, 190), 595) == Part(FIRST, 500, 95)
    assert split(Payment(FIRST, 1000, 190, 500, 95), 595) == Part(FIRST, 500, 95)
    assert split(Payment(FIRST, 1000, 190), 1190) == Part(FIRST, 1000, 190)
    assert split(Payment(FIRST, 1000), 1) == Part(FIRST, 1, 0)


@given(
    received=st.integers(1, 100_000),
    tax=st.integers(0, 30_000),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 60_000), st.booleans()), max_size=12),
)
def test_no_order_of_refunds_and_returns_goes_beyond_the_payment(
    received: int, tax: int, steps: list[tuple[bool, int, bool]]
) -> None:
    """Asked for here, made at Stripe, or returned: credit and tax stay within theirs, and the last takes all the rest."""
    parts: list[Part] = []

    def payment() -> Payment:
        return Payment(
            FIRST, received, tax, sum(p.amount_cents for p in parts), sum(p.tax_cents for p in parts)
        )

    for is_ours, cents, returns in steps:
        now = payment()
        if is_ours and now.left_cents:
            parts += allocate([now], min(cents, now.left_cents))
        elif not is_ours and now.left_cents + now.left_tax_cents:
            parts.append(split(now, min(cents, now.left_cents + now.left_tax_cents)))
        if returns and parts:
            parts.pop(0)
        assert 0 <= payment().gone_cents <= received
        assert 0 <= payment().gone_tax_cents <= tax
    rest = payment()
    if rest.left_cents + rest.left_tax_cents:
        last = split(rest, rest.left_cents + rest.left_tax_cents)
        assert (last.amount_cents, last.tax_cents) == (rest.left_cents, rest.left_tax_cents)


def test_payments_of_others_are_not_mixed_up() -> None:
    other = uuid4()
    assert allocate([Payment(FIRST, 100), Payment(other, 100)], 150)[1].top_up_id == other
