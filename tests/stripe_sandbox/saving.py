"""What the tests of saved cards have in common: a customer, a session that saves, a charge without a person."""

from typing import Any

import stripe

from tests.stripe_sandbox.process import Sandbox

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
    return client.v1.customers.create({"email": "alice@example.com"}).id


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
