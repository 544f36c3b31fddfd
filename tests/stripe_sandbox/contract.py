"""Every request and answer of the sandbox tests against Stripe's own OpenAPI description, where it is at hand.

The description is of the version before the one that the library pins, so what that later version added is
declared here. It closes the top level of a request only and requires few properties of an answer: here every
object is closed, and those properties that the wallet reads are required.
"""

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import stripe

DEFAULT = Path(__file__).parents[3] / "shared" / "stripe"
ABSENT = "Stripe's OpenAPI description is not here: set STRIPE_OPENAPI to check against it."

TYPES = {"type": "array", "items": {"type": "string"}}
# Of objects, and of requests.
ADDED: dict[str, dict[str, Any]] = {
    "checkout.session": {"allowed_payment_method_types": {**TYPES, "nullable": True}},
    "payment_intent": {"allowed_payment_method_types": {**TYPES, "nullable": True}},
    "setup_intent": {"allowed_payment_method_types": {**TYPES, "nullable": True}},
}
ADDED_TO_REQUESTS: dict[str, dict[str, Any]] = {
    path: {"allowed_payment_method_types": TYPES}
    for path in ("/v1/checkout/sessions", "/v1/payment_intents", "/v1/setup_intents")
}
REMOVED = {"payment_method_types"}

# What the wallet reads of each object, beyond the few that the description requires.
READ = {
    "balance_transaction": "amount currency fee net reporting_category source type",
    "billing_portal.session": "customer return_url url",
    "charge": "balance_transaction customer payment_intent failure_code failure_message",
    "checkout.session": "amount_subtotal amount_total cancel_url client_reference_id currency customer"
    " metadata payment_intent status success_url total_details url",
    "customer": "email metadata name",
    "dispute": "payment_intent",
    "event": "api_version request",
    "payment_intent": "amount amount_received currency customer last_payment_error latest_charge metadata",
    "payment_method": "customer",
    "refund": "balance_transaction charge metadata payment_intent reason status",
    "setup_intent": "customer last_setup_error metadata payment_method status",
}


@cache
def description() -> dict[str, Any] | None:
    """None where there is none."""
    named = os.environ.get("STRIPE_OPENAPI")
    found = [Path(named)] if named else sorted(DEFAULT.glob("openapi-*.json.gz"))
    if not found or not found[0].is_file():
        return None
    raw = found[0].read_bytes()
    return dict(json.loads(gzip.decompress(raw) if found[0].suffix == ".gz" else raw))


