"""Keys of every kind, planted in every flow of a running quick start: afterwards they are found nowhere.

Not in the database, Valkey, the queue, any log, any mail, nor any answer but the one that shows it.
"""

import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.planted import needles
from tests.planted.visitor import Visitor
from tests.stack import Stack
from tokens import masking

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
PASSWORD = "correct horse battery"
STAFF = "staff-of-the-hunt@example.com"
PAGES = (
    "/", "/help/", "/pricing/", "/wallet/", "/tokens/", "/logs/", "/accounts/email/", "/accounts/password/change/",
    "/accounts/close/", "/accounts/password/reset/", "/accounts/login/", "/accounts/signup/", "/accounts/reauthenticate/",
    "/api/",
)  # fmt: skip
ASKED_BY_KEY = (
    "/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage", "/dashboard/billing/credit_grants",
    "/api/usage/token", "/api/usage/token/", "/v1/models", "/api/v1/key", "/api/v1/credits", "/api/user/self",
    "/api/user/self/stats", "/api/token/", "/api/token/search", "/api/log/self", "/api/log/self/search",
    "/api/log/self/stat", "/api/log/self/export", "/api/task/self", "/api/models", "/api/pricing", "/api/log/",
    "/api/data/", "/api/openapi.json", "/healthz", "/readyz", "/nowhere", "/metering/v1/nowhere",
)  # fmt: skip


def made(visitor: Visitor, kind: str) -> str:
    form = next(form for form in visitor.page("/tokens/").found if form.action == "/tokens/")
    answer = visitor.send(form, {"name": f"A {kind} key", "kind": kind}, may_show=True)
    shown = re.search(r'id="new-key">([^<]+)<', answer.text)
    assert shown, answer.text
    return shown[1]


def signed_up(stack: Stack) -> Visitor:
    visitor = Visitor(stack.base_url)
    form = next(form for form in visitor.page("/accounts/signup/").found if "signup" in form.action)
    email = f"hunt-{uuid.uuid4().hex[:8]}@example.com"
    assert visitor.send(form, {"email": email, "password1": PASSWORD}).status_code == 302
    return visitor


def signed_in_staff(stack: Stack, texts: list[str]) -> Visitor:
    stack.manage(
        "shell", "-c",
        "from accounts.models import User; "
        f"User.objects.filter(email='{STAFF}').exists() or User.objects.create_superuser('{STAFF}', '{PASSWORD}')",
    )  # fmt: skip
    visitor = Visitor(stack.base_url, texts)
    form = next(form for form in visitor.page("/accounts/login/").found if "login" in form.action)
    assert visitor.send(form, {"login": STAFF, "password": PASSWORD}).status_code == 302
    return visitor


def everywhere_in_addresses(visitor: Visitor, text: str) -> None:
    for path in (*PAGES, *ASKED_BY_KEY, "/user/quota", "/user/quota/", "/admin/", "/admin/tokens/apikey/"):
        for name in ("q", "key", "next", "token", "model", "api_key", text):
            visitor.ask("GET", path, params={name: text})
        visitor.ask("GET", f"{path}?{text}")
        visitor.ask("POST", f"{path}?key={text}")
        visitor.ask("GET", f"{path}?key={text.replace('-', '%2D')}%00")
    for path in (
        f"/tokens/{text}/",
        f"/logs/{text}/",
        f"/pricing/{text}/",
        f"/{text}",
        f"/admin/{text}/",
        f"/metering/v1/{text}",
    ):
        visitor.ask("GET", path)
        visitor.ask("POST", path)


