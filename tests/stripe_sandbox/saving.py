"""What the tests of saved cards have in common: a customer, a session that saves, a charge without a person."""

import contextlib
from typing import Any

import stripe

from tests.stripe_sandbox.process import Sandbox, payment

BACK = "http://127.0.0.1:8000/wallet/cards/"


def saving(customer: str | None, **changes: Any) -> Any:
    """What the wallet sends to have a card saved."""
    return {
        "mode": "setup",
        **({"customer": customer} if customer else {}),
        "allowed_payment_method_types": ["card"],
        "success_url": BACK + "?session={CHECKOUT_SESSION_ID}",
        "cancel_url": BACK,
        "setup_intent_data": {"metadata": {"wallet": "7"}},
        **changes,
    }


def charging(customer: str, method: str, **changes: Any) -> Any:
    """What the wallet sends for an automatic top-up of five dollars."""
    return {
        "amount": 500,
        "currency": "usd",
        "customer": customer,
        "payment_method": method,
        "off_session": True,
        "confirm": True,
        "allowed_payment_method_types": ["card"],
        "description": "Automatic top-up",
        "metadata": {"top_up": "9"},
        **changes,
    }


def customer_of(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({"email": "charlie@example.com"}).id


def card(sandbox: Sandbox, customer: str, name: str = "visa") -> str:
    """The id of a test card that was saved by command."""
    return str(sandbox.command(f"customers/{customer}/cards", card=name)["payment_method"]["id"])


def told(client: stripe.StripeClient, customer: str) -> list[str]:
    """The kinds of event about this customer and what it owns, oldest first."""
    found: list[str] = []
    for event in client.v1.events.list({"limit": 100}).data:
        data = event.data.to_dict()
        owner = data["object"].get("customer") or data.get("previous_attributes", {}).get("customer")
        if customer in (owner, data["object"]["id"]):
            found.append(event.type)
    return found[::-1]


def save_and_charge(sandbox: Sandbox) -> None:
    """One of everything that can happen to saved cards, and to sessions whose total moves."""
    client: Any = sandbox.client()
    customer = customer_of(client)
    session = client.v1.checkout.sessions.create(saving(customer)).id
    sandbox.command(f"sessions/{session}/setup", card="declined")
    sandbox.command(f"sessions/{session}/setup", card="authenticates", authentication="fails")
    sandbox.command(f"sessions/{session}/setup", card="authenticates")
    client.v1.checkout.sessions.create(saving(None))
    [asking] = client.v1.payment_methods.list({"customer": customer}).data
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": asking.id}})
    waiting = charging(customer, asking.id, off_session=False)
    client.v1.payment_intents.cancel(client.v1.payment_intents.create(waiting).id)
    for name in ("visa", "declines_later", "processing"):
        given = charging(customer, card(sandbox, customer, name))
        with contextlib.suppress(stripe.CardError):
            client.v1.payment_intents.create(given)
    gone = card(sandbox, customer, "amex")
    sandbox.command(f"payment_methods/{gone}/renew")
    client.v1.payment_methods.detach(gone)
    features = {"payment_method_update": {"enabled": True}}
    client.v1.billing_portal.configurations.create({"features": features})
    _totals(sandbox, customer)


def _totals(sandbox: Sandbox, customer: str) -> None:
    more: Any = {"customer": customer, "customer_update": {"address": "auto"}}
    given = payment(automatic_tax={"enabled": True}, allow_promotion_codes=True, **more)
    sessions = sandbox.client().v1.checkout.sessions
    for choices in ({}, {"country": "DE", "currency": "jpy"}, {"coupon": "SAVE25"}, {"coupon": "FREE100"}):
        key = sessions.create(given).id
        sandbox.command(f"sessions/{key}/pay", method="card", **choices)
    sessions.create(payment(discounts=[{"coupon": "SAVE25"}]))
