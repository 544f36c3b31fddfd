"""Saved cards: the page to save one on, what Stripe knows of it, charging it, and the page where its owner removes it."""

import datetime
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import stripe

from wallet.stripe_api.client import (
    MISSING,
    CustomerGone,
    StripeRefused,
    asking,
    asking_customer,
    in_turn,
    optional,
)
from wallet.stripe_api.sessions import has_past

if TYPE_CHECKING:
    from stripe.params import PaymentIntentCreateParams
    from stripe.params.checkout import SessionCreateParams

# Payments of one customer that are looked through for one of ours, newest first.
MOST_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class Card:
    """A payment method as it is now; `customer_id` is None once it was removed."""

    id: str
    type: str
    customer_id: str | None
    brand: str
    last_four: str
    expires: datetime.date | None


@dataclass(frozen=True, slots=True)
class SetupSession:
    """A Checkout Session in setup mode. It is never money, whatever its payment status reads."""

    id: str
    status: str | None
    mode: str
    livemode: bool
    customer_id: str | None
    client_reference_id: str | None
    card_setup_id: str | None
    setup_status: str | None
    card: Card | None
    url: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A PaymentIntent as it is now. Amounts are in minor units of `currency`; `code` says why it was declined.

    `has_past` says that something of it was given back or is disputed.
    """

    id: str
    status: str
    amount: int
    amount_received: int
    currency: str
    livemode: bool
    customer_id: str | None
    top_up_id: str | None
    charge_id: str | None
    receipt_url: str | None
    code: str = ""
    message: str = ""
    has_past: bool = False


@in_turn
def create_setup_session(
    *,
    customer_id: str,
    card_setup_id: str,
    expires_at: int,
    success_url: str,
    cancel_url: str,
    idempotency_key: str,
) -> SetupSession:
    """A page to save a card on. The same key and arguments give the same session for at least a day."""
    metadata = {"card_setup_id": card_setup_id}
    parameters: SessionCreateParams = {
        "mode": "setup",
        "customer": customer_id,
        "client_reference_id": card_setup_id,
        "metadata": metadata,
        "setup_intent_data": {"metadata": metadata},
        "allowed_payment_method_types": ["card"],
        "success_url": success_url,
        "cancel_url": cancel_url,
        "expires_at": expires_at,
        "expand": ["setup_intent.payment_method"],
    }
    with asking() as client:
        return _setup(client.v1.checkout.sessions.create(parameters, {"idempotency_key": idempotency_key}))


def setup_session(session_id: str) -> SetupSession:
    """Read it again, with the card that was saved."""
    with asking() as client:
        return _setup(
            client.v1.checkout.sessions.retrieve(session_id, {"expand": ["setup_intent.payment_method"]})
        )


def card(payment_method_id: str) -> Card | None:
    """The payment method as it is now, or None where Stripe has none of that id."""
    with asking() as client:
        try:
            return _card(client.v1.payment_methods.retrieve(payment_method_id))
        except stripe.InvalidRequestError as error:
            if error.code == MISSING:
                return None
            raise


def default_card(customer_id: str) -> Card | None:
    """What the customer charges by default, as their page at Stripe shows it; None without one. Raises CustomerGone."""
    with asking_customer() as client:
        customer = client.v1.customers.retrieve(
            customer_id, {"expand": ["invoice_settings.default_payment_method"]}
        )
        if optional(customer, "deleted"):
            raise CustomerGone(f"Customer {customer_id} is deleted.")
        if not customer.invoice_settings:
            return None
        found = customer.invoice_settings.default_payment_method
        return _card(found) if found else None


@in_turn
def set_default_card(*, customer_id: str, payment_method_id: str, idempotency_key: str) -> None:
    """Have the customer's page at Stripe show this one as the card that is charged. Raises CustomerGone."""
    with asking_customer() as client:
        client.v1.customers.update(
            customer_id,
            {"invoice_settings": {"default_payment_method": payment_method_id}},
            {"idempotency_key": idempotency_key},
        )


