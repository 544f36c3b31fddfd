"""What is sent and answered, against Stripe's own OpenAPI description where it is at hand.

The description is of the version before the one that the library pins, so what that later version added is
declared here. It closes the top level of a request only and requires few properties of an answer; those
that a wallet reads are required here.
"""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import stripe

from tests.stripe_sandbox.money import give_back
from tests.stripe_sandbox.process import ROOT, Sandbox, payment

DEFAULT = ROOT.parent / "shared" / "stripe"

ADDED: dict[str, dict[str, Any]] = {
    "checkout.session": {
        "allowed_payment_method_types": {"type": "array", "items": {"type": "string"}, "nullable": True}
    },
}
# What a wallet reads of each object, beyond the few that the description requires.
READ = {
    "balance_transaction": "amount currency fee net reporting_category source type",
    "charge": "balance_transaction customer payment_intent failure_code failure_message",
    "checkout.session": "amount_subtotal amount_total cancel_url client_reference_id currency customer"
    " metadata payment_intent status success_url total_details url",
    "customer": "email metadata name",
    "dispute": "payment_intent",
    "event": "api_version request",
    "payment_intent": "amount amount_received currency customer last_payment_error latest_charge metadata",
    "refund": "balance_transaction charge metadata payment_intent reason status",
}


def description() -> dict[str, Any]:
    """Skips the test where there is none."""
    named = os.environ.get("STRIPE_OPENAPI")
    found = [Path(named)] if named else sorted(DEFAULT.glob("openapi-*.json.gz"))
    if not found or not found[0].is_file():
        pytest.skip("Stripe's OpenAPI description is not here: set STRIPE_OPENAPI to check against it.")
    raw = found[0].read_bytes()
    return dict(json.loads(gzip.decompress(raw) if found[0].suffix == ".gz" else raw))


def modern(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema, so that null is accepted where it may stand."""
    if isinstance(node, list):
        return [modern(one) for one in node]
    if not isinstance(node, dict):
        return node
    schema = {key: modern(value) for key, value in node.items()}
    if schema.get("nullable") is True:
        del schema["nullable"]
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def closed(node: Any) -> Any:
    """No object takes properties that it does not declare, at any depth."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    schema = {key: closed(value) for key, value in node.items()}
    if isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return schema


class Contract:
    def __init__(self, raw: dict[str, Any]) -> None:
        self._paths = raw["paths"]
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        schemas = raw["components"]["schemas"]
        for name, properties in ADDED.items():
            schemas[name]["properties"] |= properties
        for name, words in READ.items():
            schemas[name]["required"] = sorted({*schemas[name].get("required", []), *words.split()})
        self._components = modern(closed({"schemas": schemas}))

    def check(self, schema: dict[str, Any], value: Any) -> None:
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**modern(closed(schema)), "components": self._components}
            self._validators[key] = jsonschema_rs.validator_for(whole)
        self._validators[key].validate(value)

    def check_object(self, value: Any) -> None:
        self.check({"$ref": f"#/components/schemas/{value['object']}"}, value)

    def request_schema(self, path: str) -> dict[str, Any]:
        content = self._paths[path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        return dict(content["schema"])

    def answer_schema(self, method: str, path: str) -> dict[str, Any]:
        answers = self._paths[path][method]["responses"]
        return dict(answers["200"]["content"]["application/json"]["schema"])


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(description())


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


LISTS = [
    "/v1/balance_transactions",
    "/v1/charges",
    "/v1/checkout/sessions",
    "/v1/customers",
    "/v1/disputes",
    "/v1/events",
    "/v1/payment_intents",
    "/v1/payouts",
    "/v1/refunds",
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
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "payout.created",
        "payout.failed",
        "payout.paid",
        "refund.created",
        "refund.failed",
        "refund.updated",
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
        contract.check_object(items["data"][0])


def test_errors(contract: Contract, lived_in: Sandbox) -> None:
    for path in ("/v1/customers/cus_no", "/v1/customers?limit=x", "/v1/no"):
        contract.check({"$ref": "#/components/schemas/error"}, lived_in.request("GET", path).json)


def test_what_the_tests_send_is_what_stripe_takes(contract: Contract) -> None:
    schema = contract.request_schema("/v1/checkout/sessions")
    contract.check(schema, payment(customer="cus_1", expires_at=1, metadata={"a": "b"}))
    misspelt = payment()
    misspelt["line_items"][0]["price_data"]["unit_amout"] = 100
    with pytest.raises(jsonschema_rs.ValidationError, match="unit_amout"):
        contract.check(schema, misspelt)


def parameters(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """The full name of every parameter of a request, nested ones and those in lists too."""
    found: set[str] = set()
    for name, one in schema.get("properties", {}).items():
        full = f"{prefix}[{name}]" if prefix else name
        found.add(full)
        for nested in [one, *one.get("anyOf", [])]:
            found |= parameters(nested, full) | parameters(nested.get("items", {}), f"{full}[0]")
    return found


REMOVED = {"payment_method_types"}
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
        reply = lived_in.request("POST", path, {**given, name: "?"})
        assert reply.status in (200, 400, 404)
        assert reply.status == 200 or reply.error.get("code") != "parameter_unknown", name


def test_the_library_pins_the_version_that_the_stand_in_speaks(lived_in: Sandbox) -> None:
    assert lived_in.request("GET", "/v1/events").headers["Stripe-Version"] == stripe.api_version


def test_the_balance_and_what_is_expanded_of_money_given_back(contract: Contract, lived_in: Sandbox) -> None:
    contract.check_object(lived_in.request("GET", "/v1/balance").json)
    for kind, names in (
        ("refunds", "balance_transaction charge.refunds failure_balance_transaction payment_intent"),
        ("disputes", "charge payment_intent"),
        ("payouts", "balance_transaction failure_balance_transaction"),
        ("balance_transactions", "source"),
    ):
        query = "&".join(f"expand[]=data.{name}" for name in names.split())
        for one in lived_in.request("GET", f"/v1/{kind}?limit=100&{query}").json["data"]:
            contract.check_object(one)
