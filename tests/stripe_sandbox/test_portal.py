"""The customer portal: its page, by plain HTTP, and what is told of what a customer does there."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from tests.stripe_sandbox.process import Reply, Sandbox
from tests.stripe_sandbox.saving import BACK, card, customer_of, told
from tests.stripe_sandbox.test_cards import press


def opened(client: Any, customer: str, **changes: Any) -> str:
    """The address of the page, without its host."""
    given = {"customer": customer, "return_url": BACK, **changes}
    return urlsplit(str(client.v1.billing_portal.sessions.create(given).url)).path


def choose(sandbox: Sandbox, address: str, **fields: str) -> Reply:
    return sandbox.request("POST", address, fields, Authorization="")


def listed(sandbox: Sandbox, address: str) -> list[str]:
    return re.findall(r'data-card="(\w+)"', sandbox.request("GET", address, Authorization="").text)


def test_a_customer_sees_their_own_cards(shared: Sandbox, client: Any) -> None:
    alice, bob = customer_of(client), customer_of(client)
    first, second = card(shared, alice), card(shared, alice, "mastercard")
    card(shared, bob)
    address = opened(client, alice)
    assert listed(shared, address) == [second, first]
    page = shared.request("GET", address, Authorization="")
    assert "Mastercard ending in 4444" in page.text
    assert "Expires 12/2034" in page.text
    assert f'href="{BACK}"' in page.text
    for nonsense in ("<script", " style=", "onclick"):
        assert nonsense not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_card_is_made_the_default_and_removed(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    first, second = card(shared, customer), card(shared, customer, "amex")
    address = opened(client, customer)
    assert choose(shared, address, default=first).status == 303
    default = client.v1.customers.retrieve(customer).invoice_settings.default_payment_method
    assert (default, told(client, customer)[-1]) == (first, "customer.updated")
    assert choose(shared, address, remove=first).status == 303
    assert listed(shared, address) == [second]
    assert told(client, customer)[-2:] == ["payment_method.detached", "customer.updated"]
    reply = choose(shared, address, remove=first)
    assert (reply.status, "not saved any more" in reply.text) == (400, True)


def test_a_card_is_added(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    address = opened(client, customer)
    assert "No card is saved." in shared.request("GET", address).text
    reply = press(shared, f"{address}/add", "save-declined")
    assert "Your card was declined. No card was saved." in reply.text
    assert "Your bank wants" in press(shared, f"{address}/add", "save-authenticates").text
    assert press(shared, f"{address}/add", "authenticate").status == 303
    [method] = listed(shared, address)
    found = client.v1.customers.retrieve(customer)
    assert found.invoice_settings.default_payment_method == method
    assert told(client, customer)[-3:] == [
        "payment_method.attached",
        "setup_intent.succeeded",
        "customer.updated",
    ]


def test_a_card_of_somebody_else_is_not_touched(shared: Sandbox, client: Any) -> None:
    alice, bob = customer_of(client), customer_of(client)
    theirs = card(shared, bob)
    address = opened(client, alice)
    for fields in ({"remove": theirs}, {"default": theirs}, {"remove": "pm_no"}, {"other": "x"}):
        assert choose(shared, address, **fields).status in (400, 404)
    assert client.v1.payment_methods.retrieve(theirs).customer == bob
    assert choose(shared, f"{address}/add", card="gold").status == 400


@pytest.mark.parametrize("after", ["redirect", "hosted_confirmation", "portal_homepage"])
def test_a_flow_leads_straight_to_a_new_default(shared: Sandbox, client: Any, after: str) -> None:
    customer = customer_of(client)
    old = card(shared, customer)
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": old}})
    completion: dict[str, Any] = {"type": after}
    if after == "redirect":
        completion["redirect"] = {"return_url": f"{BACK}?saved"}
    flow = {"type": "payment_method_update", "after_completion": completion}
    address = opened(client, customer, flow_data=flow)
    reply = press(shared, address, "save-mastercard")
    expected: tuple[int, str | None] = {
        "redirect": (303, f"{BACK}?saved"),
        "hosted_confirmation": (200, None),
        "portal_homepage": (303, address),
    }[after]
    assert (reply.status, reply.headers.get("Location")) == expected
    default = client.v1.customers.retrieve(customer).invoice_settings.default_payment_method
    assert client.v1.payment_methods.retrieve(default).card.last4 == "4444"


def test_a_portal_session_lasts_an_hour(own: Sandbox) -> None:
    client: Any = own.client()
    address = opened(client, customer_of(client))
    own.command("clock", seconds=3_590)
    assert own.request("GET", address).status == 200
    own.command("clock", seconds=20)
    for method in ("GET", "POST"):
        assert own.request(method, address).status == 404
    assert own.request("GET", "/p/session/test_no").status == 404


def test_configurations(client: Any) -> None:
    [default] = client.v1.billing_portal.configurations.list({"is_default": True}).data
    assert default.features.payment_method_update.enabled
    features = {"payment_method_update": {"enabled": True}, "invoice_history": {"enabled": False}}
    made = client.v1.billing_portal.configurations.create({"features": features, "default_return_url": BACK})
    assert (made.is_default, made.features.subscription_cancel.enabled) == (False, False)
    changed = client.v1.billing_portal.configurations.update(made.id, {"active": False})
    assert not changed.active
    assert client.v1.billing_portal.configurations.retrieve(made.id).default_return_url == BACK
    session = client.v1.billing_portal.sessions.create(
        {"customer": customer_of(client), "configuration": made.id}
    )
    assert (session.configuration, session.return_url) == (made.id, BACK)


def test_bad_portal_sessions_are_refused_by_name(client: Any) -> None:
    for given, param in (
        ({"customer": "cus_no"}, "customer"),
        ({"customer": customer_of(client), "configuration": "bpc_no"}, "configuration"),
        ({"customer": customer_of(client), "return_url": "/wallet/"}, "return_url"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.billing_portal.sessions.create(given)
        assert caught.value.param == param