@cache
def contract() -> "Contract | None":
    raw = description()
    return Contract(raw) if raw else None


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
        for path, properties in ADDED_TO_REQUESTS.items():
            self.request_schema(path)["properties"] |= properties
        versions = self.request_schema("/v1/webhook_endpoints")["properties"]["api_version"]
        versions["enum"].append(stripe.api_version)
        self.kinds = set(schemas)
        self._components = modern(closed({"schemas": schemas}))
        # Addresses without an id in a place come before those with one there.
        self._templates = sorted(self._paths, key=lambda path: path.count("{"))

    def check(self, schema: dict[str, Any], value: Any) -> None:
        self._validator(schema).validate(value)

    def _validator(self, schema: dict[str, Any]) -> jsonschema_rs.Validator:
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**modern(closed(schema)), "components": self._components}
            self._validators[key] = jsonschema_rs.validator_for(whole)
        return self._validators[key]

    def check_object(self, value: Any) -> None:
        self.check({"$ref": f"#/components/schemas/{value['object']}"}, value)

    def template(self, method: str, path: str) -> str | None:
        """The description's own way to write the address; None for one that it does not have."""
        for template in self._templates:
            if method in self._paths[template] and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return str(template)
        return None

    def request_schema(self, path: str) -> dict[str, Any]:
        """Changing what it returns changes the contract."""
        content = self._paths[path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        schema: dict[str, Any] = content["schema"]
        return schema

    def query_schema(self, method: str, path: str) -> dict[str, Any]:
        given = [one for one in self._paths[path][method].get("parameters", []) if one["in"] == "query"]
        return {"type": "object", "properties": {one["name"]: one["schema"] for one in given}}

    def answer_schema(self, method: str, path: str) -> dict[str, Any]:
        answers = self._paths[path][method]["responses"]
        return dict(answers["200"]["content"]["application/json"]["schema"])

    def saw(self, method: str, url: str, form: str, status: int, body: bytes) -> None:
        """Validate what went over the wire. A request that was refused may be wrong; its error may not."""
        parts = urlsplit(url)
        template = self.template(method.lower(), parts.path)
        if status >= 400:
            self.check({"$ref": "#/components/schemas/error"}, json.loads(body))
        if template is None or status not in (200, 402):
            return
        query = self.query_schema(method.lower(), template)
        if method == "POST":
            fields = f"{parts.query}&{form}" if parts.query and form else parts.query or form
            schema = self.request_schema(template)
        else:
            fields, schema = parts.query, query
        self.check(schema, self.typed(schema, tree(fields)))
        if status == 200:
            answer = json.loads(body)
            self.check(self.answer_schema(method.lower(), template), answer)
            self.check_snapshots(answer)

    def check_snapshots(self, answer: Any) -> None:
        """What an event shows is an object of Stripe's too; the description leaves it open."""
        for one in answer.get("data", []) if answer["object"] == "list" else [answer]:
            if one["object"] == "event" and one["data"]["object"]["object"] in self.kinds:
                self.check_object(one["data"]["object"])

    def typed(self, schema: dict[str, Any], node: Any) -> Any:
        """A form has text only: as numbers, switches, lists and objects where the schema says so."""
        for option in schema.get("anyOf", []):
            candidate = self.typed(option, node)
            if self._validator(option).is_valid(candidate):
                return candidate
        kind = schema.get("type")
        if isinstance(node, dict):
            return self._typed_members(schema, node)
        if kind in ("integer", "number") and re.fullmatch(r"-?[0-9]+", node):
            return int(node)
        return {"true": True, "false": False}.get(node, node) if kind == "boolean" else node

    def _typed_members(self, schema: dict[str, Any], node: dict[str, Any]) -> Any:
        if schema.get("type") == "array" and all(key.isdecimal() for key in node):
            return [self.typed(schema["items"], node[key]) for key in sorted(node, key=int)]
        rest = schema.get("additionalProperties") or {}
        known = schema.get("properties", {})
        return {
            key: self.typed(known.get(key, rest if isinstance(rest, dict) else {}), value)
            for key, value in node.items()
        }


def tree(form: str) -> dict[str, Any]:
    """`a[b][0]=x` as {"a": {"b": {"0": "x"}}}; `a[]=x` takes the next number."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        node = root
        *steps, last = re.sub(r"\]", "", name).split("[")
        for step in steps:
            node = node.setdefault(step or str(len(node)), {})
        node[last or str(len(node))] = value
    return root


# Emptied while something is sent or shown on purpose that Stripe's description has not.
WATCHING = [True]


@contextmanager
def unwatched() -> Iterator[None]:
    """For a test of what Stripe does not have: a status of the future, a parameter without sense."""
    WATCHING.clear()
    try:
        yield
    finally:
        WATCHING.append(True)


def saw(method: str, url: str, form: str, status: int, body: bytes) -> None:
    """Validate it where the description is at hand."""
    known = contract()
    if known and WATCHING and urlsplit(url).path.startswith("/v1/"):
        known.saw(method, url, form, status, body)


class Watched(stripe.RequestsClient):
    """The library's own way to send, with every request and answer validated."""

    # Its own classes differ from each other in this too.
    def request(  # type: ignore[override]
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        answer = super().request(method, url, headers, post_data)
        saw(method.upper(), url, post_data or "", answer[1], answer[0])
        return answer
