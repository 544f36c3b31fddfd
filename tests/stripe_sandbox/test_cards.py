"""Saving a card: the page of a setup session, setup intents and payment methods, and what is told of them."""

import re
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import Reply, Sandbox
from tests.stripe_sandbox.saving import BACK, card, customer_of, saving, told


def press(sandbox: Sandbox, address: str, button: str) -> Reply:
    """Press the button with this id, as it stands on the page."""
    text = sandbox.request("GET", address, Authorization="").text
    found = re.search(rf'id="{button}"\s+data-action="{button}"\s+name="(\w+)"\s+value="(\w+)"', text)
    assert found, text
    return sandbox.request("POST", address, {found[1]: found[2]}, Authorization="")


def test_a_card_is_saved_on_the_page(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    session = client.v1.checkout.sessions.create(saving(customer))
    assert (session.status, session.payment_status) == ("open", "no_payment_required")
    assert (session.amount_total, session.payment_intent) == (None, None)
    intent = client.v1.setup_intents.retrieve(session.setup_intent)
    assert (intent.status, intent.usage, intent.metadata.to_dict()) == (
        "requires_payment_method",
        "off_session",
        {"wallet": "7"},
    )
    reply = press(shared, f"/c/pay/{session.id}", "save-visa")
    assert (reply.status, reply.headers["Location"]) == (303, f"{BACK}?session={session.id}")
    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]})
    assert (done.status, done.payment_status, done.url) == ("complete", "no_payment_required", None)
    method = done.setup_intent.payment_method
    assert (method.customer, method.card.brand, method.card.last4) == (customer, "visa", "4242")
    assert (method.card.exp_month, method.card.exp_year) == (12, 2034)
    assert [one.id for one in client.v1.payment_methods.list({"customer": customer})] == [method.id]
    assert [one.id for one in client.v1.customers.payment_methods.list(customer)] == [method.id]
    assert client.v1.customers.payment_methods.retrieve(customer, method.id).id == method.id
    assert [one.id for one in client.v1.setup_intents.list({"customer": customer})] == [intent.id]
    assert told(client, customer) == [
        "customer.created",
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
        "checkout.session.completed",
    ]


