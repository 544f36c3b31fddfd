"""Who a wallet is at Stripe. Owns wallet_stripecustomer.

A customer may be deleted there, by hand or because somebody asked for their data to go. Then the wallet gets another one at
the next need. Earlier ones are kept: what was paid by one of them is this wallet's all the same.
"""

import hashlib
from collections.abc import Callable

from django.db.models import F
from django.utils import timezone

from wallet import cards, stripe_api, wallets
from wallet.models import StripeCustomer, Wallet
from wallet.stripe_api import CustomerGone
from wallet.transactions import again_if_lost


def customer_of(wallet: Wallet) -> str:
    """Id of the customer, made at the first need. In parallel, Stripe gives one answer to one key, and one row is kept.

    Raises StripeUnavailable and StripeRefused.
    """
    known = current(wallet)
    if known is None:
        email = wallet.owner.email
        # With the address in the key a changed address is a new question, not a conflicting one; with the number of those
        # before, a deleted customer is not the answer once more.
        before = StripeCustomer.objects.filter(wallet=wallet).count()
        seed = f"{wallet.pk} {wallet.created_at.isoformat()} {email} {before}"
        key = f"customer-{wallet.pk}-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
        made = stripe_api.create_customer(email=email, wallet_id=wallet.pk, idempotency_key=key)
        StripeCustomer.objects.bulk_create(
            [StripeCustomer(wallet=wallet, customer_id=made)], ignore_conflicts=True
        )
        known = StripeCustomer.objects.get(wallet=wallet, gone_at=None)
    return known.customer_id


def ask_as[T](wallet: Wallet, ask: Callable[[str], T]) -> T:
    """Ask what names the wallet's customer; once more, as a new one, where Stripe has that one no more.

    The customer must be part of the idempotency key of `ask`, since it is another question then. Raises StripeUnavailable
    and StripeRefused.
    """
    customer_id = customer_of(wallet)
    try:
        return ask(customer_id)
    except CustomerGone:
        again_if_lost(lambda: gone(customer_id))
        return ask(customer_of(wallet))


def gone(customer_id: str) -> None:
    """Stripe has it no more, nor its card, so automatic top-ups stop. In the caller's transaction; again changes nothing.

    Locks the wallet's row.
    """
    customer = StripeCustomer.objects.get(pk=customer_id)
    wallets.lock(customer.wallet_id)
    left = StripeCustomer.objects.filter(pk=customer_id, gone_at=None).update(gone_at=timezone.now())
    if left:
        cards.removed(customer.wallet_id)


def current(wallet: Wallet) -> StripeCustomer | None:
    return StripeCustomer.objects.filter(wallet=wallet, gone_at=None).first()


def ids_of(wallet_id: int) -> list[str]:
    """Every customer that the wallet is or was, the newest first."""
    found = StripeCustomer.objects.filter(wallet=wallet_id).order_by(F("gone_at").desc(nulls_first=True))
    return list(found.values_list("customer_id", flat=True))
