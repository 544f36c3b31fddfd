"""Who a wallet is at Stripe. Owns wallet_stripecustomer."""

import hashlib

from wallet import stripe_api
from wallet.models import StripeCustomer, Wallet


def customer_of(wallet: Wallet) -> str:
    """Id of the customer, made at the first need. In parallel, Stripe gives one answer to one key, and one row is kept.

    Raises StripeUnavailable and StripeRefused.
    """
    known = StripeCustomer.objects.filter(wallet=wallet).first()
    if known is None:
        email = wallet.owner.email
        # With the address in the key, a changed address is a new question, not a conflicting one.
        seed = f"{wallet.pk} {wallet.created_at.isoformat()} {email}"
        key = f"customer-{wallet.pk}-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
        made = stripe_api.create_customer(email=email, wallet_id=wallet.pk, idempotency_key=key)
        StripeCustomer.objects.bulk_create(
            [StripeCustomer(wallet=wallet, customer_id=made)], ignore_conflicts=True
        )
        known = StripeCustomer.objects.get(wallet=wallet)
    return known.customer_id
