"""What a search of staff names: a wallet by one of the things that stand for it, a row's number, an id."""

import uuid

from django.db.models import Q

from accounts.models import User
from wallet.models import StripeCustomer, TopUp, Wallet

MOST_WALLETS = 50


def wallets_for(term: str) -> list[int]:
    """Wallets that a search names: by number, by the start of the owner's address, or by a Stripe id; at most 50."""
    if as_number(term) is not None:
        return [int(term)]
    if "@" in term:
        owners = User.objects.filter(email__startswith=term.lower())
        return list(Wallet.objects.filter(owner__in=owners).values_list("pk", flat=True)[:MOST_WALLETS])
    if term.startswith("cus_"):
        return list(StripeCustomer.objects.filter(customer_id=term).values_list("wallet_id", flat=True))
    paid = TopUp.objects.filter(Q(session_id=term) | Q(payment_intent_id=term))
    return list(paid.values_list("wallet_id", flat=True)[:MOST_WALLETS])


def names_a_wallet(term: str) -> bool:
    """Whether it is a wallet's number, its owner's address or its customer at Stripe, and no id of a payment."""
    return "@" in term or term.startswith("cus_") or as_number(term) is not None


def as_number(term: str) -> int | None:
    """The term as a row's number, if it is one."""
    return int(term) if term.isascii() and term.isdecimal() and len(term) <= 18 else None


def as_uuid(term: str) -> uuid.UUID | None:
    """The term as an id, if it is one."""
    try:
        return uuid.UUID(term)
    except ValueError:
        return None