def test_pressing_twice_saves_once(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    session = client.v1.checkout.sessions.create(saving(customer))
    press(shared, f"/c/pay/{session.id}", "save-visa")
    assert shared.request("POST", f"/c/pay/{session.id}", {"card": "visa"}).status == 303
    assert len(client.v1.payment_methods.list({"customer": customer}).data) == 1
    assert "The card was saved" in shared.request("GET", f"/c/pay/{session.id}").text


def test_a_refused_card_leaves_the_session_open(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    session = client.v1.checkout.sessions.create(saving(customer))
    reply = press(shared, f"/c/pay/{session.id}", "save-declined")
    assert (reply.status, "Your card was declined. No card was saved." in reply.text) == (200, True)
    intent = client.v1.setup_intents.retrieve(session.setup_intent)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert (intent.last_setup_error.code, intent.last_setup_error.payment_method.card.last4) == (
        "card_declined",
        "0002",
    )
    assert client.v1.payment_methods.list({"customer": customer}).data == []
    assert told(client, customer)[-1] == "setup_intent.setup_failed"
    assert press(shared, f"/c/pay/{session.id}", "save-visa").status == 303
    assert client.v1.setup_intents.retrieve(session.setup_intent).last_setup_error is None


@pytest.mark.parametrize(
    ("button", "status", "last"),
    [
        ("authenticate", "complete", "checkout.session.completed"),
        ("authenticate-fails", "open", "setup_intent.setup_failed"),
    ],
)
def test_the_bank_asks_the_person(shared: Sandbox, client: Any, button: str, status: str, last: str) -> None:
    customer = customer_of(client)
    session = client.v1.checkout.sessions.create(saving(customer))
    address = f"/c/pay/{session.id}"
    assert "Your bank wants to know" in press(shared, address, "save-authenticates").text
    assert client.v1.setup_intents.retrieve(session.setup_intent).status == "requires_action"
    assert client.v1.payment_methods.list({"customer": customer}).data == []
    press(shared, address, button)
    assert client.v1.checkout.sessions.retrieve(session.id).status == status
    assert told(client, customer)[-1] == last
    reply = shared.request("POST", f"/_sandbox/sessions/{session.id}/authenticate", {"outcome": "fails"})
    assert reply.status == 400


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"line_items": [{"quantity": 1}]}, "line_items"),
        ({"payment_intent_data": {"description": "x"}}, "payment_intent_data"),
        ({"allowed_payment_method_types": ["us_bank_account"]}, "allowed_payment_method_types"),
        ({"payment_method_types": ["card"]}, "payment_method_types"),
        ({"setup_intent_data": {"metdata": {}, "description": "x", "on_behalf_of": "x"}},
         "setup_intent_data[on_behalf_of]"),
        ({"currency": "eur"}, "currency"),
    ],
)  # fmt: skip
def test_a_bad_setup_session_is_refused_by_name(client: Any, given: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(saving(None, **given))
    assert caught.value.param == param


def test_a_setup_session_needs_a_currency_or_its_methods(client: Any) -> None:
    bare = saving(None)
    del bare["allowed_payment_method_types"]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(bare)
    assert caught.value.param == "currency"
    assert client.v1.checkout.sessions.create(bare | {"currency": "usd"}).currency == "usd"


def test_a_setup_session_is_not_paid_and_a_payment_saves_nothing(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(saving(None))
    reply = shared.request("POST", f"/_sandbox/sessions/{session.id}/pay", {"method": "card"})
    assert reply.status == 400
    client.v1.checkout.sessions.expire(session.id)
    reply = shared.request("POST", f"/_sandbox/sessions/{session.id}/setup", {"card": "visa"})
    assert (reply.status, "status of `expired`" in reply.text) == (400, True)
    assert "No card was saved" in shared.request("GET", f"/c/pay/{session.id}").text


def test_test_ids_make_a_new_card_each_time(client: Any) -> None:
    customer = customer_of(client)
    made = [client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id for _ in range(2)]
    assert len(set(made)) == 2
    assert client.v1.payment_methods.attach(made[0], {"customer": customer}).customer == customer
    assert told(client, customer).count("payment_method.attached") == 2
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        client.v1.payment_methods.attach(made[0], {"customer": customer_of(client)})
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        client.v1.payment_methods.attach("pm_no", {"customer": customer})


def test_a_card_that_refuses_to_be_attached(client: Any) -> None:
    customer = customer_of(client)
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_methods.attach("pm_card_chargeDeclinedInsufficientFunds", {"customer": customer})
    assert (caught.value.http_status, caught.value.code) == (402, "card_declined")
    error: Any = caught.value.error
    assert error.decline_code == "insufficient_funds"
    assert client.v1.payment_methods.list({"customer": customer}).data == []
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    assert method.card.last4 == "0341"


def test_a_detached_card_is_gone_for_ever(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    method = card(shared, customer)
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method}})
    expanded = {"expand": ["invoice_settings.default_payment_method"]}
    found = client.v1.customers.retrieve(customer, expanded)
    assert found.invoice_settings.default_payment_method.card.last4 == "4242"
    assert client.v1.payment_methods.detach(method).customer is None
    assert client.v1.customers.retrieve(customer).invoice_settings.default_payment_method is None
    assert told(client, customer)[-2:] == ["payment_method.detached", "customer.updated"]
    methods = client.v1.payment_methods
    for verb, given in ((methods.detach, {}), (methods.attach, {"customer": customer})):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            verb(method, given)
        assert caught.value.code == "payment_method_unexpected_state"


def test_only_an_own_card_is_the_default(shared: Sandbox, client: Any) -> None:
    alice, bob = customer_of(client), customer_of(client)
    theirs = card(shared, bob)
    for wanted in (theirs, "pm_no"):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.customers.update(alice, {"invoice_settings": {"default_payment_method": wanted}})
        assert caught.value.param == "invoice_settings[default_payment_method]"
    assert client.v1.customers.retrieve(alice).invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        client.v1.customers.payment_methods.retrieve(alice, theirs)


def test_the_network_renews_a_card(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    method = card(shared, customer, "expires_later")
    shared.command(f"payment_methods/{method}/renew", last4="4343", exp_year=2041)
    found = client.v1.payment_methods.retrieve(method)
    assert (found.card.last4, found.card.exp_year) == ("4343", 2041)
    event = client.v1.events.list({"type": "payment_method.automatically_updated", "limit": 1}).data[0]
    assert event.data.to_dict()["previous_attributes"] == {"card": {"last4": "1117", "exp_year": 2034}}


def test_the_account_can_be_read(client: Any) -> None:
    account = client.v1.accounts.retrieve_current()
    assert (account.charges_enabled, account.default_currency) == (True, "usd")
