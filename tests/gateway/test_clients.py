"""The published clients, unchanged, against the real LiteLLM Proxy behind our door; each call is then in the log.

What a client was told that it used is what its receipt counts, and the charge is that usage by the public price list.
"""

import json
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.customers import Customer, Receipt, rated_nanousd
from tests.gateway.libraries import Library, Outcome, node_library, python_library
from tests.gateway.running import RunningGateway

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

GPT, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"
BASES = ["/v1/", "/v1/chat/completions/", "/"]
NAMES = ["openai", "anthropic", "langchain", "node"]
# The machine may be busy with the other tests; the journey holds the two seconds.
SEEN_S = 20.0


@pytest.fixture(scope="module")
def customer(gateway: RunningGateway) -> Customer:
    found = Customer(gateway.stack)
    found.top_up(5)
    return found


@pytest.fixture(scope="module")
def key(customer: Customer) -> str:
    return customer.key()


@pytest.fixture(params=NAMES)
def library(request: pytest.FixtureRequest) -> Library:
    return _library(request, request.param)


@pytest.fixture
def openai(request: pytest.FixtureRequest) -> Library:
    return _library(request, "openai")


def _library(request: pytest.FixtureRequest, name: str) -> Library:
    if name == "node":
        modules: Path = request.getfixturevalue("node_modules")
        return node_library(shutil.which("node") or "", modules, GPT)
    python: Path = request.getfixturevalue("clients_python")
    return python_library(name, python, CLAUDE if name == "anthropic" else GPT)


@pytest.fixture(scope="module")
def prices(gateway: RunningGateway) -> dict[str, Any]:
    """The public price list, by model."""
    status, body = gateway.stack.get("/api/pricing")
    assert status == 200
    return {model["id"]: model["price"] for model in json.loads(body)["data"]}


def booked(customer: Customer, library: Library, outcome: Outcome, prices: dict[str, Any]) -> Receipt:
    """Its receipt, which says what the client was told."""
    receipt = customer.receipt(outcome["call_id"], within_s=SEEN_S)
    assert receipt.told["status"] == "succeeded"
    assert receipt.usage == library.units(outcome["usage"])
    assert receipt.charged_nanousd == rated_nanousd(prices[receipt.told["model"]], receipt.usage) > 0
    return receipt


def test_every_base_url_serves_every_library(
    gateway: RunningGateway, customer: Customer, key: str, library: Library, prices: dict[str, Any]
) -> None:
    steps = [
        {"do": do, "say": say, "base_url": gateway.url + base}
        for base in BASES
        for do, say in (("chat", "Hello from here."), ("stream", "cache and reason"))
    ]
    outcomes = library.do("", key, steps)
    assert len(outcomes) == len(steps)
    for step, outcome in zip(steps, outcomes, strict=True):
        assert f"You said: {step['say']}" in outcome.get("text", ""), (step, outcome)
        assert outcome["sent"] == 1
        receipt = booked(customer, library, outcome, prices)
        if step["do"] == "stream":
            assert outcome["parts"] > 10
            assert "cached_input_tokens" in receipt.usage


def test_tools_are_called(
    gateway: RunningGateway, customer: Customer, key: str, library: Library, prices: dict[str, Any]
) -> None:
    outcome = library.one(f"{gateway.url}{_own_base(library)}", key, "tool", say="use a tool")
    assert outcome["tool"] == ["weather", {"place": "use a tool"}]
    assert outcome["finish"] in ("tool_calls", "tool_use")
    booked(customer, library, outcome, prices)


def test_one_key_serves_every_model_by_its_name(
    gateway: RunningGateway, customer: Customer, key: str, library: Library, prices: dict[str, Any]
) -> None:
    """Claude in OpenAI's format, and GPT in Anthropic's."""
    base = gateway.url + _own_base(library)
    other = GPT if library.name == "anthropic" else CLAUDE
    for outcome in library.do(base, key, [{"do": do, "model": other} for do in ("chat", "stream")]):
        assert "You said: Hello." in outcome.get("text", ""), outcome
        assert booked(customer, library, outcome, prices).told["model"] == other


