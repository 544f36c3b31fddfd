"""Customers, saved cards, the portal, webhook endpoints and events."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conformance.conftest import until

BACK = "http://127.0.0.1:8000/wallet/"


def test_a_customer_is_read_and_changed(api: Any, customer: str) -> None:
    changed = api.customers.update(customer, {"name": "Alice", "metadata": {"wallet": "7"}})
    assert (changed.email, changed.name) == ("alice@example.com", "Alice")
    assert changed.metadata.to_dict() == {"made_by": "conformance", "wallet": "7"}
    assert api.customers.retrieve(customer).name == "Alice"


def test_a_session_that_saves_a_card_counts_as_nothing_paid(api: Any, customer: str) -> None:
    given = {
        "mode": "setup",
        "customer": customer,
        "currency": "usd",
        "allowed_payment_method_types": ["card"],
        "success_url": BACK,
        "cancel_url": BACK,
    }
    session = api.checkout.sessions.create(given)
    assert (session.mode, session.status, session.payment_status) == ("setup", "open", "no_payment_required")
    assert session.amount_total is None
    assert session.payment_intent is None
    assert session.url


def test_a_card_is_saved_listed_and_removed(api: Any, customer: str) -> None:
    saved = api.payment_methods.attach("pm_card_visa", {"customer": customer})
    assert (saved.type, saved.card.brand, saved.card.last4, saved.customer) == (
        "card",
        "visa",
        "4242",
        customer,
    )
    listed = api.customers.payment_methods.list(customer).data
    assert [one.id for one in listed] == [saved.id]
    settings = {"invoice_settings": {"default_payment_method": saved.id}}
    default = api.customers.update(customer, settings).invoice_settings.default_payment_method
    assert default == saved.id
    assert api.payment_methods.detach(saved.id).customer is None
    assert api.customers.payment_methods.list(customer).data == []


def test_the_portal_has_an_address(api: Any, customer: str) -> None:
    session = api.billing_portal.sessions.create({"customer": customer, "return_url": BACK})
    assert (session.customer, session.return_url) == (customer, BACK)
    assert session.url.startswith("http")


@pytest.fixture
def endpoint(api: Any) -> Iterator[Any]:
    given = {
        "url": "https://example.com/conformance/",
        "enabled_events": ["checkout.session.completed", "checkout.session.async_payment_succeeded"],
        "api_version": stripe.api_version,
    }
    made = api.webhook_endpoints.create(given)
    yield made
    api.webhook_endpoints.delete(made.id)


def test_an_endpoint_tells_its_secret_once(api: Any, endpoint: Any) -> None:
    assert endpoint.secret.startswith("whsec_")
    assert (endpoint.status, endpoint.api_version) == ("enabled", stripe.api_version)
    read = api.webhook_endpoints.retrieve(endpoint.id)
    assert "secret" not in read
    assert read.enabled_events == endpoint.enabled_events
    assert endpoint.id in [one.id for one in api.webhook_endpoints.list({"limit": 100}).data]


def test_an_endpoint_can_be_seen_to_be_disabled(api: Any, endpoint: Any) -> None:
    assert api.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    changed = api.webhook_endpoints.update(endpoint.id, {"enabled_events": ["charge.succeeded"]})
    assert (changed.status, changed.enabled_events) == ("disabled", ["charge.succeeded"])


def test_a_payment_is_told_by_events(api: Any, charge: Callable[..., Any]) -> None:
    intent = charge()

    def told() -> Any:
        events = api.events.list({"types": ["payment_intent.succeeded", "charge.succeeded"], "limit": 100})
        return [one for one in events.data if intent.id in str(one.data.object)][:2]

    found = until(lambda: told() if len(told()) == 2 else None)
    assert {one.type for one in found} == {"payment_intent.succeeded", "charge.succeeded"}
    [event] = [one for one in found if one.type == "payment_intent.succeeded"]
    assert (event.livemode, event.data.object["amount_received"]) == (False, 100)
    assert api.events.retrieve(event.id).type == event.type
