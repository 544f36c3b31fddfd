"""How automatic top-up stands for a wallet, so that a page which is older than that is recognised. Reads only."""

import hashlib

from pricing.money import NANO_PER_CENT, usd
from wallet.models import AutoTopUp, SavedCard, Wallet


def name(wallet: Wallet) -> str:
    """Of what the owner has agreed to, and for which card. Another one once any of it is changed."""
    agreed = AutoTopUp.objects.filter(wallet=wallet).values_list(
        "is_on", "paused_for", "below_cents", "add_cents", "monthly_cents"
    )
    card = SavedCard.objects.filter(wallet=wallet).values_list("payment_method_id")
    return hashlib.sha256(repr((agreed.first(), card.first())).encode()).hexdigest()[:32]


def in_words(wallet: Wallet) -> str:
    """To follow "Automatic top-up"."""
    wish = AutoTopUp.objects.filter(wallet=wallet, is_on=True).first()
    if wish is None:
        return "is off"
    return "is paused" if wish.paused_for else f"is on, with {usd(wish.add_cents * NANO_PER_CENT)} a charge"
