"""What the APIs really answer is what the OpenAPI document says they do."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import User
from cometsite.openapi.schemas import REJECTIONS
from logs import authorizing, call_ids, metering
from pricing.units import UNITS
from tests.api.checking import DOCUMENT, assert_documented, is_valid
from tests.metering.conftest import gateway, issued
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet.models import Wallet
from wallet.wallets import wallet_of

__all__ = ["gateway", "issued"]  # fixtures of the metering tests

pytestmark = pytest.mark.django_db
NAMES = ("authorize", "calls", "release")


def ask(gateway: Gateway, name: str, body: object, status: int, code: str = "", **headers: str) -> Any:
    """Post, and hold the answer to the document; returns its body."""
    response = gateway.post(name, body, **headers)
    assert response.status_code == status, response.content
    assert_documented(response, "post", f"/metering/v1/{name}")
    answer = json.loads(response.content or b"{}")
    if code:
        assert answer["error"]["code"] == code
    return answer


def test_authorize_report_and_release(gateway: Gateway, issued: IssuedKey) -> None:
    question = {"key": issued.text, "model": "gpt-4o", "input_tokens": 10, "max_output_tokens": 5}
    assert is_valid("AuthorizeRequest", question)
    admission = ask(gateway, "authorize", question, 200)
    report = call(issued.key, call_id=admission["call_id"], latency_ms=12, stream=True, error=None)
    assert is_valid("CallsRequest", {"calls": [report]})
    for _ in range(2):
        ask(gateway, "calls", {"calls": [report]}, 200)
    assert is_valid("ReleaseRequest", {"call_id": admission["call_id"]})
    ask(gateway, "release", {"call_id": admission["call_id"]}, 204)


def test_every_refusal_of_authorize(gateway: Gateway, issued: IssuedKey, charlie: User) -> None:
    question = {"key": issued.text, "model": "gpt-4o"}
    ask(gateway, "authorize", {**question, "key": "sk-x"}, 401, "invalid_key")
    ask(gateway, "authorize", {**question, "model": "nothing"}, 404, "model_not_found")
    ask(gateway, "authorize", {**question, "client_ip": "x"}, 400, "invalid_field")
    empty = keys.issue(wallet_of(charlie), "empty")
    ask(gateway, "authorize", {**question, "key": empty.text}, 402, "insufficient_balance")
    give(charlie, 1)
    ask(gateway, "authorize", {**question, "key": empty.text}, 200)
    ask(gateway, "authorize", {**question, "key": empty.text}, 402, "insufficient_balance")
    Wallet.objects.update(suspended_at=timezone.now())
    ask(gateway, "authorize", question, 403, "account_suspended")


@pytest.mark.parametrize("name", NAMES)
def test_every_refusal_that_all_share(
    gateway: Gateway, issued: IssuedKey, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ask(gateway, name, {}, 401, "invalid_gateway_key", Authorization="Bearer nobody")
    ask(gateway, name, b"{", 400, "malformed_body")
    ask(gateway, name, b" " * (2 * 1024 * 1024 + 1), 413, "body_too_large")
    response = gateway.client.get(f"/metering/v1/{name}")
    assert_documented(response, "post", f"/metering/v1/{name}")

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(authorizing, "authorize", fail)
    monkeypatch.setattr(metering, "record", fail)
    monkeypatch.setattr("wallet.holds.release", fail)
    bodies = {
        "authorize": {"key": issued.text, "model": "gpt-4o"},
        "calls": {"calls": [call(issued.key)]},
        "release": {"call_id": str(call_ids.new())},
    }
    ask(gateway, name, bodies[name], 503, "unavailable")


def test_a_release_of_no_id(gateway: Gateway) -> None:
    ask(gateway, "release", {"call_id": "1"}, 400, "invalid_field")


def test_rejected_calls_say_why_in_the_documented_words(
    gateway: Gateway, issued: IssuedKey, alice: User
) -> None:
    sell("golden", {"input_tokens": 10**15, "output_tokens": 1})
    first = call(issued.key)
    ask(gateway, "calls", {"calls": [first]}, 200)
    now_ms = int(timezone.now().timestamp() * 1000)
    old = call_ids.new(now_ms - 36 * 86_400_000)
    ahead = call_ids.new(now_ms + 11 * 60_000)
    other = keys.issue(give(alice, 1), "other")
    foreign = ask(gateway, "authorize", {"key": other.text, "model": "gpt-4o"}, 200)["call_id"]
    batch = [
        7,
        call(issued.key, status="done"),
        call(issued.key, call_id=str(old)),
        call(issued.key, call_id=str(ahead)),
        call(issued.key, usage={"tokens": 1}),
        call(issued.key, usage={"images": 10_001}),
        call(issued.key, token_id=2**40),
        call(issued.key, model="nothing"),
        call(issued.key, started_at=(timezone.now() - timedelta(hours=25)).isoformat()),
        call(issued.key, usage={"images": 1}),
        call(issued.key, call_id=foreign),
        {**first, "usage": {"input_tokens": 1}},
        call(issued.key, model="golden", usage={"input_tokens": 10**8}),
    ]
    results = ask(gateway, "calls", {"calls": batch}, 200)["results"]
    assert {result["result"] for result in results} == {"rejected"}
    found = {result["error"]["code"] for result in results}
    assert found == REJECTIONS.keys() - {"unpriced_model", "balance_out_of_bounds"}


@pytest.mark.parametrize("unit", list(UNITS))
def test_a_bound_is_the_same_in_the_document_and_in_the_code(
    gateway: Gateway, issued: IssuedKey, unit: str
) -> None:
    for quantity, is_fine in ((UNITS[unit].bound, True), (UNITS[unit].bound + 1, False)):
        report = call(issued.key, status="failed", usage={unit: quantity})
        (result,) = ask(gateway, "calls", {"calls": [report]}, 200)["results"]
        assert is_valid("Call", report) is is_fine
        assert (result["result"] == "accepted") is is_fine


def test_a_receipt_as_data_and_as_a_page(
    gateway: Gateway, issued: IssuedKey, client: Client, alice: User
) -> None:
    admission = ask(gateway, "authorize", {"key": issued.text, "model": "gpt-4o"}, 200)
    ask(gateway, "calls", {"calls": [call(issued.key, call_id=admission["call_id"])]}, 200)
    failed = call(issued.key, status="failed", usage={})
    ask(gateway, "calls", {"calls": [failed]}, 200)
    path = "/logs/{call_id}/"
    mine = f"/logs/{admission['call_id']}/"
    for headers in ({"Accept": "application/json"}, {"Accept": "text/html"}):
        assert_documented(client.get(mine, headers=headers), "get", path)
    client.force_login(alice)
    for call_id in (admission["call_id"], failed["call_id"], str(call_ids.new())):
        for headers in ({"Accept": "application/json"}, {"Accept": "text/html"}):
            assert_documented(client.get(f"/logs/{call_id}/", headers=headers), "get", path)
    assert_documented(client.post(mine), "get", path)


def test_the_webhook_and_what_else_anybody_may_ask(client: Client) -> None:
    webhook = "/wallet/stripe/webhook/"
    body: dict[str, Any] = {"data": b"{}", "content_type": "application/json"}
    for response in (
        client.post(webhook, **body),
        client.post(webhook, headers={"Stripe-Signature": "t=1,v1=0"}, **body),
        client.post(webhook, b" " * (1024 * 1024 + 1), content_type="application/json"),
        client.get(webhook),
    ):
        assert_documented(response, "post", webhook)
    for path in ("/healthz", "/readyz", "/api/openapi.json"):
        assert_documented(client.get(path), "get", path)
        assert_documented(client.post(path), "get", path)


def test_a_site_without_a_database_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr("cometsite.health._is_migrated", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert_documented(response, "get", "/readyz")


OTHER_METHODS = [
    (method, path)
    for path, item in sorted(DOCUMENT["paths"].items())
    for method in ("get", "post", "put", "patch", "delete")
    if method not in item
]


@pytest.mark.parametrize(("method", "path"), OTHER_METHODS)
def test_another_method_is_refused_as_documented(method: str, path: str) -> None:
    """From a program, which has no form's token."""
    documented = DOCUMENT["paths"][path]
    address = (
        path.replace("{call_id}", str(call_ids.new())).replace("{code}", "gpt-4o").replace("{user_id}", "3")
    )
    response = getattr(Client(enforce_csrf_checks=True), method)(address)
    assert response.status_code == (403 if path.startswith("/logs/") else 405)
    assert_documented(response, next(iter(documented)), path)


HOSTILE = ["?x=%00", f"?x=sk-{'a' * 54}", "?x=%ff"]


@pytest.mark.parametrize("path", sorted(path for path, item in DOCUMENT["paths"].items() if "get" in item))
@pytest.mark.parametrize("query", HOSTILE)
def test_what_no_address_may_have_is_refused_as_documented(client: Client, path: str, query: str) -> None:
    address = path.replace("{call_id}", str(call_ids.new())).replace("{code}", "gpt-4o")
    assert_documented(client.get(f"{address}{query}"), "get", path)


def test_an_outage_is_told_in_the_form_of_the_api(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.raise_request_exception = False

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("tokens.keys.find", fail)
    for error in (OperationalError("gone"), ZeroDivisionError()):
        for path in (
            "/v1/models",
            "/api/v1/key",
            "/api/usage/token",
            "/user/quota?key=sk-x",
            "/api/log/self",
        ):
            response = client.get(path, headers={"Authorization": "Bearer sk-x"})
            assert response.status_code == (503 if isinstance(error, OperationalError) else 500)
            assert_documented(response, "get", path.partition("?")[0])
