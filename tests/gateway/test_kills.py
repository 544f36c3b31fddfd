"""Kills of the gateway and of the dashboard under load: what clients remember, compared to the log, to the call."""

import shutil
import signal
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.gateway.customers import Customer
from tests.gateway.loads import MODEL, Load, Remembered, findings, wait_until_told, waiting
from tests.gateway.running import RunningGateway
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

CREDIT_NANOUSD = 100_000_000
GRACE_S = 5.0
AWAY_S = 20.0
BACK_WITHIN_S = 2.0


@pytest.fixture(scope="module")
def short_of_patience(
    stack: Stack, gateway_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with a grace of a few seconds."""
    settings = {"GATEWAY_GRACE_S": f"{GRACE_S:g}"}
    running = RunningGateway(
        stack, gateway_python, tmp_path_factory.mktemp("killed") / "data", settings=settings
    )
    try:
        yield running.up()
    finally:
        running.down()


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


def test_a_gateway_that_is_killed_loses_no_call_that_a_client_has_whole(
    stack: Stack, short_of_patience: RunningGateway, customer: Customer
) -> None:
    gateway, key = short_of_patience, customer.key()
    with Load(gateway, key) as remembered:
        for _ in range(2):
            _let_serve(gateway, remembered)
            gateway.down(signal.SIGKILL)
            gateway.up()
        _let_serve(gateway, remembered)
    wait_until_told(gateway)
    assert _findings(stack, customer, remembered) == []
    assert remembered.lost + len(remembered.begun) > len(remembered.whole), "no call was under way at a kill"


def test_while_the_dashboard_is_away_known_keys_are_served_for_the_grace(
    stack: Stack, short_of_patience: RunningGateway, customer: Customer
) -> None:
    gateway, key, unknown = short_of_patience, customer.key(), customer.key()
    with Load(gateway, key) as remembered:
        _let_serve(gateway, remembered)
        stack.stop("web")
        went_at = time.monotonic()
        _refuses(gateway, unknown)
        stack.wait_for(lambda: time.monotonic() > went_at + AWAY_S, AWAY_S + 10)
        _refuses(gateway, key)
        _is_not_ready(gateway)
        served = [at for at in remembered.served_at if at > went_at]
        assert len(served) > 5
        assert max(served) - went_at < GRACE_S + 5
        stack.start("web")
        stack.wait_for(lambda: stack.get("/healthz")[0] == 200, 60)
        back_at = time.monotonic()
        stack.wait_for(lambda: remembered.served_at[-1] > back_at, BACK_WITHIN_S)
    wait_until_told(gateway)
    assert remembered.refused[503] > 0
    assert _findings(stack, customer, remembered) == []


def test_both_killed_and_then_all_reports_sent_again(
    stack: Stack, short_of_patience: RunningGateway, customer: Customer
) -> None:
    gateway, key = short_of_patience, customer.key()
    with Load(gateway, key) as remembered:
        _let_serve(gateway, remembered)
        stack.stop("web")
        gateway.wait_for(lambda: waiting(gateway) > 5, 60)
        gateway.down(signal.SIGKILL)
        copied = _copy(gateway.data_dir)
        stack.start("web")
        gateway.up()
        _let_serve(gateway, remembered)
    wait_until_told(gateway)
    assert _findings(stack, customer, remembered) == []
    balance = customer.balance_nanousd

    gateway.down(signal.SIGKILL)
    sent_again = _put_back(copied, gateway.data_dir)
    gateway.up()
    wait_until_told(gateway)
    assert sent_again > 5
    assert customer.balance_nanousd == balance
    assert _findings(stack, customer, remembered) == []


def test_without_its_broker_the_dashboard_lets_in_and_charges(
    stack: Stack, short_of_patience: RunningGateway, customer: Customer
) -> None:
    gateway, key = short_of_patience, customer.key()
    stack.stop("valkey")
    try:
        with Load(gateway, key) as remembered:
            _let_serve(gateway, remembered)
        wait_until_told(gateway)
        assert _findings(stack, customer, remembered) == []
        assert not remembered.refused
    finally:
        stack.start("valkey")


def _let_serve(gateway: RunningGateway, remembered: Remembered, count: int = 20) -> None:
    """Until so many more calls were answered."""
    enough = len(remembered.served_at) + count
    gateway.wait_for(lambda: len(remembered.served_at) >= enough, 120)


def _findings(stack: Stack, customer: Customer, remembered: Remembered) -> list[str]:
    return findings(stack.env["DATABASE_URL"], customer.email, remembered, CREDIT_NANOUSD)


def _refuses(gateway: RunningGateway, key: str) -> None:
    """With an answer that clients take for a reason to wait, each in its own format."""
    asked = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    for path, is_it in FORMATS.items():
        answer = httpx2.post(gateway.url + path, json=asked, headers={"x-api-key": key}, timeout=20)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert is_it(answer.json())


FORMATS: dict[str, Callable[[Any], bool]] = {
    "/v1/chat/completions": lambda told: told["error"]["code"] == "service_unavailable",
    "/v1/messages": lambda told: told["error"]["type"] == "overloaded_error",
}


def _is_not_ready(gateway: RunningGateway) -> None:
    with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=10) as answer:  # noqa: S310 - our own http
        assert b"degraded" in answer.read()


def _copy(folder: Path) -> Path:
    """Of a journal whose gateway does not run, with what is not in its main file yet."""
    return Path(shutil.copytree(folder, folder.with_name("copied")))


def _put_back(copied: Path, folder: Path) -> int:
    """Returns how many calls there are in it."""
    for name in ("journal.sqlite3", "journal.sqlite3-wal", "journal.sqlite3-shm"):
        (folder / name).unlink(missing_ok=True)
        if (copied / name).exists():
            shutil.copy(copied / name, folder / name)
    journal = sqlite3.connect(folder / "journal.sqlite3")
    try:
        return int(journal.execute("SELECT count(*) FROM calls").fetchone()[0])
    finally:
        journal.close()
