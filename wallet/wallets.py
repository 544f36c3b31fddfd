"""Opening wallets, finding them through their owner, and holding one while its owner starts something in it."""

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied

from wallet import ledger
from wallet.models import Funds, Wallet

if TYPE_CHECKING:
    from accounts.models import User


class Suspended(Exception):
    """The wallet is suspended: nothing is started that would pay into it. What is paid already is credited all the same."""


def wallet_of(user: "User") -> Wallet:
    """The person's wallet; opened at the first need, once however many ask at the same time."""
    wallet = Wallet.objects.filter(owner=user).first()
    if wallet is None:
        Wallet.objects.bulk_create([Wallet(owner=user)], ignore_conflicts=True)
        wallet = Wallet.objects.get(owner=user)
    return wallet


def funds_of(user: "User") -> Funds:
    """Balances and held total of the person's wallet, in one query; it is opened where there is none."""
    return Funds.objects.filter(wallet__owner=user).first() or ledger.balances(wallet_of(user))


def lock(wallet_id: int) -> Wallet:
    """Hold the wallet's row until the transaction ends, before `ledger.lock`. Calls go on beside it."""
    return Wallet.objects.select_for_update(no_key=True).get(pk=wallet_id)


def lock_to_pay_in(wallet_id: int) -> Wallet:
    """The same for who starts something that pays into it. Raises PermissionDenied and Suspended."""
    locked = require_owner(lock(wallet_id))
    if locked.suspended_at is not None:
        raise Suspended
    return locked


def require_owner(locked: Wallet) -> Wallet:
    """The locked wallet. Raises PermissionDenied where its owner went between the click and the lock."""
    if not locked.owner.is_active:
        raise PermissionDenied("The account was closed, or its owner locked out, in this moment.")
    return locked
