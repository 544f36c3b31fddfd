"""The books as a bookkeeper reads them: postings and balances in dollars."""

import uuid
from dataclasses import replace
from decimal import Decimal

from accounts.audit import Instruction
from accounts.models import User
from tests.wallet.test_verdicts import PAID
from wallet import ledger, topups
from wallet.models import TopUp, Transfer, Wallet


def dollars(nanousd: int) -> Decimal:
    return Decimal(nanousd).scaleb(-9)


def balances(wallet: Wallet) -> tuple[Decimal, Decimal]:
    """Promotional and paid."""
    funds = ledger.balances(wallet)
    return dollars(funds.promotional_nanousd), dollars(funds.paid_nanousd)


def holding(wallet: Wallet) -> tuple[Decimal, Decimal, Decimal]:
    """Balance, held, available."""
    funds = ledger.balances(wallet)
    return dollars(funds.balance_nanousd), dollars(funds.held_nanousd), dollars(funds.available_nanousd)


def amounts(*texts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(text) for text in texts)


def postings(wallet: Wallet) -> list[tuple[str, str, Decimal, str]]:
    """Debit, credit, amount and code of every transfer of the wallet, oldest first."""
    found = (
        Transfer.objects.filter(wallet=wallet)
        .order_by("pk")
        .select_related("debit_account", "credit_account")
    )
    return [(t.debit_account.kind, t.credit_account.kind, dollars(t.amount_nanousd), t.code) for t in found]


def paid_top_up(wallet: Wallet, *, cents: int) -> None:
    """A top-up that Stripe says is paid."""
    row = TopUp.objects.create(
        wallet=wallet, amount_cents=cents, session_id=f"cs_{uuid.uuid4()}", state="open"
    )
    session = replace(
        PAID,
        id=str(row.session_id),
        client_reference_id=str(row.pk),
        top_up_id=str(row.pk),
        amount_subtotal=cents,
        amount_total=cents,
        payment_intent_id=f"pi_{row.pk}",
    )
    assert topups.record(row.pk, session).top_up.state == TopUp.State.PAID


def staff_wants(staff: User) -> Instruction:
    return Instruction(staff, "It was the wrong person.", uuid.uuid4())
