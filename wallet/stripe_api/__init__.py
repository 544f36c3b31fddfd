"""Stripe, as the wallet speaks with it: the only package that imports its library.

Asks in plain values and answers in plain values, so that the rest of the wallet is written and tested without the
library's objects. Never called inside a database transaction. Objects come at the API version that the library pins,
whatever version an event was written in.
"""

from wallet.stripe_api.cards import (
    Card,
    Payment,
    SetupSession,
    card,
    charge_card,
    create_portal_session,
    create_setup_session,
    default_card,
    payment,
    payment_of_top_up,
    set_default_card,
    setup_session,
)
from wallet.stripe_api.client import (
    KEY_LIFE,
    PAGE_LIFE,
    CustomerGone,
    StripeBusy,
    StripeFailed,
    StripeRefused,
    StripeUnavailable,
    in_a_hurry,
)
from wallet.stripe_api.disputes import (
    DisputeMovement,
    StripeDispute,
    dispute,
    dispute_from,
    disputes_of_payment,
)
from wallet.stripe_api.refunds import (
    StripeRefund,
    create_refund,
    refund,
    refunds_of_charge,
    refunds_of_payment,
)
from wallet.stripe_api.sessions import (
    Session,
    create_customer,
    create_session,
    proof_of_payment,
    session,
    session_of_payment,
    sessions_of_customer,
)
from wallet.stripe_api.webhooks import NotStripe, read_event, signature_of

__all__ = [
    "KEY_LIFE",
    "PAGE_LIFE",
    "Card",
    "CustomerGone",
    "DisputeMovement",
    "NotStripe",
    "Payment",
    "Session",
    "SetupSession",
    "StripeBusy",
    "StripeDispute",
    "StripeFailed",
    "StripeRefund",
    "StripeRefused",
    "StripeUnavailable",
    "card",
    "charge_card",
    "create_customer",
    "create_portal_session",
    "create_refund",
    "create_session",
    "create_setup_session",
    "default_card",
    "dispute",
    "dispute_from",
    "disputes_of_payment",
    "in_a_hurry",
    "payment",
    "payment_of_top_up",
    "proof_of_payment",
    "read_event",
    "refund",
    "refunds_of_charge",
    "refunds_of_payment",
    "session",
    "session_of_payment",
    "sessions_of_customer",
    "set_default_card",
    "setup_session",
    "signature_of",
]
