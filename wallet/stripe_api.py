"""The only module that imports `stripe`: small typed calls, plain answers, two kinds of error.

Never called inside a database transaction: a lock must not wait for Stripe. Every call that makes something takes an
idempotency key that its caller derived from a row of ours. Answers are read at the API version that the library pins,
whatever version an event was written in.
"""

import functools
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import stripe
from django.conf import settings
from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stripe.params.checkout import SessionCreateParams

stripe.enable_telemetry = False

SIGNATURE_TOLERANCE_S = 300
# How long a call waits for another one with its idempotency key; one that Stripe answers at all is over by then.
TURN_S = 6.0
# The status of an idempotency key in use; the library leaves the code out of this error.
CONFLICT = 409
# Unlike a refusal, these say nothing about the request itself; the same one may succeed later.
_AWAY = (
    stripe.APIConnectionError,
    stripe.APIError,
    stripe.AuthenticationError,
    stripe.PermissionError,
    stripe.RateLimitError,
)


class StripeUnavailable(Exception):
    """Stripe did not answer, failed, or did not accept our key. Nobody knows whether the call had an effect."""


class StripeBusy(StripeUnavailable):
    """Stripe is at work on another call with the same idempotency key; its answer will be ours too."""


class StripeRefused(Exception):
    """Stripe understood the call and will not do it. `code` is Stripe's, such as `resource_missing`."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotStripe(Exception):
    """A webhook that Stripe did not sign, or that is no event."""


@dataclass(frozen=True, slots=True)
class Session:
    """A Checkout Session as it is now. Amounts are in minor units of `currency`."""

    id: str
    status: str | None
    payment_status: str
    mode: str
    currency: str | None
    amount_subtotal: int | None
    amount_total: int | None
    amount_tax: int
    amount_discount: int
    livemode: bool
    client_reference_id: str | None
    top_up_id: str | None
    payment_intent_id: str | None
    payment_intent_status: str | None
    presentment_amount: int | None
    presentment_currency: str | None
    is_converted: bool
    url: str | None


def _in_turn[**P, T](ask: "Callable[P, T]") -> "Callable[P, T]":
    """Wait for a call of the same idempotency key, up to TURN_S: a form sent twice is one wish, not an error."""

    @functools.wraps(ask)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        over = time.monotonic() + TURN_S
        while True:
            try:
                return ask(*args, **kwargs)
            except StripeBusy:
                if time.monotonic() > over:
                    raise
                time.sleep(0.1)

    return asked


@_in_turn
def create_customer(*, email: str, wallet_id: int, idempotency_key: str) -> str:
    """Id of the customer that stands for a wallet."""
    with _asking() as client:
        customer = client.v1.customers.create(
            {"email": email, "metadata": {"wallet_id": str(wallet_id)}}, {"idempotency_key": idempotency_key}
        )
    return customer.id


@_in_turn
def create_session(
    *,
    customer_id: str,
    top_up_id: str,
    amount_cents: int,
    expires_at: int,
    success_url: str,
    cancel_url: str,
    idempotency_key: str,
) -> Session:
    """A page to pay `amount_cents` of USD on. The same key and arguments give the same session for at least a day."""
    price: Any = {
        "currency": "usd",
        "unit_amount": amount_cents,
        "product_data": {"name": f"{settings.SITE_NAME} wallet top-up"},
    }
    metadata = {"top_up_id": top_up_id}
    parameters: SessionCreateParams = {
        "mode": "payment",
        "customer": customer_id,
        "client_reference_id": top_up_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": success_url,
        "cancel_url": cancel_url,
        "expires_at": expires_at,
        "expand": ["payment_intent"],
    }
    with _asking() as client:
        return _session(client.v1.checkout.sessions.create(parameters, {"idempotency_key": idempotency_key}))


def session(session_id: str, *, impatient: bool = False) -> Session:
    """Read a session again; `impatient` where a person waits for a page that can do without the answer."""
    with _asking(impatient) as client:
        return _session(client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]}))


def session_of_payment(payment_intent_id: str) -> Session | None:
    """The session that a payment was made through, if it was made through one."""
    with _asking() as client:
        found = client.v1.checkout.sessions.list(
            {"payment_intent": payment_intent_id, "limit": 1, "expand": ["data.payment_intent"]}
        )
    return _session(found.data[0]) if found.data else None


def read_event(body: bytes, signature: str | None) -> dict[str, Any]:
    """The event in a webhook's body, once its signature is verified. Raises NotStripe with a sentence.

    A signature is good for 300 seconds to either side; the library by itself takes any time to come.
    """
    try:
        stripe.Webhook.construct_event(
            body, signature, settings.STRIPE_WEBHOOK_SECRET, tolerance=SIGNATURE_TOLERANCE_S
        )
        event = json.loads(body, parse_constant=_refuse_constant)
    except stripe.SignatureVerificationError as error:
        raise NotStripe("The signature does not fit this body and this time.") from error
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise NotStripe("This is not an event.") from error
    if _signed_at(signature or "") > time.time() + SIGNATURE_TOLERANCE_S:
        raise NotStripe("The signature was made in the future.")
    return cast("dict[str, Any]", event)


def _signed_at(signature: str) -> int:
    # The same `t` that construct_event took: the first.
    return int(next(item[2:] for item in signature.split(",") if item.startswith("t=")))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


@contextmanager
def _asking(impatient: bool = False) -> "Iterator[stripe.StripeClient]":
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("Stripe is never called inside a database transaction")
    client = _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, impatient)
    try:
        yield client
    except _AWAY as error:
        away = StripeBusy if error.http_status == CONFLICT else StripeUnavailable
        raise away(_words(error)) from error
    except stripe.StripeError as error:
        raise StripeRefused(_words(error), error.code or "") from error


@functools.lru_cache(maxsize=4)
def _client(key: str, base: str, impatient: bool) -> stripe.StripeClient:
    timeout = (2, 4) if impatient else (3, 6)
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        max_network_retries=0 if impatient else 1,
        http_client=stripe.RequestsClient(timeout=timeout),
    )


def _words(error: stripe.StripeError) -> str:
    return (error.user_message or str(error))[:500]


def _session(found: Any) -> Session:
    total = found.total_details
    intent = found.payment_intent
    presented = _optional(found, "presentment_details")
    return Session(
        id=found.id,
        status=found.status,
        payment_status=found.payment_status,
        mode=found.mode,
        currency=found.currency,
        amount_subtotal=found.amount_subtotal,
        amount_total=found.amount_total,
        amount_tax=total.amount_tax if total else 0,
        amount_discount=total.amount_discount if total else 0,
        livemode=found.livemode,
        client_reference_id=found.client_reference_id,
        top_up_id=_optional(found.metadata, "top_up_id") if found.metadata else None,
        payment_intent_id=intent and (intent if isinstance(intent, str) else intent.id),
        payment_intent_status=None if intent is None or isinstance(intent, str) else intent.status,
        presentment_amount=presented and presented.presentment_amount,
        presentment_currency=presented and presented.presentment_currency,
        is_converted=_optional(found, "currency_conversion") is not None,
        url=found.url,
    )


def _optional(found: Any, name: str) -> Any:
    return getattr(found, name, None)
