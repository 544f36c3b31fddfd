"""The fault switches: what the client sees, what was done all the same, and that a seed repeats it."""

import time
from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import Sandbox, payment


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("faulty"))
    with sandbox.running():
        yield sandbox


@pytest.fixture
def sandbox(faulty: Sandbox) -> Iterator[Sandbox]:
    yield faulty
    assert faulty.request("DELETE", "/_sandbox/faults").status == 200


def create(sandbox: Sandbox, key: str | None = None) -> Any:
    headers = {"Idempotency_Key": key} if key else {}
    return sandbox.request("POST", "/v1/customers", {"name": "A"}, **headers)


def customers(sandbox: Sandbox) -> int:
    return len(sandbox.request("GET", "/v1/customers?limit=100").json["data"])


def test_an_error_before_does_nothing_and_keeps_nothing(sandbox: Sandbox) -> None:
    before = customers(sandbox)
    sandbox.command("faults", kind="error_before", method="POST", times=1)
    failed = create(sandbox, "before")
    assert (failed.status, failed.error["type"]) == (500, "api_error")
    assert failed.headers["Request-Id"]
    assert customers(sandbox) == before
    assert create(sandbox, "before").status == 200
    assert customers(sandbox) == before + 1


def test_an_error_after_stays_with_its_key(sandbox: Sandbox) -> None:
    before = customers(sandbox)
    sandbox.command("faults", kind="error_after", method="POST", times=1)
    first = create(sandbox, "after")
    assert first.status == 500
    assert customers(sandbox) == before + 1
    for _ in range(2):
        again = create(sandbox, "after")
        assert (again.status, again.json) == (500, first.json)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert create(sandbox, "after-anew").status == 200
    assert customers(sandbox) == before + 2


def test_an_error_after_leaves_a_refusal_and_a_replay_as_they_are(sandbox: Sandbox) -> None:
    good = create(sandbox, "good")
    sandbox.command("faults", kind="error_after", method="POST")
    assert create(sandbox, "good").json == good.json
    assert sandbox.request("POST", "/v1/customers", {"nmae": "A"}).status == 400


def test_a_timeout_after_has_done_it(sandbox: Sandbox) -> None:
    before = customers(sandbox)
    sandbox.command("faults", kind="timeout_after", method="POST", times=1, seconds="0.3")
    began = time.monotonic()
    with pytest.raises(RemoteDisconnected):
        create(sandbox, "silent")
    assert time.monotonic() - began >= 0.3
    assert customers(sandbox) == before + 1
    assert create(sandbox, "silent").headers["Idempotent-Replayed"] == "true"
    assert customers(sandbox) == before + 1


@pytest.mark.parametrize(("kind", "done"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_reaches_the_client_as_one(sandbox: Sandbox, kind: str, done: int) -> None:
    before = customers(sandbox)
    sandbox.command("faults", kind=kind, method="POST", times=1)
    with pytest.raises(ConnectionResetError):
        create(sandbox)
    assert customers(sandbox) == before + done


def test_slow_answers_are_right(sandbox: Sandbox) -> None:
    sandbox.command("faults", kind="slow", seconds="0.3")
    began = time.monotonic()
    assert create(sandbox).status == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(("should_retry", "attempts"), [(None, 1), ("true", 3), ("false", 1)])
def test_the_library_retries_a_429_only_where_it_is_told(
    sandbox: Sandbox, should_retry: str | None, attempts: int
) -> None:
    more = {"should_retry": should_retry} if should_retry else {}
    sandbox.command("faults", kind="rate_limit", **more)
    with pytest.raises(stripe.RateLimitError) as caught:
        sandbox.client(max_network_retries=2).v1.customers.create({})
    assert '"rate_limit"' in str(caught.value.http_body)
    assert (caught.value.headers or {}).get("Stripe-Should-Retry") == should_retry
    [switch] = sandbox.request("GET", "/_sandbox/faults").json["faults"]
    assert switch["acted"] == attempts


def test_the_library_gets_over_what_was_done_without_an_answer(sandbox: Sandbox) -> None:
    before = customers(sandbox)
    for kind in ("reset_after", "reset_before", "error_before"):
        sandbox.command("faults", kind=kind, method="POST", times=1)
        sandbox.client(max_network_retries=2).v1.customers.create({})
    assert customers(sandbox) == before + 3


def outcomes(sandbox: Sandbox, seed: str) -> list[int]:
    sandbox.command("faults", kind="error_before", share=40, method="GET", path="/v1/events*", seed=seed)
    found = [sandbox.request("GET", "/v1/events").status for _ in range(40)]
    sandbox.request("DELETE", "/_sandbox/faults")
    return found


def test_a_share_follows_its_seed(sandbox: Sandbox) -> None:
    first = outcomes(sandbox, "a")
    assert 5 < first.count(500) < 30
    assert outcomes(sandbox, "a") == first
    assert outcomes(sandbox, "b") != first


def test_only_what_fits_fails(sandbox: Sandbox) -> None:
    sandbox.command("faults", kind="error_before", method="POST", path="/v1/checkout/sessions/*/expire")
    session = sandbox.request("GET", "/v1/checkout/sessions")
    assert (session.status, create(sandbox).status) == (200, 200)
    made = sandbox.client().v1.checkout.sessions.create(payment())
    assert sandbox.request("POST", f"/v1/checkout/sessions/{made.id}/expire").status == 500
    assert sandbox.client().v1.checkout.sessions.retrieve(made.id).status == "open"


def test_switches_are_shown_and_cleared_one_by_one(sandbox: Sandbox) -> None:
    first = sandbox.command("faults", kind="slow", seconds=0)["fault"]
    second = sandbox.command("faults", kind="error_before")["fault"]
    assert sandbox.request("DELETE", f"/_sandbox/faults/{second['id']}").json == {"cleared": 1}
    assert create(sandbox).status == 200
    [kept] = sandbox.request("GET", "/_sandbox/faults").json["faults"]
    assert (kept["id"], kept["seen"], kept["acted"]) == (first["id"], 1, 1)
    assert sandbox.request("DELETE", "/_sandbox/faults/999").json == {"cleared": 0}


@pytest.mark.parametrize(
    "fields",
    [{}, {"kind": "no"}, {"kind": "slow", "share": 101}, {"kind": "slow", "seconds": "-1"},
     {"kind": "slow", "seconds": "nan"}, {"kind": "slow", "times": 0}, {"kind": "slow", "shrae": 5}],
)  # fmt: skip
def test_a_switch_that_makes_no_sense_is_refused(sandbox: Sandbox, fields: dict[str, Any]) -> None:
    assert sandbox.request("POST", "/_sandbox/faults", fields).status == 400
    assert sandbox.request("GET", "/_sandbox/faults").json == {"faults": []}


def test_switches_outlive_a_restart(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    with sandbox.running():
        sandbox.command("faults", kind="error_before", times=2)
        assert create(sandbox).status == 500
        sandbox.stop()
        sandbox.start()
        assert [create(sandbox).status for _ in range(2)] == [500, 200]


def test_keys_are_forgotten_at_once_and_after_a_day(sandbox: Sandbox) -> None:
    def made(key: str) -> str:
        return str(create(sandbox, key).json["id"])

    first = made("pruned")
    assert made("pruned") == first
    assert sandbox.command("idempotency/forget")["forgotten"] >= 1
    second = made("pruned")
    assert second != first
    sandbox.command("clock", seconds=86_300)
    assert made("pruned") == second
    sandbox.command("clock", seconds=200)
    assert made("pruned") != second
