"""Payments and refunds in plain Python; written from the rules in docs/payments.md. Amounts in cents."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from tests.ledger.model import Books, Movement

NANO = 10_000_000


@dataclass
class Part:
    """What goes back to one payment."""

    payment: "Payment"
    credit: int
    tax: int
    state: str = ""


@dataclass
class Payment:
    """A payment that was credited. `parts` are what went back of it and did not return."""

    wallet_id: int
    name: str
    received: int
    tax: int
    movement: Movement
    parts: list[Part] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.received - sum(part.credit for part in self.parts)

    @property
    def left_tax(self) -> int:
        return self.tax - sum(part.tax for part in self.parts)

    def of_credit(self, credit: int) -> Part:
        """Tax in the share of all credit that is gone, halves up, less the tax that is gone."""
        gone = self.received - self.left + credit
        due = floor(Fraction(self.tax * gone, self.received) + Fraction(1, 2)) - (self.tax - self.left_tax)
        return Part(self, credit, min(max(due, 0), self.left_tax))

    def of_gross(self, gross: int) -> Part:
        """The same where the tax is in the amount. What is beyond the credit that is left is tax."""
        whole, gone = self.received + self.tax, self.received + self.tax - self.left - self.left_tax
        due = floor(Fraction(self.tax * (gone + gross), whole) + Fraction(1, 2)) - (self.tax - self.left_tax)
        tax = min(max(due, gross - self.left, 0), self.left_tax, gross)
        return Part(self, gross - tax, tax)


class Refunds:
    """What can be given back of each wallet, and what was."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.payments: list[Payment] = []
        self.transfers = 0

    def refundable(self, wallet_id: int) -> int:
        balances = self.books.purses[wallet_id].balances
        held = max(0, self.books.held(wallet_id) - balances["promotional"])
        unused = max(balances["paid"] - held, 0) // NANO
        return min(unused, sum(payment.left for payment in self.open_payments(wallet_id)))

    def open_payments(self, wallet_id: int) -> list[Payment]:
        """The newest first, without those that staff took back."""
        found = [each for each in self.payments if each.wallet_id == wallet_id]
        return [each for each in reversed(found) if not each.movement.is_without_effect and each.left > 0]

    def would_take_twice(self, movement: Movement) -> bool:
        """Whether undoing this takes a payment out of a wallet of which something went back."""
        for payment in self.payments:
            each: Movement | None = payment.movement
            takes = True
            while each is not None:
                if each is movement:
                    return takes and bool(payment.parts)
                each, takes = each.undone_by, not takes
        return False

    def take(self, wallet_id: int, cents: int) -> list[Part]:
        parts = []
        for payment in self.open_payments(wallet_id):
            taken = min(payment.left, cents)
            if taken:
                parts.append(payment.of_credit(taken))
                cents -= taken
        for part in parts:
            self.move([part])
        return parts

    def move(self, parts: Sequence[Part], *, is_back: bool = False) -> None:
        sign = -1 if is_back else 1
        for part in parts:
            (part.payment.parts.remove if is_back else part.payment.parts.append)(part)
            self.books.purses[part.payment.wallet_id].balances["paid"] -= sign * part.credit * NANO
            self.books.house["tax_payable"] -= sign * part.tax * NANO
            self.books.house["refunds_pending"] += sign * (part.credit + part.tax) * NANO
            self.transfers += part.credit > 0
