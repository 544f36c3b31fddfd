"""The rules of the state machine that give money back: asked for, made at Stripe, and returned."""

import uuid

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.ledger.machine import SEEN
from tests.ledger.model import Movement
from tests.ledger.money_rules import MoneyRules
from tests.ledger.refund_model import Part, Payment, Refunds
from wallet import acts, refunds
from wallet.models import Refund, TopUp
from wallet.stripe_api import StripeRefund
from wallet.topups.verdicts import Parked


class RefundRules(MoneyRules):
    """Refunds, in any order with all else that happens to a wallet."""

    def __init__(self) -> None:
        super().__init__()
        self.back = Refunds(self.books)
        self.given: list[tuple[Part, StripeRefund]] = []

    def credit(self, wallet_id: int, payment: str, amount: int, tax: int) -> None:
        super().credit(wallet_id, payment, amount, tax)
        if amount:
            cent = 10_000_000
            self.back.payments.append(
                Payment(wallet_id, payment, amount // cent, tax // cent, self.books.movements[-1])
            )

    def may(self, movement: Movement, amount: int, is_void: bool) -> bool:
        if not super().may(movement, amount, is_void):
            return False
        if self.back.would_take_twice(movement):
            SEEN["correction of what went back"] += 1
            return False
        return True

    @precondition(lambda self: self.back.payments)
    @rule(data=st.data())
    def correct_a_payment(self, data: st.DataObject) -> None:
        """Those of which something went back, where there are any; among all transfers they would be rare."""
        touched = [each for each in self.back.payments if each.parts]
        movement = data.draw(st.sampled_from(touched or self.back.payments)).movement
        while movement.undone_by is not None:
            movement = movement.undone_by
        transfer = self.transfer(movement)
        self.ask(movement, abs(movement.amount), lambda by: acts.correct(by, transfer))

    @property
    def other_transfers(self) -> int:
        return self.back.transfers

    @precondition(lambda self: self.back.payments)
    @rule(
        data=st.data(),
        share=st.sampled_from([1, 3, 3, 7, 10, 11]),
        outcome=st.sampled_from(["succeeded", "succeeded", "failed", "pending", "canceled", "given up"]),
    )
    def refund(self, data: st.DataObject, share: int, outcome: str) -> None:
        """A share of what is there, by a form that is sent twice; eleven tenths is more than that."""
        wallets = sorted({each.wallet_id for each in self.back.payments})
        wallet_id = data.draw(
            st.sampled_from([each for each in wallets if self.back.refundable(each)] or wallets)
        )
        there, wallet = self.back.refundable(wallet_id), self.wallet(wallet_id)
        assert refunds.overview(wallet).cents == there
        cents = there + 1 if share > 10 else there * share // 10
        if cents < 1 or cents > there:
            SEEN["too much"] += 1
            with pytest.raises(refunds.TooMuch):
                refunds.start(wallet, there + 1)
            return
        form = uuid.uuid4().hex
        request_id = refunds.start(wallet, cents, form)
        assert refunds.start(wallet, cents, form) == request_id
        parts = self.back.take(wallet_id, cents)
        rows = [self.row(part, request_id) for part in parts]
        assert Refund.objects.filter(request_id=request_id).count() == len(parts)
        if self.books.purses[wallet_id].is_suspended:
            assert refunds.cancel(wallet, request_id)
            assert not refunds.cancel(wallet, request_id)
            self.back.move(parts, is_back=True)
            SEEN["refund canceled"] += 1
            return
        for part, row in zip(parts, rows, strict=True):
            self.comes_to(part, row, outcome)

    def row(self, part: Part, request_id: uuid.UUID) -> Refund:
        row = Refund.objects.get(request_id=request_id, top_up__payment_intent_id=part.payment.name)
        assert (row.amount_cents, row.tax_cents) == (part.credit, part.tax)
        return row

    def comes_to(self, part: Part, row: Refund, outcome: str) -> None:
        SEEN[f"refund {outcome}"] += 1
        if outcome == "given up":
            for _ in range(2):
                refunds.give_up(row.pk, "Stripe refused.")
            self.back.move([part], is_back=True)
            return
        told = self.told(part, outcome, str(row.pk))
        for _ in range(2):
            assert refunds.record(told).pk == row.pk
        if outcome in ("failed", "canceled"):
            self.back.move([part], is_back=True)
        else:
            self.given.append((part, told))

    def told(self, part: Part, status: str, row_id: str | None = None) -> StripeRefund:
        name = f"re_{uuid.uuid4().hex}"
        return StripeRefund(name, status, part.credit + part.tax, "usd", None, part.payment.name, row_id)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), status=st.sampled_from(["failed", "canceled", "succeeded", "pending"]))
    def is_told_later(self, data: st.DataObject, status: str) -> None:
        """A refund may fail after it succeeded; it does not become pending again."""
        place = data.draw(st.integers(0, len(self.given) - 1))
        part, told = self.given[place]
        later = StripeRefund(told.id, status, told.amount, "usd", None, told.payment_intent_id, told.row_id)
        for _ in range(2):
            refunds.record(later)
        if status in ("failed", "canceled"):
            self.back.move([part], is_back=True)
            self.given.pop(place)
            SEEN["refund returned later"] += 1
        refunds.record(told)

    @precondition(lambda self: self.back.payments)
    @rule(data=st.data(), share=st.sampled_from([1, 5, 10]), fails=st.booleans())
    def refund_at_stripe(self, data: st.DataObject, share: int, fails: bool) -> None:
        payment = data.draw(st.sampled_from(self.back.payments))
        gross = (payment.left + payment.left_tax) * share // 10
        if not gross:
            return
        part = payment.of_gross(gross)
        told = self.told(part, "failed" if fails else "succeeded")
        if payment.movement.is_without_effect and not fails:
            SEEN["refund of what was corrected"] += 1
            with pytest.raises(Parked):
                refunds.record(told)
            return
        row, again = (refunds.record(told) for _ in range(2))
        assert row.pk == again.pk
        assert (row.amount_cents, row.tax_cents) == (part.credit, part.tax)
        assert row.top_up == TopUp.objects.get(payment_intent_id=payment.name)
        if not fails:
            self.back.move([part])
            self.given.append((part, told))
        SEEN["refund at Stripe that failed" if fails else "refund at Stripe"] += 1
