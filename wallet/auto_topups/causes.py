"""Why a balance is low. Reads only.

Money that was given back, or that a bank took back, is no reason to charge the card again: that would undo what its owner
just asked for. So they are asked first.
"""

from django.db.models import Sum

from pricing.money import NANO_PER_CENT
from wallet import ledger
from wallet.models import AutoTopUp, Code, Transfer, Wallet

BACK = [Code.REFUND, Code.REFUND_REVERSAL, Code.DISPUTE, Code.DISPUTE_REVERSAL, Code.TAX]
WENT_BACK = (
    "Your balance is low because money was given back, or taken back by a bank, so your card was not charged. Switch"
    " it on again if it shall be."
)


def went_back(wallet: Wallet, wish: AutoTopUp) -> bool:
    """Whether the balance was below the limit, with no call in between, once money had gone back after the owner agreed.

    What was paid in since then, or a new agreement, ends that.
    """
    last = Transfer.objects.filter(wallet=wallet).exclude(code=Code.USAGE).order_by("-pk").first()
    if last is None or last.code not in BACK or (wish.agreed_at and last.created_at < wish.agreed_at):
        return False
    used = Transfer.objects.filter(wallet=wallet, code=Code.USAGE, pk__gt=last.pk)
    used_nanousd = used.aggregate(sum=Sum("amount_nanousd"))["sum"] or 0
    after_it_nanousd = ledger.balances(wallet).balance_nanousd + used_nanousd
    return bool(after_it_nanousd < wish.below_cents * NANO_PER_CENT)
