"""Identifiers that look like Stripe's: a prefix that names the kind, then random letters and digits."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits

PREFIXES = {
    "billing_portal.configuration": "bpc_",
    "billing_portal.session": "bps_",
    "balance_transaction": "txn_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "customer": "cus_",
    "dispute": "du_",
    "event": "evt_",
    "invoice": "in_",
    "item": "li_",
    "payment_intent": "pi_",
    "payment_method": "pm_",
    "payout": "po_",
    "price": "price_",
    "product": "prod_",
    "refund": "re_",
    "request": "req_",
    "setup_intent": "seti_",
    "webhook_endpoint": "we_",
}
LENGTHS = {"checkout.session": 58, "customer": 14, "product": 14, "request": 14}


def new_id(kind: str) -> str:
    return PREFIXES[kind] + random_text(LENGTHS.get(kind, 24))


def kind_of(key: str) -> str:
    """The kind that an identifier's prefix names, or "" where it names none."""
    return next((kind for kind, prefix in PREFIXES.items() if key.startswith(prefix)), "")


def random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
