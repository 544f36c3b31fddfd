"""The rules of the state machine that move money past calls, or close what it belongs to."""

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from accounts.audit import Instruction, Refused
from pricing.money import NANO_PER_CENT
from tests.ledger.machine import DOLLAR, SEEN, STAFF_LIMIT, Wallets
from tests.ledger.model import Movement
from tests.wallet.test_verdicts import PAID
from tokens import keys
from wallet import acts, suspensions, topups
from wallet.models import Proposal, TopUp, Transfer


class MoneyRules(Wallets):
    """Credit that is given, money that is paid, and what staff take back."""

    # Credit that is given

    @rule(data=st.data())
    def give_starter_credit(self, data: st.DataObject) -> None:
        self.starter_credit(self.a_wallet(data))

    @rule(data=st.data(), amount=st.sampled_from([1, 7_000_000, DOLLAR, STAFF_LIMIT, STAFF_LIMIT + 1]))
    def grant(self, data: st.DataObject, amount: int) -> None:
        wallet_id = self.a_wallet(data)
        self.ask(None, amount, lambda by: acts.give_credit(by, self.wallet(wallet_id), amount), wallet_id)

    # Money that is paid

    @rule(
        data=st.data(),
        cents=st.integers(100, 50_000),
        discount=st.sampled_from([0, 0, 30, 100]),
        tax=st.sampled_from([0, 0, 19]),
        before=st.sampled_from(["", "open", "expired"]),
        outcome=st.sampled_from(["paid", "paid", "paid", "other amount", "payment of another", "never"]),
    )
    def top_up(
        self, data: st.DataObject, cents: int, discount: int, tax: int, before: str, outcome: str
    ) -> None:
        """Stripe tells how it stands once or twice before it is paid, and again after."""
        wallet_id = self.a_wallet(data)
        row = TopUp.objects.create(
            wallet=self.wallet(wallet_id), amount_cents=cents, session_id=f"cs_{uuid.uuid4()}", state="open"
        )
        total = cents - discount + tax
        known = sorted(self.books.payments)
        payment = (
            data.draw(st.sampled_from(known)) if outcome == "payment of another" and known else f"pi_{row.pk}"
        )
        session = replace(
            PAID,
            id=str(row.session_id),
            client_reference_id=str(row.pk),
            top_up_id=str(row.pk),
            amount_subtotal=cents + (outcome == "other amount"),
            amount_discount=discount + (outcome == "other amount"),
            amount_tax=tax,
            amount_total=total,
            payment_intent_id=payment if total else None,
            payment_status="paid" if total else "no_payment_required",
        )
        if before:
            unpaid = replace(session, status=before, payment_status="unpaid", payment_intent_id=None)
            topups.record(row.pk, unpaid)
        if outcome != "never":
            is_credit = outcome != "other amount" and payment not in self.books.payments
            told = [topups.record(row.pk, session).top_up.state for _ in range(2)]
            assert set(told) == {"paid" if is_credit else "parked"}
            SEEN[told[0]] += 1
            if is_credit and total:
                self.credit(wallet_id, payment, (cents - discount) * NANO_PER_CENT, tax * NANO_PER_CENT)

    def credit(self, wallet_id: int, payment: str, amount: int, tax: int) -> None:
        self.books.payments.add(payment)
        self.books.house.update({"stripe_clearing": -tax, "tax_payable": tax})
        if amount:
            pk = Transfer.objects.get(reference=f"top_up:{payment}").pk
            self.books.move(Movement(wallet_id, "paid", "stripe_clearing", amount, pk=pk))

    # Money that is taken back

    @precondition(lambda self: self.books.movements)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        movement = data.draw(st.sampled_from(self.books.movements))
        transfer = self.transfer(movement)
        self.ask(movement, abs(movement.amount), lambda by: acts.correct(by, transfer))

    @precondition(lambda self: self.books.movements)
    @rule(data=st.data(), part=st.sampled_from([1, 2, 3]))
    def void_grant(self, data: st.DataObject, part: int) -> None:
        granted = [m for m in self.books.movements if m.is_grant] or self.books.movements
        movement = data.draw(st.sampled_from(granted))
        transfer, amount = self.transfer(movement), max(abs(movement.amount) * part // 2, 1)
        self.ask(movement, amount, lambda by: acts.void_grant(by, transfer, amount), is_void=True)

    def ask(
        self,
        movement: Movement | None,
        amount: int,
        act: Callable[[Instruction], Transfer | Proposal],
        wallet_id: int = 0,
        is_void: bool = False,
    ) -> None:
        """Staff act on the books, and send the form twice; beyond the limit of all they did alone it waits for another."""
        by = Instruction(self.keeper, "The machine wants it.", uuid.uuid4())
        if movement is not None and not self.may(movement, amount, is_void):
            SEEN["refused to staff"] += 1
            with pytest.raises(Refused):
                act(by)
            return
        done, again = act(by), act(by)
        assert done.pk == again.pk
        if isinstance(done, Proposal):
            assert self.moved_alone + amount > STAFF_LIMIT
            self.proposals.append((done, movement, amount))
        else:
            self.moved_alone += amount
            assert self.moved_alone <= STAFF_LIMIT
            self.act_was_done(movement, amount, wallet_id, done)

    def may(self, movement: Movement, amount: int, is_void: bool) -> bool:
        return self.books.can_withdraw(movement, amount) if is_void else self.books.can_undo(movement)

    def act_was_done(
        self, movement: Movement | None, amount: int, wallet_id: int, transfer: Transfer
    ) -> None:
        if movement is None:
            new = self.books.move(Movement(wallet_id, "promotional", "promotions", amount, is_grant=True))
        else:
            new = self.books.undo(movement, amount)
        new.pk = transfer.pk
        assert transfer.amount_nanousd == amount

    @precondition(lambda self: self.proposals)
    @rule(data=st.data(), approves=st.booleans())
    def decide(self, data: st.DataObject, approves: bool) -> None:
        """What was possible when it was asked for may be no more; then it waits on."""
        place = data.draw(st.integers(0, len(self.proposals) - 1))
        proposal, movement, amount = self.proposals[place]
        by = Instruction(self.second, "The second person decides.", uuid.uuid4())
        if not approves:
            acts.decline(by, proposal)
        elif movement is not None and not self.may(movement, amount, proposal.code == "grant_void"):
            SEEN["no longer possible"] += 1
            with pytest.raises(Refused):
                acts.approve(by, proposal)
            return
        else:
            done, again = acts.approve(by, proposal), acts.approve(by, proposal)
            assert done.pk == again.pk
            self.act_was_done(movement, amount, proposal.wallet_id or 0, done)
        self.proposals.pop(place)
        SEEN["approved" if approves else "declined"] += 1

    # Wallets and keys that are closed

    @rule(data=st.data())
    def suspend_or_reinstate(self, data: st.DataObject) -> None:
        wallet_id = self.a_wallet(data)
        purse = self.books.purses[wallet_id]
        by = Instruction(self.keeper, "The machine wants it.", uuid.uuid4())
        act, other = suspensions.suspend, suspensions.reinstate
        if purse.is_suspended:
            act, other = other, act
        with pytest.raises(Refused):
            other(replace(by, request_id=uuid.uuid4()), self.wallet(wallet_id))
        act(by, self.wallet(wallet_id))
        act(by, self.wallet(wallet_id))
        purse.is_suspended = not purse.is_suspended

    @precondition(lambda self: len(self.books.revoked) < 2)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        key_id = self.a_key(data)
        keys.revoke(self.keys[key_id].key)
        self.books.revoked.add(key_id)
