"""The page of faults, webhooks and time: its forms do what the addresses for tests do."""

import re
import time
from typing import Any

from tests.stripe_sandbox.process import Receiver, Reply, Sandbox, payment, until

PAGE = "/dashboard/trouble"


def submit(sandbox: Sandbox, path: str, fields: dict[str, Any] | None = None) -> Reply:
    """As a browser does, that has no key."""
    return sandbox.request("POST", f"{PAGE}/{path}", fields, Authorization="", Sec_Fetch_Site="same-origin")


def shown(sandbox: Sandbox) -> str:
    reply = sandbox.request("GET", PAGE)
    assert reply.status == 200
    return reply.text


def forms(page: str) -> dict[str, dict[str, str]]:
    """What each form sends when its button is clicked and nothing was changed."""
    found = {}
    for action, inside in re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL):
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*?value="([^"]*)"', inside))
        if "method_" not in fields:
            found[action] = {name: value for name, value in fields.items() if name != "in_turn"}
    return found


def test_a_fault_is_switched_on_and_off(own: Sandbox) -> None:
    fields = forms(shown(own))[f"{PAGE}/faults"]
    assert submit(own, "faults", fields | {"kind": "error_before", "method": "", "times": ""}).status == 303
    assert own.request("GET", "/v1/customers").status == 500
    assert "acted 1 of 1" in shown(own)
    [switch] = own.request("GET", "/_sandbox/faults").json["faults"]
    assert submit(own, f"faults/{switch['id']}", {"method_": "DELETE"}).status == 303
    assert own.request("GET", "/v1/customers").status == 200


def test_what_makes_no_sense_is_said(own: Sandbox) -> None:
    reply = submit(own, "faults", {"kind": "slow", "share": "<b>200"})
    assert reply.status == 400
    assert "Invalid integer" in reply.text
    assert "<b>200" not in reply.text
    assert submit(own, "webhooks/nonsense").status == 404
    assert submit(own, "faults", {"kind": "slow", "method_": "PATCH"}).status == 404


def test_only_these_forms_do_something(own: Sandbox) -> None:
    for path in ("clock/../sessions/x/pay", "sessions/x/pay", "books"):
        assert submit(own, path).status == 404
    reply = own.request("POST", f"{PAGE}/faults", {"kind": "slow"}, Sec_Fetch_Site="cross-site")
    assert reply.status == 403


def test_webhooks_are_disturbed(own: Sandbox) -> None:
    fields = forms(shown(own))[f"{PAGE}/webhooks/disturb"]
    changed = {"drop": "50", "kinds": "charge.* customer.*", "in_turn": "true"}
    assert submit(own, "webhooks/disturb", fields | changed).status == 303
    plan = own.request("GET", "/_sandbox/webhooks").json["disturbance"]
    assert (plan["drop"], plan["types"], plan["in_turn"]) == (50, ["charge.*", "customer.*"], True)
    page = shown(own)
    assert 'value="charge.* customer.*"' in page
    assert 'value="true" checked' in page
    assert '<strong id="disturbance">50 % dropped, one at a time, of charge.* customer.*</strong>' in page
    submit(own, "webhooks/disturb", {"method_": "DELETE"})
    assert own.request("GET", "/_sandbox/webhooks").json["disturbance"]["drop"] == 0


def test_the_queue_is_worked_on(own: Sandbox, receiver: Receiver) -> None:
    submit(own, "webhooks/pause")
    for _ in range(2):
        own.client().v1.customers.create({})
    later, sooner = (event.id for event in own.client().v1.events.list())
    assert submit(own, f"events/{sooner}/resend", {"copies": "2"}).status == 303
    assert submit(own, f"events/{later}/drop").status == 303
    page = shown(own)
    assert "3 queued" in page
    assert later not in page
    submit(own, "webhooks/duplicate", {"copies": "1"})
    submit(own, "webhooks/shuffle", {"seed": "a"})
    submit(own, "webhooks/deliver")
    until(lambda: [event["id"] for event in receiver.events()] == [sooner] * 6)


def test_an_endpoint_is_disabled_and_its_events_changed(own: Sandbox) -> None:
    [endpoint] = own.client().v1.webhook_endpoints.list().data
    assert submit(own, f"endpoints/{endpoint.id}", {"disabled": "true"}).status == 303
    wanted = "customer.created charge.failed"
    assert submit(own, f"endpoints/{endpoint.id}", {"events": wanted}).status == 303
    changed = own.client().v1.webhook_endpoints.retrieve(endpoint.id)
    assert (changed.status, changed.enabled_events) == ("disabled", wanted.split())
    assert wanted in shown(own)
    assert submit(own, f"endpoints/{endpoint.id}", {"events": "nonsense"}).status == 400
    assert submit(own, "endpoints/we_no", {"disabled": "true"}).status == 404


def test_the_clock_moves_and_what_is_due_is_done(own: Sandbox) -> None:
    v1 = own.client().v1
    own.command("webhooks/pause")
    kept = own.request("POST", "/v1/customers", {}, Idempotency_Key="a-day").json["id"]
    session = v1.checkout.sessions.create(payment())
    assert submit(own, "clock", {"days": "1", "hours": "2"}).status == 303
    assert v1.checkout.sessions.retrieve(session.id).status == "expired"
    [event] = v1.events.list({"type": "checkout.session.expired"}).data
    assert abs(event.created - time.time() - 26 * 3_600) < 60
    assert own.request("POST", "/v1/customers", {}, Idempotency_Key="a-day").json["id"] != kept
    submit(own, "clock", {"days": "31"})
    assert v1.events.list().data == []
    assert submit(own, "clock", {"days": "-1"}).status == 400
