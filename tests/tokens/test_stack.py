"""On a running site with several processes: what becomes of a key holds for all of them, and soon."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest
import requests

from tests.planted.conftest import acted, made, signed_up
from tests.planted.visitor import Visitor
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
WITHIN_S = 5.0
# So many questions in a row reach both processes of the web server, and stay below what a key may ask in a minute.
ROUNDS = 6
BALANCES = (
    "/v1/dashboard/billing/subscription", "/dashboard/billing/usage", "/api/usage/token", "/v1/models", "/api/v1/key",
    "/api/v1/credits",
)  # fmt: skip
OF_ACCOUNT = ("/api/user/self", "/api/user/self/stats", "/api/token/", "/api/log/self", "/api/task/self")


@dataclass
class Desk:
    stack: Stack
    person: Visitor
    gateway_key: str

    def admits(self, text: str, gateway_key: str | None = None) -> int:
        """Whether a call is let in, which then never happens."""
        answer = self._ask("authorize", {"key": text, "model": "gpt-4o-mini"}, gateway_key)
        if answer.status_code == 200:
            assert self._ask("release", {"call_id": answer.json()["call_id"]}).status_code == 204
        return answer.status_code

    def _ask(self, name: str, body: dict[str, str], gateway_key: str | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {gateway_key or self.gateway_key}"}
        return requests.post(
            f"{self.stack.base_url}/metering/v1/{name}", json=body, headers=headers, timeout=20
        )

    def tells(self, path: str, text: str) -> int:
        headers = {"Authorization": f"Bearer {text}"}
        return requests.get(self.stack.base_url + path, headers=headers, timeout=20).status_code

    def everywhere(self, text: str) -> dict[str, Callable[[], int]]:
        """Each place that an inference key is good for."""
        balances = {path: partial(self.tells, path, text) for path in BALANCES}
        by_address = partial(self.tells, f"/user/quota?key={text}", "")
        return {"authorize": partial(self.admits, text), **balances, "/user/quota": by_address}


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Desk:
    gateway_key = stack.manage("create_gateway_key", "desk").strip()
    return Desk(stack, signed_up(stack)[0], gateway_key)


def settled(ask: Callable[[], int], expected: int) -> bool:
    """Whether every process gives this answer, 5 seconds from now at the latest."""
    give_up_at = time.monotonic() + WITHIN_S
    while time.monotonic() < give_up_at:
        if all(ask() == expected for _ in range(ROUNDS)):
            return True
    return False


def wrong(asks: Mapping[str, Callable[[], int]], expected: int) -> list[str]:
    return [name for name, ask in asks.items() if not settled(ask, expected)]


def key_id(desk: Desk) -> int:
    """Of the key that was made last."""
    with psycopg.connect(desk.stack.env["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT max(id) FROM tokens_apikey").fetchone()
        assert row
        return int(row[0])


def test_disable_enable_and_revoke_an_inference_key(desk: Desk) -> None:
    text = made(desk.person, "inference")
    key, asks = key_id(desk), desk.everywhere(text)
    assert wrong(asks, 200) == []
    acted(desk.person, key, "disable")
    assert settled(asks["authorize"], 401)
    # It may still see why.
    assert wrong({name: ask for name, ask in asks.items() if name != "authorize"}, 200) == []
    acted(desk.person, key, "enable")
    assert wrong(asks, 200) == []
    acted(desk.person, key, "revoke")
    assert wrong(asks, 401) == []


def test_disable_enable_and_revoke_an_access_token(desk: Desk) -> None:
    text = made(desk.person, "account")
    key = key_id(desk)
    asks = {path: partial(desk.tells, path, text) for path in OF_ACCOUNT}
    for act, expected in (("", 200), ("disable", 403), ("enable", 200), ("revoke", 401)):
        if act:
            acted(desk.person, key, act)
        assert wrong(asks, expected) == [], act


def test_a_rotated_key_is_good_under_both_texts_until_the_overlap_ends(desk: Desk) -> None:
    before = made(desk.person, "inference")
    key = key_id(desk)
    after = acted(desk.person, key, "rotate", overlap="1h")
    old, new = desk.everywhere(before), desk.everywhere(after)
    assert wrong(old, 200) == wrong(new, 200) == []
    with psycopg.connect(desk.stack.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "UPDATE tokens_apikey SET previous_until = now() + interval '4 s' WHERE id = %s", [key]
        )
        ends_at = time.monotonic() + 4
    while time.monotonic() < ends_at - 1:
        assert {asks[name]() for asks in (old, new) for name in ("authorize", "/v1/models")} == {200}
        time.sleep(0.3)
    time.sleep(max(ends_at - time.monotonic(), 0))
    assert wrong(old, 401) == []
    assert wrong(new, 200) == []


def test_a_gateway_key_that_is_revoked(desk: Desk) -> None:
    text = made(desk.person, "inference")
    gateway_key = desk.stack.manage("create_gateway_key", "gone").strip()
    assert settled(partial(desk.admits, text, gateway_key), 200)
    with psycopg.connect(desk.stack.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("UPDATE tokens_gatewaykey SET revoked_at = now() WHERE name = 'gone'")
    time.sleep(WITHIN_S)
    assert {desk.admits(text, gateway_key) for _ in range(ROUNDS)} == {401}
    assert desk.admits(text) == 200
