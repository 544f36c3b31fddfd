"""Everything that can be done with a key where it belongs, and where it does not."""

import hashlib
import hmac
import itertools
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from tests.planted.conftest import Scene
from tests.planted.visitor import Visitor

PAGES = (
    "/", "/help/", "/api/", "/pricing/", "/pricing/estimate/", "/pricing/compare/", "/wallet/", "/wallet/statements/",
    "/tokens/", "/logs/", "/logs/export/", "/logs/statistics/", "/accounts/email/", "/accounts/password/change/",
    "/accounts/password/reset/", "/accounts/close/", "/accounts/login/", "/accounts/signup/",
    "/accounts/reauthenticate/",
)  # fmt: skip
ASKED_BY_KEY = (
    "/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage", "/dashboard/billing/credit_grants",
    "/api/usage/token", "/api/usage/token/", "/v1/models", "/api/v1/key", "/api/v1/credits", "/user/quota",
    "/api/user/self", "/api/user/self/stats", "/api/token/", "/api/token/search", "/api/log/self",
    "/api/log/self/search", "/api/log/self/stat", "/api/log/self/export", "/api/task/self", "/api/models",
    "/api/pricing", "/api/pricing.csv", "/api/log/", "/api/log/stat", "/api/user/topup", "/api/data/",
)  # fmt: skip
OTHERS = (
    "/api/openapi.json",
    "/healthz",
    "/readyz",
    "/nowhere",
    "/metering/v1/nowhere",
    "/metering/v1/calls",
)
ADDRESSES = (*PAGES, *ASKED_BY_KEY, *OTHERS, "/admin/", "/admin/tokens/apikey/")
BELOW = (
    "/tokens/",
    "/logs/",
    "/pricing/",
    "/",
    "/admin/",
    "/admin/tokens/apikey/",
    "/metering/v1/",
    "/api/model/",
)
NAMES = (
    "q",
    "key",
    "next",
    "token",
    "model",
    "api_key",
    "keyword",
    "request_id",
    "token_name",
    "start_date",
    "p",
)
# What stands in every wallet's, key's or call's way to its answer.
BROKEN = ("tokens_apikey", "tokens_gatewaykey", "wallet_funds", "logs_call", "accounts_session")


def addresses(visitor: Visitor, text: str) -> None:
    """The key in every part of an address, by somebody who is signed in."""
    for path in ADDRESSES:
        visitor.ask("GET", path, params=dict.fromkeys((*NAMES, text), text))
        visitor.ask("POST", f"{path}?key={text}")
        visitor.ask("GET", f"{path}?key={text.replace('-', '%2D')}%00")
    for path in BELOW:
        visitor.ask("GET", f"{path}{text}/")
        visitor.ask("POST", f"{path}{text}")


def headers(visitor: Visitor, text: str) -> None:
    """The key in every header, by somebody who is not signed in."""
    nobody = Visitor(visitor.base_url, visitor.texts)
    beside = {
        "X-Api-Key": text, "User-Agent": text, "Referer": f"https://example.com/?key={text}", "X-Forwarded-For": text,
        "Accept": text, "Origin": f"https://{text}.example.com", "X-Request-Id": text, "Accept-Language": text,
        "Cookie": f"sessionid={text}; csrftoken={text}", "Content-Type": text,
    }  # fmt: skip
    for path in ADDRESSES:
        for method in ("GET", "POST", "OPTIONS"):
            nobody.ask(method, path, headers={"Authorization": f"Bearer {text}", **beside})
        nobody.ask("GET", path, headers={"Authorization": f"Bearer {text}"})
        nobody.ask("GET", path, headers={"Authorization": text, "X-Forwarded-Host": f"{text}.example.com"})
    nobody.ask("GET", "/tokens/", headers={"Host": f"{text[:40]}.example.com"})
    nobody.ask("GET", f"/user/quota?key={text}")
    nobody.ask("GET", f"/user/quota?key={text}&start_date={text}&end_date={text}")
    visitor.found += nobody.found


