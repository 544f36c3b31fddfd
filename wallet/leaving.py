"""What a wallet has to say when its owner closes their account. Moves no money: whatever is left stays where it is.

Never locks funds, so that calls go on being admitted and recorded meanwhile: usage only lowers what is left. A payment
page is opened under the lock of the wallet's row (topups.py), so none is opened once the account is being closed.
"""

from django.db.models import Value
from django.db.models.functions import Replace

from accounts.models import User
from accounts.signals import Standing
from pricing.money import NANO_PER_CENT, usd
from wallet import ledger
from wallet.models import TopUp, Wallet

ADDRESS_GONE = "(address deleted)"


def standing(owner: User, *, lock: bool) -> Standing | None:
    """What is left, and why it stands in the way: bought money of a cent or more, or a payment that is under way."""
    found = Wallet.objects.filter(owner=owner)
    wallet = (found.select_for_update(no_key=True) if lock else found).first()
    if wallet is None:
        return None
    funds = ledger.balances(wallet)
    facts = (
        ("Bought and not used", usd(funds.paid_nanousd)),
        ("Given, lost with the account", usd(max(funds.promotional_nanousd, 0))),
    )
    return Standing(facts, (*_unused(funds.paid_nanousd), *_unfinished(wallet)))


def forget(owner: User, addresses: tuple[str, ...]) -> None:
    """Take these addresses out of what Stripe answered about top-ups. Who the wallet is at Stripe stays, to reconcile by."""
    for address in addresses:
        TopUp.objects.filter(wallet__owner=owner, problem__contains=address).update(
            problem=Replace("problem", Value(address), Value(ADDRESS_GONE))
        )


def _unused(paid_nanousd: int) -> list[str]:
    if paid_nanousd < NANO_PER_CENT:
        return []
    return [
        f"{usd(paid_nanousd)} of what was paid is not used yet. It is refundable: use it, or have it given back."
    ]


def _unfinished(wallet: Wallet) -> list[str]:
    states = TopUp.objects.filter(wallet=wallet, state__in=TopUp.UNFINISHED).values_list("state", flat=True)
    if TopUp.State.PENDING in states:
        return ["A bank has not said yet whether it pays for a top-up. That can take some days."]
    if states:
        return ["A payment page is still open. It closes by itself within an hour or so of being opened."]
    return []
