"""Stripe, as the wallet speaks with it: the only package that imports its library.

Asks in plain values and answers in plain values, so that the rest of the wallet is written and tested without the
library's objects. Never called inside a database transaction. Objects come at the API version that the library pins,
whatever version an event was written in.
"""

from wallet.stripe_api.client import StripeBusy, StripeRefused, StripeUnavailable
from wallet.stripe_api.sessions import (
    Session,
    create_customer,
    create_session,
    proof_of_payment,
    session,
    session_of_payment,
    sessions_of_customer,
)
from wallet.stripe_api.webhooks import NotStripe, read_event

__all__ = [
    "NotStripe",
    "Session",
    "StripeBusy",
    "StripeRefused",
    "StripeUnavailable",
    "create_customer",
    "create_session",
    "proof_of_payment",
    "read_event",
    "session",
    "session_of_payment",
    "sessions_of_customer",
]