def search(scene: Scene, text: str) -> None:
    """By whoever has an access token: the one place where a key may be looked for by its text."""
    bearer = {"Authorization": f"Bearer {scene.texts['account']}"}
    for path, name in (("/api/token/search", "token"), ("/api/token/search", "keyword"), ("/api/log/self/search", "keyword"),
                       ("/api/log/self", "token_name"), ("/api/log/self/export", "model_name"),
                       ("/api/task/self", "task_id"), ("/api/log/self", "start_timestamp")):  # fmt: skip
        scene.person.ask("GET", path, params={name: text}, headers=bearer)


def call(**more: Any) -> dict[str, Any]:
    """A call of now, so that it is taken."""
    moment = int(time.time() * 1000)
    call_id = f"{moment:012x}7{uuid.uuid4().hex[13:16]}8{uuid.uuid4().hex[17:]}"
    return {
        "call_id": str(uuid.UUID(call_id)), "model": "gpt-4o-mini", "started_at": datetime.now(UTC).isoformat(),
        "status": "succeeded", "usage": {"input_tokens": 1, "output_tokens": 1}, **more,
    }  # fmt: skip


def meter(scene: Scene, name: str, body: object) -> Any:
    bearer = {"Authorization": f"Bearer {scene.gateway_key}"}
    return scene.person.ask("POST", f"/metering/v1/{name}", json=body, headers=bearer)


def questions(scene: Scene, text: str) -> None:
    """May it call? With the key in its place and in others."""
    for body in (
        {"key": text, "model": "gpt-4o-mini"}, {"key": text}, {"key": text, "model": text},
        {"key": text, "model": "gpt-4o", "client_ip": text}, {"key": [text]}, {"key": text * 3, "model": "gpt-4o"}, text,
        [text], {text: text}, {"key": text, "model": "gpt-4o", "input_tokens": text},
        {"key": "sk-x", "model": "gpt-4o", "user": text}, {"key": text, "model": "gpt-4o-mini", "max_output_tokens": -1},
    ):  # fmt: skip
        meter(scene, "authorize", body)
    meter(scene, "release", {"call_id": text})


def reports(scene: Scene, text: str) -> None:
    """Calls with the key in fields where it has no business; many of them are taken."""
    token_id = scene.kept
    calls: list[object] = [call(**{"token_id": token_id, **wrong}) for wrong in (
        {"call_id": text}, {"model": text}, {"started_at": text}, {"token_id": text}, {"status": text},
        {"usage": {text: 1}}, {"usage": text}, {"usage": {"input_tokens": text}}, {"latency_ms": text},
        {"endpoint": f"/v1beta/models?key={text}"}, {"upstream_id": text}, {"client_ip": text},
        {"error": f"Incorrect API key provided: {text}.", "status": "failed"}, {"error": {"key": text}},
        {"upstream_cost_nanousd": text}, {"headers": {"Authorization": f"Bearer {text}"}}, {text: text},
        {"model": f"x {text}", "endpoint": text, "error": "y" * 3990 + text}, {"upstream_id": "z" * 170 + text},
    )]  # fmt: skip
    answer = meter(scene, "calls", {"calls": [*calls, text, [text]]}).json()
    assert answer["accepted"] >= 5, answer
    meter(scene, "calls", {"calls": text})
    scene.person.ask(
        "POST", "/metering/v1/calls", data=f'{{"calls": "{text}', headers={"Authorization": f"Bearer {text}"}
    )


def leak(scene: Scene, text: str) -> None:
    """Found in public, with the key in all that is said of it."""
    found = [
        {"token": text, "type": text, "url": f"https://github.example/{text}?k={text}", "source": text[:60]}
    ]
    body = json.dumps([*found, {"token": [text], "type": text}, text]).encode()
    signed = {"Github-Public-Key-Identifier": "one", "Github-Public-Key-Signature": scene.finder.sign(body)}
    json_body = {"Content-Type": "application/json"}
    assert (
        scene.person.ask("POST", "/tokens/leaks/", data=body, headers={**signed, **json_body}).status_code
        == 200
    )
    signed["Github-Public-Key-Signature"] = text
    assert (
        scene.person.ask("POST", "/tokens/leaks/", data=body, headers={**signed, **json_body}).status_code
        == 401
    )


