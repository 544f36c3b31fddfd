"""What a wallet has to say when its owner closes their account. Moves no money: whatever is left stays where it is.

Never takes `ledger.lock`, nor the row of funds, so that calls go on being admitted and recorded meanwhile: usage only
lowers what is left. What raises it takes the lock of the wallet's row first, as closing does: a payment page is opened
under it (topups.py), and staff pay in under it (acts.py). So neither happens once the account is being closed.
"""

from django.db.models import Value
from django.db.models.functions import Replace

from accounts.audit import Refused
from accounts.models import User
from accounts.signals import Standing
from pricing.money import NANO_PER_CENT, usd
from wallet import auto_topups, cards, disputes, ledger
from wallet.models import Refund, TopUp, Wallet

ADDRESS_GONE = "(address deleted)"


def standing(owner: User, *, lock: bool) -> Standing | None:
    """What is left, and why it stands in the way: bought money of a cent or more, a payment or refund that is under way,
    or one that a bank disputes, after which money may still move.
    """
    found = Wallet.objects.filter(owner=owner)
    wallet = (found.select_for_update(no_key=True) if lock else found).first()
    if wallet is None:
        return None
    funds = ledger.balances(wallet)
    facts = (
        _bought(funds.paid_nanousd),
        ("Given, lost with the account", usd(max(funds.promotional_nanousd, 0))),
    )
    return Standing(
        facts, (*_unused(funds.paid_nanousd), *_unfinished(wallet), *_refunds(wallet), *_disputed(wallet))
    )


def check_open(wallet: Wallet) -> None:
    """Raises Refused if the owner's account is closed; nobody else can close it until the transaction ends.

    Locks the wallet's row. Must run inside a transaction, before `ledger.lock`.
    """
    locked = Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
    # Read after the lock, by a statement of its own: it sees what the closing wrote that had the lock before.
    if locked.owner.closed_at is not None:
        raise Refused("The account of this wallet is closed, so nothing is paid into it any more.")


def forget(owner: User, addresses: tuple[str, ...]) -> None:
    """Take these addresses out of what Stripe answered about top-ups and refunds; forget the card, and charge it no more.

    Who the wallet is at Stripe stays, to reconcile by.
    """
    for address in addresses:
        for rows in (TopUp.objects, Refund.objects):
            rows.filter(wallet__owner=owner, problem__contains=address).update(
                problem=Replace("problem", Value(address), Value(ADDRESS_GONE))
            )
    # After the top-ups, in the order in which the end of a charge locks them.
    auto_topups.end(owner)
    cards.forget(owner)


def _bought(paid_nanousd: int) -> tuple[str, str]:
    """Calls that cost more than was left, or a bank that took a payment back, leave less than nothing."""
    if paid_nanousd < 0:
        return "Owed for calls or to a bank", usd(-paid_nanousd)
    return "Bought and not used", usd(paid_nanousd)


def _unused(paid_nanousd: int) -> list[str]:
    if paid_nanousd < NANO_PER_CENT:
        return []
    return [
        f"{usd(paid_nanousd)} of what was paid is not used yet. It is refundable: use it, or have it given back."
    ]


def _unfinished(wallet: Wallet) -> list[str]:
    if auto_topups.under_way(wallet) is not None:
        return [
            "Your saved card is being charged. That takes some minutes, or days where a bank takes its time."
        ]
    states = TopUp.objects.filter(wallet=wallet, state__in=TopUp.UNFINISHED).values_list("state", flat=True)
    if TopUp.State.PENDING in states:
        return ["A bank has not said yet whether it pays for a top-up. That can take some days."]
    if states:
        return ["A payment page is still open. It closes by itself within an hour or so of being opened."]
    return []


def _refunds(wallet: Wallet) -> list[str]:
    """What is on its way may come back into the wallet, whose owner then has to be there."""
    if not Refund.objects.filter(wallet=wallet, state__in=Refund.UNFINISHED).exists():
        return []
    return ["A refund is under way. That can take some days."]


def _disputed(wallet: Wallet) -> list[str]:
    if not disputes.undecided(wallet).exists():
        return []
    return ["A bank questions one of the payments, and has not decided yet. That can take some months."]
