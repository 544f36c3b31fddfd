"""Undoing a wrong transfer: a new one of the same amount between the same accounts, the other way round.

The wrong transfer stays and is named by the new one, which can happen once: `corrects` is unique. A correction may take
a balance below zero, and may itself be corrected.
"""

from collections.abc import Mapping
from typing import Any

from accounts.audit import Refused
from wallet import ledger
from wallet.models import Code, Transfer


def check(transfer: Transfer) -> None:
    """Raises Refused if the transfer was corrected or withdrawn; nobody else can until the transaction ends.

    Locks the transfer's row. Must run inside a transaction.
    """
    Transfer.objects.select_for_update(no_key=True, of=("self",)).get(pk=transfer.pk)
    earlier = Transfer.objects.filter(corrects=transfer).first()
    if earlier is not None:
        raise Refused(f"{earlier.get_code_display()} {earlier.pk} has undone this transfer already.")


def undone_by(transfer: Transfer) -> Transfer | None:
    """The last correction, where it leaves the transfer without effect: one that was itself corrected does not."""
    last, is_undone = transfer, False
    while (following := Transfer.objects.filter(corrects=last).first()) is not None:
        last, is_undone = following, not is_undone
    return last if is_undone else None


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