@in_turn
def charge_card(
    *, customer_id: str, payment_method_id: str, amount_cents: int, top_up_id: str, idempotency_key: str
) -> Payment:
    """Charge a saved card while nobody is there. A decline is an answer, not an error.

    The same key and arguments give the same payment for at least a day, declined or not.
    """
    parameters: PaymentIntentCreateParams = {
        "amount": amount_cents,
        "currency": "usd",
        "customer": customer_id,
        "payment_method": payment_method_id,
        "allowed_payment_method_types": ["card"],
        "off_session": True,
        "confirm": True,
        "description": "Automatic wallet top-up",
        "metadata": {"top_up_id": top_up_id},
        "expand": ["latest_charge"],
    }
    with asking() as client:
        try:
            return _payment(
                client.v1.payment_intents.create(parameters, {"idempotency_key": idempotency_key})
            )
        except stripe.CardError as error:
            declined = error.error and optional(error.error, "payment_intent")
            if not declined:
                raise
            return _payment(declined)


def payment(payment_intent_id: str) -> Payment:
    """Read a payment again."""
    with asking() as client:
        return _payment(client.v1.payment_intents.retrieve(payment_intent_id, {"expand": ["latest_charge"]}))


def payment_of_top_up(customer_id: str, top_up_id: str) -> Payment | None:
    """The customer's payment that names this top-up, if Stripe ever made one; a customer it has not has none."""
    with asking() as client:
        try:
            listed = client.v1.payment_intents.list(
                {"customer": customer_id, "limit": 100, "expand": ["data.latest_charge"]}
            )
        except stripe.InvalidRequestError as error:
            if error.code == MISSING:
                return None
            raise
        for found in islice(listed.auto_paging_iter(), MOST_LOOKED_AT):
            if found.metadata and optional(found.metadata, "top_up_id") == top_up_id:
                return _payment(found)
    return None


@in_turn
def create_portal_session(*, customer_id: str, return_url: str, idempotency_key: str) -> str:
    """Address of Stripe's page where the customer sees and removes their cards; good for some minutes."""
    with asking() as client:
        made = client.v1.billing_portal.sessions.create(
            {"customer": customer_id, "return_url": return_url}, {"idempotency_key": idempotency_key}
        )
    if not made.url:
        raise StripeRefused("Stripe made a portal session without an address.")
    return made.url


def _setup(found: Any) -> SetupSession:
    intent = found.setup_intent if found.mode == "setup" else None
    method = intent.payment_method if intent and not isinstance(intent, str) else None
    return SetupSession(
        id=found.id,
        status=found.status,
        mode=found.mode,
        livemode=found.livemode,
        customer_id=_id(found.customer),
        client_reference_id=found.client_reference_id,
        card_setup_id=optional(found.metadata, "card_setup_id") if found.metadata else None,
        setup_status=None if intent is None or isinstance(intent, str) else intent.status,
        card=_card(method) if method else None,
        url=found.url,
    )


def _card(found: Any) -> Card:
    details = optional(found, "card")
    return Card(
        id=found.id,
        type=found.type,
        customer_id=_id(found.customer),
        brand=(details and optional(details, "brand")) or "",
        last_four=(details and optional(details, "last4")) or "",
        expires=_last_day(details.exp_year, details.exp_month) if details else None,
    )


def _payment(found: Any) -> Payment:
    charge = found.latest_charge
    error = optional(found, "last_payment_error")
    return Payment(
        id=found.id,
        status=found.status,
        amount=found.amount,
        amount_received=found.amount_received,
        currency=found.currency,
        livemode=found.livemode,
        customer_id=_id(found.customer),
        top_up_id=optional(found.metadata, "top_up_id") if found.metadata else None,
        charge_id=_id(charge),
        receipt_url=None if charge is None or isinstance(charge, str) else optional(charge, "receipt_url"),
        code=(error and optional(error, "code")) or "",
        message=(error and optional(error, "message")) or "",
        has_past=has_past(charge),
    )


def _id(found: Any) -> str | None:
    return found if found is None or isinstance(found, str) else found.id


def _last_day(year: int, month: int) -> datetime.date:
    following = datetime.date(year + month // 12, month % 12 + 1, 1)
    return following - datetime.timedelta(days=1)
