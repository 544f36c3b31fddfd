"""Customers, saved cards, the portal, webhook endpoints and events."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conformance.conftest import until
from tests.stripe_sandbox.process import payment
from tests.stripe_sandbox.saving import charging, saving

BACK = "http://127.0.0.1:8000/wallet/"


def test_a_customer_is_read_and_changed(api: Any, customer: str) -> None:
    changed = api.customers.update(customer, {"name": "Alice", "metadata": {"wallet": "7"}})
    assert (changed.email, changed.name) == ("alice@example.com", "Alice")
    assert changed.metadata.to_dict() == {"made_by": "conformance", "wallet": "7"}
    assert api.customers.retrieve(customer).name == "Alice"


def test_a_deleted_customer_is_named_by_nothing_new(api: Any, customer: str) -> None:
    saved = api.payment_methods.attach("pm_card_visa", {"customer": customer})
    assert api.customers.delete(customer).deleted is True
    assert api.customers.retrieve(customer).to_dict() == {
        "id": customer,
        "object": "customer",
        "deleted": True,
    }
    with pytest.raises(stripe.InvalidRequestError) as changed:
        api.customers.update(customer, {"name": "Alice"})
    assert (changed.value.http_status, changed.value.code) == (404, "resource_missing")
    for create, given in (
        (api.checkout.sessions.create, payment(customer=customer)),
        (api.checkout.sessions.create, saving(customer)),
        (api.payment_intents.create, charging(customer, saved.id)),
        (api.billing_portal.sessions.create, {"customer": customer, "return_url": BACK}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            create(given)
        assert caught.value.code == "resource_missing"
    assert api.payment_methods.retrieve(saved.id).customer is None


def test_a_session_that_saves_a_card_counts_as_nothing_paid(api: Any, customer: str) -> None:
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    given = saving(customer, client_reference_id="7", expand=["setup_intent"])
    session = api.checkout.sessions.create(given, key)
    assert (session.mode, session.status, session.payment_status) == ("setup", "open", "no_payment_required")
    assert (session.amount_total, session.payment_intent) == (None, None)
    assert (session.customer, session.client_reference_id) == (customer, "7")
    assert session.url
    assert session.setup_intent.status == "requires_payment_method"
    assert session.setup_intent.metadata.to_dict() == {"wallet": "7"}
    assert api.checkout.sessions.create(given, key).id == session.id


def test_a_session_that_saves_a_card_is_expired(api: Any, customer: str) -> None:
    session = api.checkout.sessions.create(saving(customer))
    expired = api.checkout.sessions.expire(session.id)
    assert (expired.status, expired.payment_status, expired.url) == ("expired", "no_payment_required", None)


def test_a_page_saves_a_card(api: Any, customer: str, save: Callable[[str], None]) -> None:
    session = api.checkout.sessions.create(saving(customer))
    save(session.id)
    done = api.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]})
    assert (done.status, done.setup_intent.status) == ("complete", "succeeded")
    card = done.setup_intent.payment_method
    assert (card.type, card.customer, card.card.last4) == ("card", customer, "4242")


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
    assert api.customers.retrieve(customer).invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_methods.attach(saved.id, {"customer": customer})


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
    assert api.webhook_endpoints.delete(made.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.webhook_endpoints.retrieve(made.id)
    assert caught.value.code == "resource_missing"


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


def test_endpoints_come_in_pages(api: Any, endpoint: Any) -> None:
    other = api.webhook_endpoints.create(
        {"url": "https://example.com/2/", "enabled_events": ["charge.failed"]}
    )
    try:
        first = api.webhook_endpoints.list({"limit": 1})
        assert ([one.id for one in first.data], first.has_more) == ([other.id], True)
        rest = api.webhook_endpoints.list({"limit": 1, "starting_after": other.id})
        assert [one.id for one in rest.data] == [endpoint.id]
    finally:
        api.webhook_endpoints.delete(other.id)


@pytest.mark.parametrize(
    "given",
    [
        {"url": "nonsense", "enabled_events": ["charge.failed"]},
        {"url": "https://example.com/", "enabled_events": ["nonsense"]},
        {"url": "https://example.com/", "enabled_events": ["charge.failed"], "api_version": "2020-13-41"},
    ],
    ids=["address", "event", "version"],
)
def test_an_endpoint_of_nonsense_is_refused(api: Any, given: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.webhook_endpoints.create(given)
    assert caught.value.http_status == 400


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
