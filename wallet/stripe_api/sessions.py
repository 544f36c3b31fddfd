"""Customers, and the pages to pay on."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.conf import settings

from wallet.stripe_api.client import asking, in_turn, optional

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

# What a session is read with: its payment, and what the payer has of it.
EXPAND = ["payment_intent.latest_charge", "invoice"]
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """A Checkout Session as it is now. Amounts are in minor units of `currency`.

    `has_past` says that something of its payment was given back or is disputed.
    """

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
    charge_id: str | None = None
    receipt_url: str | None = None
    invoice_url: str | None = None
    has_past: bool = False


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
    """A page to pay `amount_cents` of USD on. The same key and arguments give the same session for at least a day.

    The operator's choices go along: Stripe Tax on top of the amount, promotion codes, invoices.
    """
    metadata = {"top_up_id": top_up_id}
    parameters: SessionCreateParams = {
        "mode": "payment",
        "customer": customer_id,
        "client_reference_id": top_up_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "line_items": [{"quantity": 1, "price_data": _price(amount_cents)}],
        "success_url": success_url,
        "cancel_url": cancel_url,
        "expires_at": expires_at,
        "expand": ["payment_intent"],
    }
    if settings.STRIPE_TAX:
        parameters["automatic_tax"] = {"enabled": True}
        # The customer has no address before it pays; Stripe refuses automatic tax without one of both.
        parameters["customer_update"] = {"address": "auto"}
    if settings.STRIPE_PROMOTION_CODES:
        parameters["allow_promotion_codes"] = True
    if settings.STRIPE_INVOICES:
        parameters["invoice_creation"] = {"enabled": True}
    with asking() as client:
        return read_session(
            client.v1.checkout.sessions.create(parameters, {"idempotency_key": idempotency_key})
        )


def session(session_id: str) -> Session:
    """Read a session again."""
    with asking() as client:
        return read_session(client.v1.checkout.sessions.retrieve(session_id, {"expand": EXPAND}))


def session_of_payment(payment_intent_id: str) -> Session | None:
    """The session that a payment was made through, if it was made through one."""
    with asking() as client:
        found = client.v1.checkout.sessions.list(
            {"payment_intent": payment_intent_id, "limit": 1, "expand": _of_each(EXPAND)}
        )
    return read_session(found.data[0]) if found.data else None


def sessions_of_customer(customer_id: str, *, since: datetime.datetime) -> list[Session]:
    """Pages to pay on that a customer was given since then, newest first; no more than MOST_LISTED of them."""
    with asking() as client:
        found = client.v1.checkout.sessions.list(
            {
                "customer": customer_id,
                "created": {"gte": int(since.timestamp())},
                "limit": 100,
                "expand": _of_each(EXPAND),
            }
        )
        listed: Iterator[Any] = found.auto_paging_iter()
        return [read_session(each) for each in islice(listed, MOST_LISTED) if each.mode == "payment"]


def proof_of_payment(payment_intent_id: str) -> tuple[str | None, str | None]:
    """The charge of a payment and the address of its receipt, for a payment that was made without a page."""
    with asking() as client:
        found = client.v1.payment_intents.retrieve(payment_intent_id, {"expand": ["latest_charge"]})
    return _charge(found)


def _of_each(names: list[str]) -> list[str]:
    return [f"data.{name}" for name in names]


def _price(amount_cents: int) -> Any:
    product = {"name": f"{settings.SITE_NAME} wallet top-up"}
    price = {"currency": "usd", "unit_amount": amount_cents, "product_data": product}
    if settings.STRIPE_TAX:
        product["tax_code"] = settings.STRIPE_TAX_CODE
        # On top: the amount that was asked for is the credit, whatever the tax.
        price["tax_behavior"] = "exclusive"
    return price


def _charge(intent: Any) -> tuple[str | None, str | None]:
    charge = None if intent is None or isinstance(intent, str) else optional(intent, "latest_charge")
    if charge is None or isinstance(charge, str):
        return charge, None
    return charge.id, charge.receipt_url


def has_past(charge: Any) -> bool:
    """Whether something of a charge, given with its values, was given back or is disputed."""
    return bool(optional(charge, "amount_refunded") or optional(charge, "disputed"))


def read_session(found: Any) -> Session:
    """The library's object in plain values; read with EXPAND it names the payment's state, charge and papers."""
    total = found.total_details
    intent = found.payment_intent
    presented = optional(found, "presentment_details")
    charge_id, receipt_url = _charge(intent)
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
        charge_id=charge_id,
        receipt_url=receipt_url,
        has_past=has_past(optional(intent, "latest_charge")),
        invoice_url=optional(optional(found, "invoice"), "hosted_invoice_url"),
    )