def test_models_are_those_that_the_key_may_call(
    gateway: RunningGateway,
    customer: Customer,
    key: str,
    prices: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    narrow = customer.key(models=f"{GPT}\n{CLAUDE}")
    steps: list[dict[str, str]] = [{"do": "models", "base_url": gateway.url + base} for base in BASES]
    for name in ("openai", "anthropic", "node"):
        *few, everything = _library(request, name).do("", narrow, [*steps, {**steps[0], "key": key}])
        assert [sorted(told["models"]) for told in few] == [sorted([GPT, CLAUDE])] * 3
        assert set(everything["models"]) == set(prices)


def test_responses_embeddings_and_images(
    gateway: RunningGateway, customer: Customer, key: str, openai: Library, prices: dict[str, Any]
) -> None:
    steps = [
        {"do": "respond"},
        {"do": "respond_streaming"},
        {"do": "embed", "model": "text-embedding-3-small"},
    ]
    for outcome in openai.do(f"{gateway.url}/v1/", key, steps):
        booked(customer, openai, outcome, prices)
        assert "You said: Hello." in outcome["text"] if "text" in outcome else outcome["size"] == 8
        assert not outcome["usage"].get("cost"), "by LiteLLM's prices, which are not ours"
    image = openai.one(f"{gateway.url}/v1/", key, "image", model="gpt-image-1", say="A tree.")
    assert image["images"] == 1
    assert customer.receipt(image["call_id"], within_s=SEEN_S).charged_nanousd > 0


def test_hanging_up_in_mid_stream_is_charged_what_the_provider_counted(
    gateway: RunningGateway, customer: Customer, key: str, library: Library, prices: dict[str, Any]
) -> None:
    base = gateway.url + _own_base(library)
    outcome = library.one(base, key, "leave", say="take long")
    assert outcome["parts"] == 3
    receipt = customer.receipt(outcome["call_id"], within_s=60)
    assert receipt.told["status"] == "succeeded"
    assert receipt.usage["input_tokens"] > 0
    assert receipt.usage["output_tokens"] > 100, "of the whole answer, not of three words"
    assert receipt.told["is_estimated"] is False
    assert receipt.charged_nanousd == rated_nanousd(prices[library.model], receipt.usage)


def test_refusals_are_the_errors_of_the_library(
    gateway: RunningGateway, customer: Customer, library: Library
) -> None:
    """Each at the first request: to send the same again would be no use, and no client does."""
    base = gateway.url + _own_base(library)
    refused = {
        "AuthenticationError": (401, {"key": "sk-nobody-has-this-key"}),
        "NotFoundError": (404, {"model": "gpt-none"}),
        "PermissionDeniedError": (403, {"key": customer.key(networks="192.0.2.0/24")}),
    }
    steps = [{"do": do, **wrong} for _, wrong in refused.values() for do in ("chat", "stream")]
    steps.append({"do": "chat", "key": customer.key(models="gpt-4o")})
    outcomes = library.do(base, customer.key(), steps)
    expected = [(name, status) for name, (status, _) in refused.items() for _ in range(2)]
    expected.append(("PermissionDeniedError", 403))
    for (name, status), outcome in zip(expected, outcomes, strict=True):
        assert name in outcome.get("error", ()), outcome
        assert (outcome["status"], outcome["sent"]) == (status, 1), outcome


def test_without_money_is_what_the_libraries_take_for_that(gateway: RunningGateway, library: Library) -> None:
    poor = Customer(gateway.stack)
    key, base = poor.key(), gateway.url + _own_base(library)
    spend_it_all(gateway, poor, key)
    before = poor.balance_nanousd
    (outcome,) = library.do(base, key, [{"do": "stream"}])
    if library.name == "anthropic":
        assert (outcome["status"], outcome["type"]) == (402, "billing_error"), outcome
    else:
        assert "RateLimitError" in outcome["error"]
        assert (outcome["status"], outcome["code"], outcome["type"]) == (429, *["insufficient_quota"] * 2)
    assert outcome["sent"] == 1, "clients must not try again what only a top-up mends"
    assert poor.balance_nanousd == before < 0
    poor.top_up(1)
    assert library.one(base, key, "chat")["text"]


def spend_it_all(gateway: RunningGateway, customer: Customer, key: str) -> None:
    """One call whose charge is above the starter credit."""
    told = ask(
        f"{gateway.url}/v1/chat/completions",
        {"Authorization": f"Bearer {key}"},
        {"model": "gpt-4", "messages": [{"role": "user", "content": "much " * 4_000}]},
    )
    assert told["usage"]["prompt_tokens"] > 4_000
    give_up_at = time.monotonic() + SEEN_S
    while customer.balance_nanousd > 0:
        assert time.monotonic() < give_up_at, "the charge did not arrive"
        time.sleep(0.1)


def ask(url: str, headers: dict[str, str], body: object) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own http
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found


def test_a_provider_that_fails_is_tried_again_and_costs_nothing(
    gateway: RunningGateway, customer: Customer, key: str, library: Library
) -> None:
    base = gateway.url + _own_base(library)
    before = customer.balance_nanousd
    busy, broken = library.do(
        base,
        key,
        [{"do": "chat", "say": "fail with 429"}, {"do": "chat", "say": "fail with 500"}],
        **{"maxRetries" if library.name == "node" else "max_retries": 1},
    )
    assert ("RateLimitError" in busy["error"], busy["status"], busy["sent"]) == (True, 429, 2), busy
    assert ("InternalServerError" in broken["error"], broken["status"], broken["sent"]) == (True, 502, 2), (
        broken
    )
    for outcome in (busy, broken):
        assert "litellm" not in outcome["message"].lower()
        receipt = customer.receipt(outcome["call_id"], within_s=SEEN_S)
        assert (receipt.told["status"], receipt.charged_nanousd) == ("failed", 0)
    assert customer.balance_nanousd == before


def _own_base(library: Library) -> str:
    """What the library's own documentation has: Anthropic's appends /v1 itself."""
    return "/" if library.name == "anthropic" else "/v1/"
