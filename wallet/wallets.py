"""Opening wallets and finding them through their owner."""

from typing import TYPE_CHECKING

from wallet.models import Wallet

if TYPE_CHECKING:
    from accounts.models import User


def wallet_of(user: "User") -> Wallet:
    """The person's wallet; opened at the first need, once however many ask at the same time."""
    wallet = Wallet.objects.filter(owner=user).first()
    if wallet is None:
        Wallet.objects.bulk_create([Wallet(owner=user)], ignore_conflicts=True)
        wallet = Wallet.objects.get(owner=user)
    return wallet