def stripe_event(scene: Scene, text: str) -> None:
    """An event that Stripe did sign, with the key where a customer of Stripe's may type; and one that it did not."""
    people = {
        "customer_details": {"name": text, "email": f"{text}@example.com"},
        "custom_fields": [{"key": text}],
    }
    about = {"id": f"cs_{uuid.uuid4().hex}", "object": "checkout.session", **people}
    event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "checkout.session.expired",
             "created": int(time.time()), "livemode": False, "data": {"object": about}}  # fmt: skip
    body, now = json.dumps(event), int(time.time())
    secret = scene.texts["STRIPE_WEBHOOK_SECRET"]
    for key, expected in ((secret, 200), (secret + text, 400)):
        signature = hmac.new(key.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
        header = {"Stripe-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}
        assert (
            scene.person.ask("POST", "/wallet/stripe/webhook/", data=body, headers=header).status_code
            == expected
        )
    scene.person.ask(
        "POST", "/wallet/stripe/webhook/", data=text, headers={"Stripe-Signature": f"t=1,v1={text}"}
    )


@contextmanager
def broken(scene: Scene, table: str) -> Iterator[None]:
    """No statement about the table works, which no view or task expects."""
    here, away = sql.Identifier(table), sql.Identifier(f"{table}_away")
    with psycopg.connect(scene.stack.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(here, away))
        try:
            yield
        finally:
            connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(away, here))


def with_errors(scene: Scene, text: str) -> None:
    """The same where everything ends in an error that nobody foresaw."""
    for table in BROKEN:
        with broken(scene, table):
            for path in (
                "/tokens/",
                "/api/token/search?token=" + text,
                "/user/quota?key=" + text,
                "/v1/models",
            ):
                scene.person.ask("GET", path, headers={"Authorization": f"Bearer {text}", "User-Agent": text})
            meter(scene, "authorize", {"key": text, "model": "gpt-4o-mini"})
            meter(scene, "calls", {"calls": [call(token_id=1, error=text, status="failed")]})
            scene.person.ask("POST", "/tokens/", data={"name": text, "notes": text})
    assert scene.person.statuses[500] > len(BROKEN)


def without_servers(scene: Scene, text: str) -> None:
    before = scene.person.statuses.get(503, 0)
    scene.stack.stop("postgres")
    for path in ("/tokens/", "/v1/models", "/user/quota?key=" + text):
        scene.person.ask("GET", path, headers={"Authorization": f"Bearer {text}"})
    meter(scene, "authorize", {"key": text, "model": "gpt-4o"})
    assert scene.person.statuses.get(503, 0) > before
    scene.stack.start("postgres")
    scene.stack.wait_for(lambda: scene.stack.get("/readyz")[0] == 200, 60)


def forms(scene: Scene) -> None:
    """Of everything that a person can send; the longest key alone in each field, since it may be cut short there."""
    longest, sent = max(scene.texts.values(), key=len), 0
    for path in (*PAGES, f"/tokens/{scene.kept}/"):
        sent += scene.person.plant(scene.person.page(path), longest)
    for text in scene.texts.values():
        for path in ("/tokens/", f"/tokens/{scene.kept}/"):
            sent += scene.person.plant(scene.person.page(path), text, alone=False)
    assert sent > 80, sent


def forms_of_staff(scene: Scene) -> None:
    """Of everything in the admin panel, by somebody who may do all of it."""
    texts, sent = itertools.cycle(scene.texts.values()), []
    for page, text in zip(scene.staff.pages("/admin/", below="/admin/"), texts, strict=False):
        sent.append(scene.staff.plant(page, text))
    assert (len(sent) > 100, sum(sent) > 100) == (True, True), sent


def wait_for_mails(scene: Scene) -> None:
    """Until the owner of keys that were found in public has been told."""
    folder = scene.stack.data_dir / "mail"
    scene.stack.wait_for(lambda: any("found in public" in file.read_text() for file in folder.iterdir()), 60)
