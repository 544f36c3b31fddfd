"""Undoing a wrong transfer: a new one of the same amount between the same accounts, the other way round.

The wrong transfer stays and is named by the new one, which can happen once: `corrects` is unique. A correction may take
a balance below zero, and may itself be corrected. Never corrected is what follows from Stripe: the transfers of refunds
and disputes, its fees and payouts, and the credit or tax of a payment of which something went back.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import F

from accounts.audit import Refused
from pricing.money import NANO_PER_CENT, usd
from wallet import ledger, wallets
from wallet.models import Code, Refund, TopUp, Transfer

# What the details of a transfer name where it says what happened at Stripe, or is to happen there.
FOLLOWED = {"refund": "refund", "dispute": "dispute", "balance_transaction": "balance transaction"}


def check(transfer: Transfer) -> None:
    """Raises Refused if it was corrected or withdrawn, or can't be; nobody can change that until the transaction ends.

    Locks the row of the wallet whose payment it is of, then the transfer's. Must run inside a transaction, before
    `ledger.lock`.
    """
    first, is_restored = _origin(transfer)
    top_up = _payment(first)
    if top_up is not None:
        # As everybody does who takes from a payment, so that of a correction and a refund the second sees the first.
        wallets.lock(top_up.wallet_id)
    Transfer.objects.select_for_update(no_key=True, of=("self",)).get(pk=transfer.pk)
    earlier = Transfer.objects.filter(corrects=transfer).first()
    if earlier is not None:
        raise Refused(f"{earlier.get_code_display()} {earlier.pk} has undone this transfer already.")
    if not is_restored and (obstacle := _obstacle(first, top_up)):
        raise Refused(obstacle)


def undone_by(transfer: Transfer) -> Transfer | None:
    """The last correction, where it leaves the transfer without effect: one that was itself corrected does not."""
    last, is_undone = transfer, False
    while (following := Transfer.objects.filter(corrects=last).first()) is not None:
        last, is_undone = following, not is_undone
    return last if is_undone else None


def is_undone(top_up: TopUp) -> bool:
    """Whether staff took the credit of this payment back, or its tax."""
    references = [f"{code.value}:{top_up.payment_intent_id}" for code in (Code.TOP_UP, Code.TAX)]
    return any(undone_by(each) is not None for each in Transfer.objects.filter(reference__in=references))


def pays_in(transfer: Transfer) -> bool:
    """Whether undoing this transfer pays into a wallet: it took something out of one."""
    return transfer.debit_account.wallet_id is not None


def reverse(transfer: Transfer, *, reference: str, details: Mapping[str, Any]) -> Transfer:
    """Post the correction inside the caller's transaction. Raises Refused. Who may is decided in wallet/acts.py."""
    check(transfer)
    return ledger.post(
        code=Code.CORRECTION,
        reference=reference,
        debit=transfer.credit_account,
        credit=transfer.debit_account,
        amount_nanousd=transfer.amount_nanousd,
        details=details,
        corrects=transfer,
    )


def _origin(transfer: Transfer) -> tuple[Transfer, bool]:
    """What this transfer corrects in the end, or itself; and whether undoing it would bring that into effect again."""
    first, is_restored = transfer, False
    while first.corrects is not None:
        first, is_restored = first.corrects, not is_restored
    return first, is_restored


def _payment(first: Transfer) -> TopUp | None:
    """The top-up whose credit or tax it is."""
    if first.code not in (Code.TOP_UP, Code.TAX):
        return None
    return TopUp.objects.filter(payment_intent_id=first.reference.partition(":")[2]).first()


def _obstacle(first: Transfer, top_up: TopUp | None) -> str:
    """Why it can't be undone, and what to do instead; or nothing."""
    for key, what in FOLLOWED.items():
        if key in first.details:
            return (
                f"It says what becomes of {what} {first.details[key]}, which is decided at Stripe. What is undone there is"
                " booked by itself; to make up for it, grant credit."
            )
    if top_up is not None and (gone := ", ".join(_gone(top_up))):
        return (
            f"Of this payment went back already: {gone}. Taking it back by a correction too would take that twice. Undo"
            " those instead, where they are wrong: a refund by canceling it, a dispute by evidence."
        )
    return ""


def _gone(top_up: TopUp) -> Iterator[str]:
    """What went back of a payment or is about to, with its tax."""
    for refund in top_up.refunds.exclude(state__in=Refund.RETURNED).order_by("created_at"):
        yield f"refund {refund.refund_id or refund.pk} of {usd(refund.amount_nanousd + refund.tax_nanousd)}"
    for dispute in top_up.disputes.filter(withdrawn_cents__gt=F("reinstated_cents")).order_by("opened_at"):
        cents = dispute.withdrawn_cents - dispute.reinstated_cents
        yield f"dispute {dispute.pk} of {usd(cents * NANO_PER_CENT)}"
