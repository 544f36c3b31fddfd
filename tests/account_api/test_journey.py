"""CometAPI's published command-line tool, unchanged but for the host, against the real quick start.

Somebody signs up, pays, gets a part of it back, and calls models; then every command's figures are held against the books.
"""

import csv
import io
import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.account_api.cometapi_cli import ledger
from tests.account_api.cometapi_cli.ledger import BookedCall, Ledger
from tests.account_api.cometapi_cli.tool import NotInstalled, Tool, install
from tests.chaos.shoppers import PASSWORD, Browser
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

EMAIL = "tool@example.com"
USD = 10**9
USED: list[tuple[str, str, dict[str, int], dict[str, Any]]] = [
    (
        "gpt-4o",
        "succeeded",
        {"input_tokens": 1200, "output_tokens": 300},
        {"latency_ms": 1500, "stream": True},
    ),
    ("gpt-4o", "succeeded", {"input_tokens": 17, "cached_input_tokens": 1024, "output_tokens": 5}, {}),
    ("gpt-4o-mini", "succeeded", {"input_tokens": 3}, {"upstream_id": "chatcmpl-x"}),
    ("gpt-4o", "failed", {}, {"error": "=cmd|' /C calc'!A0"}),
    ("suno_music", "succeeded", {"calls": 1}, {"endpoint": "/suno/submit/music", "latency_ms": 90_000}),
]


@dataclass(frozen=True, slots=True)
class Scene:
    """The tool of who paid and called, that of staff, and the books."""

    tool: Tool
    staff: Tool
    books: Ledger
    key: str

    @property
    def calls(self) -> list[BookedCall]:
        return self.books.calls


