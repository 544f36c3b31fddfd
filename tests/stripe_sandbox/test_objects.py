"""Each endpoint through Stripe's own library, at the version that it pins."""

import time
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import KEY, Sandbox, payment


def paid(shared: Sandbox, client: Any, **changes: object) -> Any:
    session = client.v1.checkout.sessions.create(payment(**changes))
    shared.command(f"sessions/{session.id}/pay", method="card")
    return client.v1.checkout.sessions.retrieve(session.id)


def test_the_library_and_the_stand_in_speak_the_same_version(shared: Sandbox) -> None:
    reply = shared.request("GET", "/v1/customers")
    assert reply.headers["Stripe-Version"] == stripe.api_version


def test_a_customer_is_created_changed_and_found(client: Any) -> None:
    customer = client.v1.customers.create(
        {"email": "changed@example.com", "metadata": {"user": "1", "plan": "a"}}
    )
    changed = client.v1.customers.update(customer.id, {"name": "Alice", "metadata": {"plan": ""}})
    assert (changed.email, changed.name) == ("changed@example.com", "Alice")
    assert changed.metadata.to_dict() == {"user": "1"}
    assert client.v1.customers.retrieve(customer.id).to_dict() == changed.to_dict()
    found = client.v1.customers.list({"email": "changed@example.com"}).data
    assert [one.id for one in found] == [customer.id]
    event = client.v1.events.list({"type": "customer.updated", "limit": 1}).data[0]
    assert event.data.to_dict()["previous_attributes"] == {
        "name": None,
        "metadata": {"user": "1", "plan": "a"},
    }