def everywhere_in_headers(visitor: Visitor, text: str) -> None:
    for path in (*ASKED_BY_KEY, *PAGES, "/metering/v1/authorize", "/metering/v1/calls", "/user/quota?key=x"):
        for name, value in (
            ("Authorization", f"Bearer {text}"), ("Authorization", text), ("X-Api-Key", text), ("X-Goog-Api-Key", text),
            ("User-Agent", text), ("Referer", f"https://example.com/?key={text}"), ("Cookie", f"sessionid={text}"),
            ("X-Forwarded-For", text), ("Accept", text), ("Host", f"{text[:40]}.example.com"),
        ):  # fmt: skip
            for method in ("GET", "POST", "OPTIONS"):
                headers = {name: value}
                requests_of_nobody = Visitor(visitor.base_url, visitor.texts)
                requests_of_nobody.ask(method, path, headers=headers)
                visitor.found += requests_of_nobody.found


def everywhere_in_reports(visitor: Visitor, gateway_key: str, token_id: int, text: str) -> None:
    """Metering bodies with the key in fields where it has no business."""

    def post(name: str, body: object) -> None:
        visitor.ask(
            "POST", f"/metering/v1/{name}", json=body, headers={"Authorization": f"Bearer {gateway_key}"}
        )

    for body in (
        {"key": text}, {"key": text, "model": text}, {"key": text, "model": "gpt-4o", "client_ip": text},
        {"key": [text]}, {"key": text * 3, "model": "gpt-4o"}, text, [text], {text: text},
        {"key": text, "model": "gpt-4o", "input_tokens": text}, {"key": "sk-x", "model": "gpt-4o", "user": text},
    ):  # fmt: skip
        post("authorize", body)
    post("release", {"call_id": text})

    def call(**more: Any) -> dict[str, Any]:
        # Of now, so that it is taken.
        moment = int(datetime.now(UTC).timestamp() * 1000)
        call_id = f"{moment:012x}7{uuid.uuid4().hex[13:16]}8{uuid.uuid4().hex[17:]}"
        return {
            "call_id": str(uuid.UUID(call_id)), "model": "gpt-4o-mini", "started_at": datetime.now(UTC).isoformat(),
            "token_id": token_id, "status": "succeeded", "usage": {"input_tokens": 1, "output_tokens": 1}, **more,
        }  # fmt: skip

    for wrong in (
        {"call_id": text}, {"model": text}, {"started_at": text}, {"token_id": text}, {"status": text},
        {"usage": {text: 1}}, {"usage": text}, {"usage": {"input_tokens": text}}, {"latency_ms": text},
        {"endpoint": f"/v1beta/models?key={text}"}, {"upstream_id": text}, {"client_ip": text},
        {"error": f"Incorrect API key provided: {text}.", "status": "failed"}, {"error": {"key": text}},
        {"upstream_cost_nanousd": text}, {"headers": {"Authorization": f"Bearer {text}"}}, {text: text},
        {"model": f"x {text}", "endpoint": text, "error": "y" * 3990 + text},
    ):  # fmt: skip
        post("calls", {"calls": [call(**wrong)]})
    post("calls", {"calls": [text]})
    post("calls", {"calls": text})
    visitor.ask("POST", "/wallet/stripe/webhook/", data=text, headers={"Stripe-Signature": f"t=1,v1={text}"})
    visitor.ask("POST", "/tokens/leaks/", json=[{"token": text, "type": text, "url": text}])


