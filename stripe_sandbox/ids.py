"""Identifiers that look like Stripe's: a prefix that names the kind, then random letters and digits."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits

PREFIXES = {
    "balance_transaction": "txn_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "customer": "cus_",
    "event": "evt_",
    "item": "li_",
    "payment_intent": "pi_",
    "payment_method": "pm_",
    "price": "price_",
    "product": "prod_",
    "request": "req_",
    "webhook_endpoint": "we_",
}
LENGTHS = {"checkout.session": 58, "customer": 14, "product": 14, "request": 14}


def new_id(kind: str) -> str:
    return PREFIXES[kind] + random_text(LENGTHS.get(kind, 24))


def random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