def test_a_new_session_is_open_and_has_no_payment_intent(client: Any) -> None:
    before = int(time.time())
    customer = client.v1.customers.create({"email": "bob@example.com"})
    session = client.v1.checkout.sessions.create(
        payment(customer=customer.id, client_reference_id="top-up-7", metadata={"top_up": "7"})
    )
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_subtotal, session.amount_total, session.currency) == (100, 100, "usd")
    assert session.total_details.to_dict() == {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
    assert session.metadata.to_dict() == {"top_up": "7"}
    assert (session.customer, session.client_reference_id, session.livemode) == (
        customer.id,
        "top-up-7",
        False,
    )
    assert session.url.endswith(f"/c/pay/{session.id}")
    assert 86_400 <= session.expires_at - before <= 86_402


def test_amounts_are_summed_over_the_line_items(client: Any) -> None:
    def item(cents: int, quantity: int) -> dict[str, object]:
        price = {"currency": "USD", "unit_amount": cents, "product_data": {"name": f"{cents} cents"}}
        return {"quantity": quantity, "price_data": price}

    session = client.v1.checkout.sessions.create(payment(line_items=[item(250, 2), item(0, 1), item(99, 3)]))
    assert session.amount_total == 797
    items = client.v1.checkout.sessions.line_items.list(session.id).data
    assert [(one.description, one.quantity, one.amount_total) for one in items] == [
        ("250 cents", 2, 500),
        ("0 cents", 1, 0),
        ("99 cents", 3, 297),
    ]
    page = client.v1.checkout.sessions.line_items.list(
        session.id, {"limit": 1, "starting_after": items[0].id}
    )
    assert ([one.id for one in page.data], page.has_more) == ([items[1].id], True)
    page = client.v1.checkout.sessions.line_items.list(session.id, {"limit": 1, "ending_before": items[2].id})
    assert ([one.id for one in page.data], page.has_more) == ([items[1].id], True)


def test_a_paid_session_leads_to_intent_charge_and_balance(shared: Sandbox, client: Any) -> None:
    session = paid(
        shared, client, payment_intent_data={"metadata": {"top_up": "9"}, "description": "Wallet top-up"}
    )
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    intent = client.v1.payment_intents.retrieve(
        session.payment_intent, {"expand": ["latest_charge.balance_transaction"]}
    )
    assert (intent.status, intent.amount_received, intent.description) == ("succeeded", 100, "Wallet top-up")
    assert intent.metadata.to_dict() == {"top_up": "9"}
    charge = intent.latest_charge
    assert (charge.status, charge.paid, charge.amount_captured) == ("succeeded", True, 100)
    entry = charge.balance_transaction
    # 2.9 % of a dollar is 2.9 cents, so 3, and 30 cents.
    assert (entry.amount, entry.fee, entry.net, entry.type) == (100, 33, 67, "charge")
    assert client.v1.balance_transactions.retrieve(entry.id).source == charge.id
    assert client.v1.charges.retrieve(charge.id).payment_intent == intent.id


def test_session_metadata_is_not_copied_to_the_intent(shared: Sandbox, client: Any) -> None:
    session = paid(shared, client, metadata={"only": "here"})
    assert client.v1.payment_intents.retrieve(session.payment_intent).metadata.to_dict() == {}


def test_lists_are_filtered(shared: Sandbox, client: Any) -> None:
    customer = client.v1.customers.create({}).id
    other = client.v1.checkout.sessions.create(payment())
    waiting = client.v1.checkout.sessions.create(payment(customer=customer))
    session = paid(shared, client, customer=customer)
    sessions, v1 = client.v1.checkout.sessions, client.v1
    assert [one.id for one in sessions.list({"customer": customer})] == [session.id, waiting.id]
    assert [one.id for one in sessions.list({"customer": customer, "status": "open"})] == [waiting.id]
    assert [one.id for one in sessions.list({"payment_intent": session.payment_intent})] == [session.id]
    assert other.id not in [one.id for one in sessions.list({"created": {"lt": other.created}})]
    assert [one.id for one in v1.payment_intents.list({"customer": customer})] == [session.payment_intent]
    charge = v1.charges.list({"payment_intent": session.payment_intent}).data[0]
    assert [one.id for one in v1.charges.list({"customer": customer})] == [charge.id]
    entries = v1.balance_transactions.list({"source": charge.id, "type": "charge", "currency": "usd"}).data
    assert [one.id for one in entries] == [charge.balance_transaction]


def test_expand_reaches_into_lists_and_refuses_what_it_cannot(shared: Sandbox, client: Any) -> None:
    session = paid(shared, client)
    query = {"payment_intent": session.payment_intent, "expand": ["data.payment_intent", "data.line_items"]}
    found = client.v1.checkout.sessions.list(query).data[0]
    assert found.payment_intent.status == "succeeded"
    assert found.line_items.data[0].description == "Wallet top-up"
    with pytest.raises(stripe.InvalidRequestError, match=r"This property cannot be expanded \(url\)"):
        client.v1.checkout.sessions.retrieve(session.id, {"expand": ["url"]})


def test_pages_run_through_everything_once_in_both_directions(client: Any) -> None:
    mail = f"pages-{time.time_ns()}@example.com"
    made = [client.v1.customers.create({"email": mail}).id for _ in range(7)]
    newest_first = made[::-1]
    forwards = client.v1.customers.list({"email": mail, "limit": 3})
    assert ([one.id for one in forwards.data], forwards.has_more) == (newest_first[:3], True)
    assert [one.id for one in forwards.auto_paging_iter()] == newest_first
    backwards = client.v1.customers.list({"email": mail, "limit": 3, "ending_before": newest_first[5]})
    assert ([one.id for one in backwards.data], backwards.has_more) == (newest_first[2:5], True)
    last = client.v1.customers.list({"email": mail, "limit": 100, "starting_after": newest_first[2]})
    assert ([one.id for one in last.data], last.has_more) == (newest_first[3:], False)


def test_a_session_is_expired_once(client: Any) -> None:
    session = client.v1.checkout.sessions.create(payment())
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
        client.v1.checkout.sessions.expire(session.id)


def test_cards_only_where_the_caller_says_so(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(payment(allowed_payment_method_types=["card"]))
    assert session.payment_method_types == ["card"]
    assert "Bank debit" not in shared.request("GET", f"/c/pay/{session.id}").text
    reply = shared.request("POST", f"/_sandbox/sessions/{session.id}/pay", {"method": "bank"})
    assert (reply.status, reply.error["param"]) == (400, "method")


def test_webhook_endpoints_live_and_die(client: Any) -> None:
    endpoints = client.v1.webhook_endpoints
    # Nothing listens there, and nothing of this test's makes an event of this kind.
    made = endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["charge.failed"]})
    assert made.secret.startswith("whsec_")
    assert "secret" not in endpoints.retrieve(made.id)
    changed = endpoints.update(made.id, {"disabled": True, "enabled_events": ["charge.pending"]})
    assert (changed.status, changed.enabled_events) == ("disabled", ["charge.pending"])
    assert made.id in [one.id for one in endpoints.list()]
    assert endpoints.delete(made.id).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook endpoint"):
        endpoints.retrieve(made.id)


def test_the_key_is_checked(shared: Sandbox) -> None:
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
        stripe.StripeClient("sk_test_other", base_addresses={"api": shared.url}).v1.customers.list()
    reply = shared.request("GET", "/v1/customers", Authorization="")
    assert (reply.status, reply.error["type"]) == (401, "invalid_request_error")
    assert KEY not in shared.request("GET", "/v1/customers", Authorization=f"Bearer {KEY}x").text
    for control in ("POST", "GET"):
        assert shared.request(control, "/_sandbox/webhooks/drop", Authorization="Bearer no").status == 401