@pytest.fixture(scope="module")
def planted(stack: Stack) -> tuple[list[str], list[str]]:
    """All keys, after everything was tried with them; and what the answers held."""
    person = signed_up(stack)
    texts = {kind: made(person, kind) for kind in ("inference", "query", "account")}
    gateway_key = stack.manage("create_gateway_key", "hunt").strip()
    # Not among those that are planted everywhere: it has to work meanwhile.
    texts["gateway"] = stack.manage("create_gateway_key", "planted").strip()
    every = [*texts.values(), gateway_key]
    person.texts = every
    staff = signed_in_staff(stack, every)
    own = re.findall(r"^/tokens/([0-9]+)/$", "\n".join(person.page("/tokens/").links), re.MULTILINE)
    assert len(own) == 3
    panel = sorted(
        {link for link in staff.page("/admin/").links if re.fullmatch(r"/admin/[a-z]+/[a-z]+/", link)}
    )
    assert len(panel) > 20
    acts = [f"/admin/tokens/apikey/{own[0]}/revoke/", f"/admin/tokens/apikey/{own[0]}/change/"]
    for text in texts.values():
        everywhere_in_addresses(person, text)
        everywhere_in_addresses(staff, text)
        everywhere_in_reports(person, gateway_key, int(own[0]), text)
        assert sum(person.plant(path, text) for path in (*PAGES, *(f"/tokens/{key}/" for key in own))) > 40
        assert sum(staff.plant(path, text) for path in (*panel, *acts)) > 20
    everywhere_in_headers(person, texts["inference"])
    everywhere_in_headers(person, texts["account"])
    lost_and_found(stack, person, texts["inference"], gateway_key)
    return every, [*person.found, *staff.found]


def lost_and_found(stack: Stack, visitor: Visitor, text: str, gateway_key: str) -> None:
    """While servers are away, answers and logs tell of errors."""
    stack.stop("postgres")
    for path in ("/tokens/", "/v1/models", "/user/quota?key=" + text):
        visitor.ask("GET", path, headers={"Authorization": f"Bearer {text}"})
    visitor.ask(
        "POST",
        "/metering/v1/authorize",
        json={"key": text, "model": "gpt-4o"},
        headers={"Authorization": f"Bearer {gateway_key}"},
    )
    assert visitor.statuses.get(503, 0) + visitor.statuses.get(500, 0) > 0
    stack.start("postgres")
    stack.wait_for(lambda: stack.get("/readyz")[0] == 200, 60)


def test_the_hunt_knows_a_key_when_it_sees_one(
    planted: tuple[list[str], list[str]], tmp_path: Path, stack: Stack
) -> None:
    """What finds nothing proves something only if it finds what is there."""
    text = planted[0][0]
    for number, written in enumerate(needles.needles(text).values()):
        (tmp_path / f"{number}.log").write_bytes(b"before " + written + b" behind")
    assert len(needles.in_files([tmp_path], [text])) >= len(needles.needles(text))
    url = stack.env["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE hunted (a jsonb, b bytea)")
        try:
            connection.execute(
                "INSERT INTO hunted VALUES (jsonb_build_object('x', %s::text), %s)", [text, text.encode()]
            )
            found = needles.in_database(url, [text])
        finally:
            connection.execute("DROP TABLE hunted")
    assert any("itself" in each for each in found)
    assert any("hexadecimal" in each for each in found)
    assert masking.holds_key(text)


def test_nothing_in_any_answer_but_the_one_that_shows_it(planted: tuple[list[str], list[str]]) -> None:
    assert planted[1] == []


def test_nothing_in_the_database(planted: tuple[list[str], list[str]], stack: Stack) -> None:
    assert needles.in_database(stack.env["DATABASE_URL"], planted[0]) == []


def test_nothing_in_valkey_nor_the_queue(planted: tuple[list[str], list[str]], stack: Stack) -> None:
    assert needles.in_valkey(stack.env["VALKEY_URL"], planted[0]) == []


def test_nothing_in_a_log_or_a_mail(planted: tuple[list[str], list[str]], stack: Stack) -> None:
    logs = stack.data_dir / "logs"
    assert {"web.log", "worker.log", "postgres.log", "beat.log"} <= {file.name for file in logs.iterdir()}
    assert needles.in_files([logs, stack.data_dir / "mail", stack._output_file], planted[0]) == []


def test_requests_is_what_a_browser_sends(stack: Stack) -> None:
    """The keys do arrive: the site sees them, and says so where it may."""
    answer = requests.get(
        f"{stack.base_url}/tokens/", params={"q": "sk-" + "a" * 54}, timeout=30, allow_redirects=False
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/tokens/?q=sk-aaaaaaaa")
