"""A customer that was deleted: gone for whoever names it, still named by what was paid."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import Receiver, Sandbox, payment, until
from tests.stripe_sandbox.saving import BACK, card, charging, customer_of, saving


@pytest.fixture
def paid(shared: Sandbox, client: Any) -> Any:
    """A session that a customer paid."""
    session = client.v1.checkout.sessions.create(payment(customer=customer_of(client)))
    shared.command(f"sessions/{session.id}/pay", method="card")
    return client.v1.checkout.sessions.retrieve(session.id)


def test_it_reads_as_deleted_and_is_listed_no_more(client: Any) -> None:
    customer = client.v1.customers.create({"email": "deleted@example.com"}).id
    gone = {"id": customer, "object": "customer", "deleted": True}
    assert client.v1.customers.delete(customer).to_dict() == gone
    assert client.v1.customers.retrieve(customer).to_dict() == gone
    expanded = {"expand": ["invoice_settings.default_payment_method"]}
    assert client.v1.customers.retrieve(customer, expanded).to_dict() == gone
    assert client.v1.customers.list({"email": "deleted@example.com"}).data == []


def test_its_event_shows_who_it_was(own: Sandbox, receiver: Receiver) -> None:
    client: Any = own.client()
    customer = client.v1.customers.create({"email": "deleted@example.com"}).id
    client.v1.customers.delete(customer)
    [event] = until(lambda: receiver.events("customer.deleted"))
    assert event["data"]["object"]["id"] == customer
    assert event["data"]["object"]["email"] == "deleted@example.com"


REQUESTS: dict[str, Callable[[Any, str, str], Any]] = {
    "update": lambda v1, key, used: v1.customers.update(key, {"name": "Charlie"}),
    "delete": lambda v1, key, used: v1.customers.delete(key),
    "session": lambda v1, key, used: v1.checkout.sessions.create(payment(customer=key)),
    "setup session": lambda v1, key, used: v1.checkout.sessions.create(saving(key)),
    "portal": lambda v1, key, used: v1.billing_portal.sessions.create({"customer": key, "return_url": BACK}),
    "charge": lambda v1, key, used: v1.payment_intents.create(charging(key, used)),
    "attach": lambda v1, key, used: v1.payment_methods.attach("pm_card_visa", {"customer": key}),
    "cards": lambda v1, key, used: v1.customers.payment_methods.list(key),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_names_it_is_refused(shared: Sandbox, client: Any, name: str) -> None:
    customer = customer_of(client)
    used = card(shared, customer)
    client.v1.customers.delete(customer)
    with pytest.raises(stripe.InvalidRequestError, match=f"No such customer: '{customer}'") as caught:
        REQUESTS[name](client.v1, customer, used)
    assert caught.value.code == "resource_missing"
    assert caught.value.http_status == (404 if name in ("update", "delete", "cards") else 400)


def test_its_cards_are_nobodys(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    used = card(shared, customer)
    client.v1.customers.delete(customer)
    assert client.v1.payment_methods.retrieve(used).customer is None
    with pytest.raises(stripe.InvalidRequestError, match="was detached"):
        client.v1.payment_methods.attach(used, {"customer": customer_of(client)})


def test_its_payments_still_name_it_and_can_be_refunded(client: Any, paid: Any) -> None:
    client.v1.customers.delete(paid.customer)
    expanded = client.v1.checkout.sessions.retrieve(
        paid.id, {"expand": ["customer", "payment_intent.customer"]}
    )
    assert expanded.customer.deleted is True
    assert expanded.payment_intent.customer.id == paid.customer
    refund = client.v1.refunds.create({"payment_intent": paid.payment_intent})
    assert (refund.status, refund.amount) == ("succeeded", 100)
    assert [one.id for one in client.v1.checkout.sessions.list({"customer": paid.customer})] == [paid.id]


@pytest.mark.parametrize("method", ["card", "bank"])
def test_its_open_session_can_still_be_paid(shared: Sandbox, client: Any, method: str) -> None:
    customer = customer_of(client)
    more: Any = {
        "customer_update": {"address": "auto"},
        "automatic_tax": {"enabled": True},
        "invoice_creation": {"enabled": True},
        "payment_intent_data": {"setup_future_usage": "off_session"},
    }
    session = client.v1.checkout.sessions.create(payment(customer=customer, **more)).id
    client.v1.customers.delete(customer)
    shared.command(f"sessions/{session}/pay", method=method, country="DE", settle="now")
    paid = client.v1.checkout.sessions.retrieve(session)
    assert (paid.payment_status, paid.amount_total, paid.invoice) == ("paid", 119, None)


def test_its_portal_is_closed(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    url = client.v1.billing_portal.sessions.create({"customer": customer, "return_url": BACK}).url
    client.v1.customers.delete(customer)
    reply = shared.request("GET", url.removeprefix(shared.url))
    assert reply.status == 404
    assert "This link has expired" in reply.text
