"""What is sent and answered, against Stripe's own OpenAPI description where it is at hand.

`contract.py` validates whatever goes over the wire in any test of the sandbox. Here is shown that it would see a
mistake, and the addresses and objects are gone through that no other test need come across.
"""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
import stripe

from stripe_sandbox import locales
from stripe_sandbox.api import MODULES
from tests.stripe_sandbox.contract import ABSENT, REMOVED, Contract, tree, unwatched
from tests.stripe_sandbox.contract import contract as known_contract
from tests.stripe_sandbox.money import give_back
from tests.stripe_sandbox.process import Sandbox, payment
from tests.stripe_sandbox.saving import charging, save_and_charge, saving


@pytest.fixture(scope="module")
def contract() -> Contract:
    found = known_contract()
    if found is None:
        pytest.skip(ABSENT)
    return found


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A stand-in that has seen one payment of each kind."""
    sandbox = Sandbox(tmp_path_factory.mktemp("contract"), "--webhook-url", "http://127.0.0.1:9/hook")
    with sandbox.running():
        live_in(sandbox)
        yield sandbox


def live_in(sandbox: Sandbox) -> None:
    sandbox.command("webhooks/pause")
    v1 = sandbox.client().v1
    customer = v1.customers.create({"email": "alice@example.com", "address": {"city": "Bern", "line1": "1"}})
    v1.customers.update(customer.id, {"name": "Alice"})
    for methods in (["declined", "card"], ["bank"], ["bank_fails"], []):
        session = v1.checkout.sessions.create(payment(customer=customer.id, metadata={"a": "b"}))
        for method in methods:
            sandbox.command(f"sessions/{session.id}/pay", method=method, settle="now")
    v1.checkout.sessions.expire(session.id)
    v1.checkout.sessions.create(payment(customer_email="bob@example.com"))
    give_back(sandbox)
    save_and_charge(sandbox)


LISTS = [
    "/v1/balance_transactions",
    "/v1/billing_portal/configurations",
    "/v1/charges",
    "/v1/checkout/sessions",
    "/v1/customers",
    "/v1/disputes",
    "/v1/events",
    "/v1/payment_intents",
    "/v1/payment_methods",
    "/v1/payouts",
    "/v1/refunds",
    "/v1/setup_intents",
    "/v1/webhook_endpoints",
]


@pytest.mark.parametrize("path", LISTS)
def test_lists_and_their_objects(contract: Contract, lived_in: Sandbox, path: str) -> None:
    found = lived_in.request("GET", f"{path}?limit=100").json
    assert found["data"]
    contract.check(contract.answer_schema("get", path), found)
    for one in found["data"]:
        contract.check_object(one)
        assert lived_in.request("GET", f"{path}/{one['id']}").json == one


def test_snapshots_in_events(contract: Contract, lived_in: Sandbox) -> None:
    events = [event.to_dict() for event in lived_in.client().v1.events.list().auto_paging_iter()]
    assert {event["type"] for event in events} == {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.failed",
        "charge.pending",
        "charge.refund.updated",
        "charge.refunded",
        "charge.succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "customer.created",
        "customer.updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_method.attached",
        "payment_method.automatically_updated",
        "payment_method.detached",
        "payout.created",
        "payout.failed",
        "payout.paid",
        "refund.created",
        "refund.failed",
        "refund.updated",
        "setup_intent.created",
        "setup_intent.requires_action",
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
    }
    for event in events:
        contract.check_object(event["data"]["object"])


def test_line_items_and_what_is_expanded(contract: Contract, lived_in: Sandbox) -> None:
    paths = ("customer", "line_items", "payment_intent.latest_charge.balance_transaction")
    query = "&".join(f"expand[]={path}" for path in paths)
    for session in lived_in.request("GET", "/v1/checkout/sessions?limit=100").json["data"]:
        contract.check_object(lived_in.request("GET", f"/v1/checkout/sessions/{session['id']}?{query}").json)
        items = lived_in.request("GET", f"/v1/checkout/sessions/{session['id']}/line_items").json
        contract.check(contract.answer_schema("get", "/v1/checkout/sessions/{session}/line_items"), items)
        assert bool(items["data"]) is (session["mode"] == "payment")
        for item in items["data"]:
            contract.check_object(item)


def check_expanded(contract: Contract, sandbox: Sandbox, expanded: dict[str, str]) -> None:
    """Every object of these kinds, with the properties of these names expanded."""
    for kind, names in expanded.items():
        query = "&".join(f"expand[]=data.{name}" for name in names.split())
        for one in sandbox.request("GET", f"/v1/{kind}?limit=100&{query}").json["data"]:
            contract.check_object(one)


def test_what_is_expanded_of_saved_cards(contract: Contract, lived_in: Sandbox) -> None:
    check_expanded(
        contract,
        lived_in,
        {
            "checkout/sessions": "setup_intent.payment_method payment_intent.payment_method",
            "customers": "invoice_settings.default_payment_method",
            "payment_intents": "payment_method.customer latest_charge",
            "payment_methods": "customer",
            "setup_intents": "customer payment_method",
        },
    )
    contract.check_object(lived_in.request("GET", "/v1/account").json)
    customer = lived_in.client().v1.customers.list({"email": "charlie@example.com"}).data[0].id
    saved = lived_in.request("GET", f"/v1/customers/{customer}/payment_methods").json
    contract.check(contract.answer_schema("get", "/v1/customers/{customer}/payment_methods"), saved)
    opened = lived_in.request("POST", "/v1/billing_portal/sessions", {"customer": customer}).json
    contract.check_object(opened)


def test_errors(contract: Contract, lived_in: Sandbox) -> None:
    for path in ("/v1/customers/cus_no", "/v1/customers?limit=x", "/v1/no"):
        contract.check({"$ref": "#/components/schemas/error"}, lived_in.request("GET", path).json)
    declined = {
        "amount": 500,
        "currency": "usd",
        "confirm": "true",
        "payment_method": "pm_card_chargeDeclined",
    }
    reply = lived_in.request("POST", "/v1/payment_intents", declined)
    assert reply.status == 402
    contract.check({"$ref": "#/components/schemas/error"}, reply.json)


def test_what_the_tests_send_is_what_stripe_takes(contract: Contract) -> None:
    schema = contract.request_schema("/v1/checkout/sessions")
    contract.check(schema, payment(customer="cus_1", expires_at=1, metadata={"a": "b"}))
    setup = saving("cus_1") | {"currency": "usd"}
    # It came with the version after that of the description.
    del setup["allowed_payment_method_types"]
    contract.check(schema, setup)
    contract.check(contract.request_schema("/v1/payment_intents"), charging("cus_1", "pm_1"))
    misspelt = payment()
    misspelt["line_items"][0]["price_data"]["unit_amout"] = 100
    with pytest.raises(jsonschema_rs.ValidationError, match="unit_amout"):
        contract.check(schema, misspelt)


def test_the_languages_are_stripes(contract: Contract) -> None:
    for path, known in (
        ("/v1/checkout/sessions", locales.CHECKOUT),
        ("/v1/billing_portal/sessions", locales.PORTAL),
    ):
        assert set(contract.request_schema(path)["properties"]["locale"]["enum"]) == set(known)


SESSION = "/v1/checkout/sessions"
FORM = (
    "mode=payment&success_url=http%3A%2F%2F127.0.0.1%2F&line_items[0][quantity]=1&expand[]=customer"
    "&line_items[0][price_data][currency]=usd&line_items[0][price_data][product_data][name]=Top-up"
)


def test_a_form_is_read_as_the_description_types_it(contract: Contract) -> None:
    form = FORM + "&line_items[0][price_data][unit_amount]=100&metadata[1]=2&automatic_tax[enabled]=true"
    read = contract.typed(contract.request_schema(SESSION), tree(form))
    [item] = read["line_items"]
    assert (item["quantity"], item["price_data"]["unit_amount"]) == (1, 100)
    assert (read["metadata"], read["automatic_tax"]) == ({"1": "2"}, {"enabled": True})
    assert read["expand"] == ["customer"]


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ("&line_items[0][price_data][unit_amout]=100", "unit_amout"),
        ("&line_items[0][price_data][unit_amount]=1.5", "1.5"),
        ("&sucess_url=x", "sucess_url"),
        ("&payment_intent_data[setup_future_usage]=nonsense", "nonsense"),
    ],
)
def test_a_wrong_request_that_was_taken_is_seen(
    contract: Contract, lived_in: Sandbox, form: str, complaint: str
) -> None:
    answer = lived_in.request("GET", f"{SESSION}?limit=1").json["data"][0]
    contract.saw("POST", SESSION, FORM, 200, json.dumps(answer).encode())
    contract.saw("POST", SESSION, FORM + form, 400, b'{"error": {"type": "invalid_request_error"}}')
    with pytest.raises(jsonschema_rs.ValidationError, match=complaint):
        contract.saw("POST", SESSION, FORM + form, 200, json.dumps(answer).encode())


def test_a_wrong_answer_is_seen(contract: Contract, lived_in: Sandbox) -> None:
    answer = lived_in.request("GET", f"{SESSION}?limit=1").json
    contract.saw("GET", f"{SESSION}?limit=1", "", 200, json.dumps(answer).encode())
    for wrong in ({"amount_total": "100"}, {"status": "paid"}, {"amout": 1}):
        spoilt = {**answer, "data": [answer["data"][0] | wrong]}
        with pytest.raises(jsonschema_rs.ValidationError):
            contract.saw("GET", SESSION, "", 200, json.dumps(spoilt).encode())
    short = {**answer, "data": [{key: answer["data"][0][key] for key in answer["data"][0] if key != "url"}]}
    with pytest.raises(jsonschema_rs.ValidationError, match="url"):
        contract.saw("GET", SESSION, "", 200, json.dumps(short).encode())
    with pytest.raises(jsonschema_rs.ValidationError, match="limmit"):
        contract.saw("GET", f"{SESSION}?limmit=1", "", 200, json.dumps(answer).encode())
    with pytest.raises(jsonschema_rs.ValidationError, match="type"):
        contract.saw("GET", SESSION, "", 404, b'{"error": {"message": "no"}}')


def test_what_an_event_shows_is_looked_at(contract: Contract, lived_in: Sandbox) -> None:
    events = lived_in.request("GET", "/v1/events?limit=1").json
    events["data"][0]["data"]["object"]["strange"] = 1
    with pytest.raises(jsonschema_rs.ValidationError, match="strange"):
        contract.saw("GET", "/v1/events", "", 200, json.dumps(events).encode())


def test_the_library_and_the_plain_client_are_watched(
    contract: Contract, lived_in: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(Contract, "saw", lambda self, method, url, *rest: seen.append((method, url)))
    lived_in.client().v1.customers.list({"limit": 1})
    lived_in.request("GET", "/v1/customers")
    lived_in.command("webhooks/pause")
    assert seen == [("GET", f"{lived_in.url}/v1/customers?limit=1"), ("GET", "/v1/customers")]


# The description at hand is cut to what a wallet needs, and has none of these.
UNDESCRIBED = {
    "DELETE /v1/webhook_endpoints/{id}",
    "GET /v1/billing_portal/configurations/{id}",
    "GET /v1/coupons/{id}",
    "GET /v1/customers/{id}/payment_methods/{method}",
    "GET /v1/invoices",
    "GET /v1/invoices/{id}",
    "GET /v1/payouts/{id}",
    "GET /v1/webhook_endpoints/{id}",
    "POST /v1/billing_portal/configurations/{id}",
    "POST /v1/refunds/{id}/cancel",
    "POST /v1/webhook_endpoints/{id}",
}


def test_every_address_is_described_or_known_not_to_be(contract: Contract) -> None:
    found = {
        f"{route.method} {route.path}"
        for route in (row for module in MODULES for row in module.ROUTES)
        if contract.template(route.method.lower(), re.sub(r"\{\w+\}", "x", route.path)) is None
    }
    assert found == UNDESCRIBED


def parameters(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """The full name of every parameter of a request, nested ones and those in lists too."""
    found: set[str] = set()
    for name, one in schema.get("properties", {}).items():
        full = f"{prefix}[{name}]" if prefix else name
        found.add(full)
        for nested in [one, *one.get("anyOf", [])]:
            found |= parameters(nested, full) | parameters(nested.get("items", {}), f"{full}[0]")
    return found


ITEM = "line_items[0]"
COMPLETE = {
    "/v1/customers": {},
    "/v1/checkout/sessions": {
        "mode": "payment",
        "success_url": "http://127.0.0.1/",
        f"{ITEM}[quantity]": "1",
        f"{ITEM}[price_data][currency]": "usd",
        f"{ITEM}[price_data][unit_amount]": "100",
        f"{ITEM}[price_data][product_data][name]": "Top-up",
    },
    "/v1/disputes/{dispute}": {},
    "/v1/refunds": {},
    "/v1/billing_portal/configurations": {"features[payment_method_update][enabled]": "true"},
    "/v1/billing_portal/sessions": {"customer": "cus_1"},
    "/v1/payment_intents": {"amount": "100", "currency": "usd"},
    "/v1/payment_intents/{intent}": {},
    "/v1/payment_intents/{intent}/cancel": {},
    "/v1/payment_intents/{intent}/confirm": {},
    "/v1/payment_methods/{payment_method}/attach": {"customer": "cus_1"},
    "/v1/payment_methods/{payment_method}/detach": {},
}


@pytest.mark.parametrize("path", sorted(COMPLETE))
def test_no_parameter_that_stripe_knows_is_called_unknown(
    contract: Contract, lived_in: Sandbox, path: str
) -> None:
    """It is taken, or said not to be supported; `parameter_unknown` would be misleading."""
    for name in sorted(parameters(contract.request_schema(path)) - REMOVED):
        parents = {name[:end] for end, sign in enumerate(name) if sign == "["}
        given = {key: value for key, value in COMPLETE[path].items() if key not in parents}
        given = {key: value for key, value in given.items() if not key.startswith(f"{name}[")}
        with unwatched():
            reply = lived_in.request("POST", path, {**given, name: "?"})
        assert reply.status in (200, 400, 404)
        assert reply.status == 200 or reply.error.get("code") != "parameter_unknown", name


def test_the_library_pins_the_version_that_the_stand_in_speaks(lived_in: Sandbox) -> None:
    assert lived_in.request("GET", "/v1/events").headers["Stripe-Version"] == stripe.api_version


def test_the_balance_and_what_is_expanded_of_money_given_back(contract: Contract, lived_in: Sandbox) -> None:
    contract.check_object(lived_in.request("GET", "/v1/balance").json)
    check_expanded(
        contract,
        lived_in,
        {
            "refunds": "balance_transaction charge.refunds failure_balance_transaction payment_intent",
            "disputes": "charge payment_intent",
            "payouts": "balance_transaction failure_balance_transaction",
            "balance_transactions": "source",
        },
    )