@pytest.fixture(scope="module")
def scene(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("cometapi-cli")
    try:
        python = install(folder / "venv")
    except NotInstalled as error:
        pytest.skip(f"COMETAPI-CLI COULD NOT BE INSTALLED, so the published tool was not tried: {error}")
    browser = Browser(stack.base_url)
    status, where = browser.post("/accounts/signup/", "/accounts/signup/", email=EMAIL, password1=PASSWORD)
    assert (status, where) == (302, "/wallet/")
    with ledger.opened(stack.env["DATABASE_URL"], EMAIL) as books:
        pay(stack, browser, books)
        _, page = browser.post("/tokens/", "/tokens/", name="laptop")
        key = found(r'id="new-key"[^>]*>\s*(sk-\w+)', page)
        browser.post("/tokens/", "/tokens/", name="unused")
        call_models(stack, key)
        token = stack.manage("create_access_token", EMAIL).strip()
        os.environ["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
        stack.manage("createsuperuser", "--no-input", "--email", "operator@example.com")
        staff = stack.manage("create_access_token", "operator@example.com").strip()
        homes = [folder / name for name in ("home", "staff")]
        for home in homes:
            home.mkdir()
        yield Scene(
            Tool(python, homes[0], stack.base_url, key, token),
            Tool(python, homes[1], stack.base_url, "", staff),
            books,
            key,
        )


def pay(stack: Stack, browser: Browser, books: Ledger) -> None:
    """$5 and $2.50 are paid, and $1 of it goes back."""
    for amount, balance in (("5", 51 * USD // 10), ("2.50", 76 * USD // 10)):
        status, where = browser.post("/wallet/", "/wallet/top-ups/", amount=amount)
        assert status == 303
        session = where.rstrip("/").rsplit("/", 1)[-1]
        request = urllib.request.Request(  # noqa: S310 - our own http
            f"{stack.env['STRIPE_API_BASE']}/_sandbox/sessions/{session}/pay",
            b"method=card",
            {"Authorization": f"Bearer {stack.env['STRIPE_SECRET_KEY']}"},
        )
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310
        stack.wait_for(partial(books.has, balance), 60)
    status, _ = browser.post("/wallet/", "/wallet/refunds/", amount="1")
    assert status in (302, 303)
    stack.wait_for(partial(books.has, 66 * USD // 10), 60)


def call_models(stack: Stack, key: str) -> None:
    gateway = stack.manage("create_gateway_key", "tool").strip()
    for model, status, usage, more in USED:
        admitted = ask(stack, gateway, "authorize", {"key": key, "model": model})
        told = {name: admitted[name] for name in ("call_id", "token_id", "model")}
        now = datetime.now(UTC).isoformat()
        report = {**told, **more, "started_at": now, "status": status, "usage": usage}
        (result,) = ask(stack, gateway, "calls", {"calls": [report]})["results"]
        assert result["result"] == "accepted", result
        time.sleep(0.002)  # So that the next call's id is of a later millisecond.


def ask(stack: Stack, gateway: str, name: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own http
        f"{stack.base_url}/metering/v1/{name}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {gateway}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        told: dict[str, Any] = json.loads(answer.read())
        return told


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def units(nanousd: int) -> int:
    """Quota units that a charge counts for: whole ones, rounded up."""
    return -(-nanousd // 2_000)


def test_balance(scene: Scene) -> None:
    left, spent = scene.books.balance_nanousd, scene.books.spent_nanousd
    assert left + spent == 66 * USD // 10
    account = scene.tool.run("balance", "--source", "account", "--json").json
    assert account["source"] == "user"
    assert account["balance"] == left // 2_000 / 500_000
    assert account["used"] == units(spent) / 500_000
    assert account["total_topped_up"] == 6.6
    key = scene.tool.run("balance", "--source", "key", "--json").json
    assert key["source"] == "billing"
    assert key["used"] == pytest.approx(spent / USD, abs=1e-9)
    assert key["balance"] == pytest.approx(left / USD, abs=1e-9)
    assert f"${left / USD:,.2f}" in scene.tool.run("balance").text


def test_account(scene: Scene) -> None:
    told = scene.tool.run("account", "--json").json
    assert (told["id"], told["email"], told["role"], told["status"]) == (scene.books.owner_id, EMAIL, 1, 1)
    assert told["username"] == f"user-{scene.books.owner_id}"
    assert told["request_count"] == len(scene.calls)
    assert EMAIL in scene.tool.run("account").text


def test_stats(scene: Scene) -> None:
    told = scene.tool.run("stats", "--json").json
    assert told["month_req_count"] == len(scene.calls) == 5
    assert told["month_usage"] == pytest.approx(scene.books.spent_nanousd / USD, abs=1e-12)
    assert (told["month_success_rate"], told["req_rate"]) == (80.0, 100.0)
    assert told["predicted_days"] == scene.books.balance_nanousd // scene.books.spent_nanousd
    assert "80.0%" in scene.tool.run("stats").text


def test_tokens(scene: Scene) -> None:
    listed = scene.tool.run("tokens", "--json").json
    assert [row["name"] for row in listed] == ["unused", "laptop"]
    unused, laptop = listed
    assert laptop["used_quota"] == units(scene.books.spent_nanousd)
    assert (unused["used_quota"], unused["accessed_time"]) == (0, 0)
    assert laptop["key"] == f"{scene.key[:11]}…{scene.key[-4:]}"
    text = scene.tool.run("tokens").text
    assert f"****{scene.key[-4:]}" in text
    assert text.count("Unlimited") == text.count("Never") == 2
    for search, names in (
        ("lap", ["laptop"]),
        (scene.key, ["laptop"]),
        ("%_%_%", []),
        (scene.key[:11], ["laptop"]),
    ):
        assert [row["name"] for row in scene.tool.run("tokens", "--search", search, "--json").json] == names


def test_the_key_that_was_searched_for_is_in_no_log(scene: Scene, stack: Stack) -> None:
    assert scene.tool.run("tokens", "--search", scene.key).code == 0
    logs = [file for file in stack.data_dir.rglob("*.log") if file.is_file()]
    assert len(logs) >= 4
    for file in logs:
        assert scene.key.encode() not in file.read_bytes(), file


def test_logs(scene: Scene) -> None:
    rows = scene.tool.run("logs", "--json", "--limit", "100").json
    assert [row["type"] for row in rows] == [
        "consume",
        "error",
        *["consume"] * 3,
        "refund",
        "topup",
        "topup",
        "system",
    ]
    booked = {call.id: call for call in scene.calls}
    for row in rows[:5]:
        call = booked[row["request_id"]]
        assert (row["model"], row["token_name"]) == (call.model, call.key)
        assert row["quota"] == units(call.charged_nanousd)
        assert row["cost_usd"] == round(units(call.charged_nanousd) / 500_000, 6)
        assert row["prompt_tokens"] == sum(count for unit, count in call.usage.items() if "input" in unit)
        assert priced(row) == pytest.approx(call.charged_nanousd / USD, abs=5e-10)
    moved = scene.books.moved_nanousd
    for kind, code in (("topup", "top_up"), ("refund", "refund"), ("system", "starter_grant")):
        assert sum(row["quota"] for row in rows if row["type"] == kind) == moved[code] // 2_000
    assert rows[-5 - 4]["duration_ms"] == 90_000
    assert "Refund: -$1.00" in {row["content"] for row in rows}


def priced(row: dict[str, Any]) -> float:
    """Dollars, by the arithmetic that the ratios are for."""
    if row["model_price"] is not None:
        return float(row["model_price"] * row["group_ratio"])
    if row["type"] == "error":
        return 0.0
    prompt = row["prompt_tokens"] - row["cache_tokens"] + row["cache_tokens"] * row["cache_ratio"]
    weighed = prompt + row["completion_tokens"] * row["completion_ratio"]
    return float(weighed * row["model_ratio"] * row["group_ratio"] / 500_000)


def test_logs_with_every_filter(scene: Scene) -> None:
    def ids(*arguments: str) -> list[str]:
        return [
            row["request_id"] for row in scene.tool.run("logs", "--json", "--limit", "100", *arguments).json
        ]

    calls = scene.calls
    of_gpt = [call.id for call in calls if call.model == "gpt-4o"]
    assert ids("--model", "gpt-4o") == of_gpt
    assert ids("--model", "gpt-4o", "--type", "error") == [
        call.id for call in calls if call.status == "failed"
    ]
    assert ids("--token-name", "laptop") == [call.id for call in calls]
    assert ids("--token-name", "unused") == ids("--token-name", "%") == []
    assert ids("--group", "default") == [call.id for call in calls]
    assert ids("--group", "partners") == []
    assert len(ids("--type", "topup")) == 2
    assert len(ids("--type", "refund")) == len(ids("--type", "system")) == 1
    assert ids("--type", "manage") == []
    today = datetime.now(UTC).date()
    whole = ids("--start", str(today - timedelta(days=1)), "--end", str(today + timedelta(days=1)))
    assert len(whole) == 9
    assert ids("--end", str(today - timedelta(days=1))) == []
    assert ids("--start", str(today + timedelta(days=1))) == []
    assert (
        ids("--page", "2", "--limit", "3", "--type", "consume")
        == [call.id for call in calls if call.status != "failed"][3:]
    )
    assert scene.tool.run("logs", "--page", "1000", "--limit", "100").code == 1
    assert scene.tool.run("logs", "--start", "1735689600000").code == 1


def test_logs_of_one_request(scene: Scene) -> None:
    for call in scene.calls:
        told = scene.tool.run("logs", "--request-id", call.id, "--json").json
        assert (told["request_id"], told["quota"]) == (call.id, units(call.charged_nanousd))
    text = scene.tool.run("logs", "--request-id", scene.calls[2].id).text
    assert "chatcmpl-x" in text
    nobody = scene.tool.run("logs", "--request-id", "0195f3a2-7c1e-7b4d-9a60-3f2c8d51e7b4", "--json")
    assert (nobody.code, json.loads(nobody.output)["error"]["code"]) == (1, "not_found")


def test_the_export(scene: Scene) -> None:
    rows = list(csv.DictReader(io.StringIO(scene.tool.run("logs", "--export").text)))
    spent = [row for row in rows if row["type"] == "consume"]
    assert len(rows) == 9
    assert sum(int(row["quota"]) for row in spent) == sum(units(call.charged_nanousd) for call in scene.calls)
    (failed,) = (row for row in rows if row["type"] == "error")
    assert failed["content"] == "'=cmd|' /C calc'!A0"
    only = scene.tool.run("logs", "--export", "--model", "suno_music").text.splitlines()
    assert len(only) == 2


def test_tasks(scene: Scene) -> None:
    (row,) = scene.tool.run("tasks", "--json").json
    call = scene.calls[0]
    assert (row["task_id"], row["quota"]) == (call.id, units(call.charged_nanousd))
    assert (row["platform"], row["status"], row["action"]) == ("suno", "SUCCESS", "music")
    assert row["finish_time"] - row["submit_time"] == 90
    assert "1m30s" in scene.tool.run("tasks", "--platform", "suno", "--status", "success").text
    assert scene.tool.run("tasks", "--platform", "luma", "--json").json == []
    assert scene.tool.run("tasks", "--status", "FAILURE", "--json").json == []
    assert len(scene.tool.run("tasks", "--action", "music", "--task-id", call.id, "--json").json) == 1


def test_models(scene: Scene) -> None:
    listed = {row["id"]: row for row in scene.tool.run("models", "--json", "--no-cache").json}
    assert listed["gpt-4o"]["pricing"] == "in $2.5/M, out $10.0/M"
    assert listed["gpt-4o"]["endpoints"] == "openai"
    assert re.fullmatch(r"\$[0-9.]+/request", listed["suno_music"]["pricing"])
    by_openai = scene.tool.run("models", "--source", "openai", "--json").json
    assert {row["id"] for row in by_openai} == set(listed)
    found = scene.tool.run(
        "models", "--search", "suno", "--provider", "suno", "--type", "music", "--json"
    ).json
    assert {row["id"] for row in found} == {"suno_music"} | {
        name for name in listed if name.startswith("suno")
    }
    assert "gpt-4o-mini" in scene.tool.run("models", "--search", "gpt-4o").text


def test_model_info(scene: Scene) -> None:
    for name in ("gpt-4o", "gpt-4.1", "suno_music"):
        told = scene.tool.run("model", "info", name, "--json").json
        assert (told["id"], told["code"]) == (name, name.replace(".", "-"))
        assert told["overview"]
        assert told["pricing"]["ratio"] == 1.0
    assert "$2.5/M" in scene.tool.run("model", "info", "gpt-4o").text
    assert scene.tool.run("model", "info", "no-such-model").code == 1


def test_doctor(scene: Scene) -> None:
    told = scene.tool.run("doctor", "--json").json
    assert told["connectivity"] == {"status": "ok", "base_url": f"{scene.tool.base_url}/v1"}
    assert told["api_key"]["masked"] == f"****{scene.key[-4:]}"
    assert told["access_token"]["status"] == "ok"
    assert "All checks passed" in scene.tool.run("doctor").text


def test_staff(scene: Scene) -> None:
    user = str(scene.books.owner_id)
    rows = scene.staff.run("ops", "logs", "--user-id", user, "--json", "--limit", "100").json
    assert len(rows) == 9
    assert {row["user_id"] for row in rows} == {scene.books.owner_id}
    person = scene.staff.run("ops", "search", user, "--json").json
    assert (person["email"], person["quota"]) == (EMAIL, scene.books.balance_nanousd // 2_000)
    assert scene.staff.run("ops", "search", EMAIL, "--json").json["user_id"] == int(user)
    told = scene.staff.run("ops", "usage", "--user-id", user, "--json").json
    assert (told["request_count"], told["quota"]) == (
        5,
        pytest.approx(units(scene.books.spent_nanousd), abs=3),
    )
    paid = scene.staff.run("ops", "topups", "--user-id", user, "--json").json
    assert sorted((row["money"], row["status"]) for row in paid) == [(2.5, "success"), (5.0, "success")]
    refused = scene.tool.run("ops", "logs", "--json")
    assert refused.code != 0
