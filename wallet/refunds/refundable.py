"""What of a wallet can be given back, to which payments, and how much tax goes with it. Pure: no database, no Stripe.

The rule: bought credit that is not used, less what running calls hold beyond given credit, never more than what is left
of the payments that bought it; to the newest payment first, in whole cents. Tax goes back in the share of what goes
back, counted over all refunds of a payment, so that the last one returns exactly what is left of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from pricing.money import NANO_PER_CENT


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment, and what is gone of it: asked back and not returned, or taken back by a bank. All in cents."""

    top_up_id: UUID
    received_cents: int
    tax_cents: int = 0
    gone_cents: int = 0
    gone_tax_cents: int = 0

    @property
    def left_cents(self) -> int:
        """Credit that can still go back to it, without tax."""
        return max(self.received_cents - self.gone_cents, 0)

    @property
    def left_tax_cents(self) -> int:
        return max(self.tax_cents - self.gone_tax_cents, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """What goes back to one payment: credit from the wallet, and tax beside it."""

    top_up_id: UUID
    amount_cents: int
    tax_cents: int


@dataclass(frozen=True, slots=True)
class Refundable:
    """What a wallet's owner can have back now, and how it comes about. Amounts in nano-dollars but for the cents."""

    paid_nanousd: int
    held_nanousd: int
    payments: tuple[Payment, ...]

    @property
    def unused_nanousd(self) -> int:
        """Bought credit that nothing has a claim on; below zero where calls took more."""
        return self.paid_nanousd - self.held_nanousd

    @property
    def left_cents(self) -> int:
        """What is left of the payments that can be refunded."""
        return sum(payment.left_cents for payment in self.payments)

    @property
    def cents(self) -> int:
        return min(max(self.unused_nanousd, 0) // NANO_PER_CENT, self.left_cents)

    @property
    def nanousd(self) -> int:
        return self.cents * NANO_PER_CENT

    @property
    def rest_nanousd(self) -> int:
        """Bought credit that stays: fractions of a cent, and what no payment is left for."""
        return max(self.unused_nanousd, 0) - self.nanousd

    @property
    def is_bound_by_payments(self) -> bool:
        """Whether the payments, not the wallet, are what is short."""
        return self.left_cents < max(self.unused_nanousd, 0) // NANO_PER_CENT

    @property
    def held_change_nanousd(self) -> int:
        return -self.held_nanousd

    @property
    def rest_change_nanousd(self) -> int:
        return -self.rest_nanousd


def of_wallet(
    *, paid_nanousd: int, promotional_nanousd: int, held_nanousd: int, payments: Iterable[Payment]
) -> Refundable:
    """Holds are covered by given credit first, as usage is."""
    held_of_paid = max(0, held_nanousd - promotional_nanousd)
    return Refundable(paid_nanousd, held_of_paid, tuple(payments))


def allocate(payments: Iterable[Payment], amount_cents: int) -> list[Part]:
    """Spread the amount over the payments, in the order in which they come. Raises ValueError where they don't suffice."""
    parts, wanted = [], amount_cents
    for payment in payments:
        taken = min(payment.left_cents, wanted)
        if taken:
            parts.append(Part(payment.top_up_id, taken, _tax_of_credit(payment, taken)))
            wanted -= taken
    if wanted or amount_cents <= 0:
        raise ValueError(f"{amount_cents} cents can't be given back; {wanted} of them have no payment.")
    return parts


def split(payment: Payment, gross_cents: int) -> Part:
    """What of `gross_cents`, which went back with tax in it, is credit, and what tax."""
    whole = payment.received_cents + payment.tax_cents
    gone = payment.gone_cents + payment.gone_tax_cents
    due = _rounded(payment.tax_cents * (gone + gross_cents), whole) - payment.gone_tax_cents
    # What is more than is left of the credit can only be tax.
    tax = min(max(due, gross_cents - payment.left_cents, 0), payment.left_tax_cents, gross_cents)
    return Part(payment.top_up_id, gross_cents - tax, tax)


def _tax_of_credit(payment: Payment, credit_cents: int) -> int:
    due = _rounded(payment.tax_cents * (payment.gone_cents + credit_cents), payment.received_cents)
    return min(max(due - payment.gone_tax_cents, 0), payment.left_tax_cents)


def _rounded(numerator: int, denominator: int) -> int:
    """The quotient to the nearest whole number, halves up; 0 of nothing."""
    return (2 * numerator + denominator) // (2 * denominator) if denominator else 0
