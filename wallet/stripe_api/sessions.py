"""Customers, and the pages to pay on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

from wallet.stripe_api.client import asking, in_turn, optional

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams


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


@in_turn
def create_customer(*, email: str, wallet_id: int, idempotency_key: str) -> str:
    """Id of the customer that stands for a wallet."""
    with asking() as client:
        customer = client.v1.customers.create(
            {"email": email, "metadata": {"wallet_id": str(wallet_id)}}, {"idempotency_key": idempotency_key}
        )
    return customer.id


@in_turn
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
    with asking() as client:
        return _session(client.v1.checkout.sessions.create(parameters, {"idempotency_key": idempotency_key}))


def session(session_id: str, *, impatient: bool = False) -> Session:
    """Read a session again; `impatient` where a person waits for a page that can do without the answer."""
    with asking(impatient) as client:
        return _session(client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]}))


def session_of_payment(payment_intent_id: str) -> Session | None:
    """The session that a payment was made through, if it was made through one."""
    with asking() as client:
        found = client.v1.checkout.sessions.list(
            {"payment_intent": payment_intent_id, "limit": 1, "expand": ["data.payment_intent"]}
        )
    return _session(found.data[0]) if found.data else None


def _session(found: Any) -> Session:
    total = found.total_details
    intent = found.payment_intent
    presented = optional(found, "presentment_details")
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
        top_up_id=optional(found.metadata, "top_up_id") if found.metadata else None,
        payment_intent_id=intent and (intent if isinstance(intent, str) else intent.id),
        payment_intent_status=None if intent is None or isinstance(intent, str) else intent.status,
        presentment_amount=presented and presented.presentment_amount,
        presentment_currency=presented and presented.presentment_currency,
        is_converted=optional(found, "currency_conversion") is not None,
        url=found.url,
    )
