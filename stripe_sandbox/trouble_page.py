"""The page at `/dashboard/trouble`: fault switches, webhooks that go astray, endpoints, and the clock.

Its forms do what the addresses under /_sandbox/ do, with the same names for the same things.
"""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from . import control, disturbance, endpoints, faults, params, upkeep, webhooks
from .context import Context
from .errors import ApiError
from .http import Answer, Request, see_other
from .params import Field, Integer
from .store import Json, Record
from .templating import Markup, fill, joined, page

PATH = "/dashboard/trouble"
# What a form may ask for; the rest of the addresses under /_sandbox/ is for tests only.
DO = re.compile(r"/dashboard/trouble/((?:faults|webhooks|events|idempotency)(?:/[A-Za-z0-9_]+)*)")
ENDPOINT = re.compile(r"/dashboard/trouble/endpoints/([A-Za-z0-9_]+)")
CLOCK: dict[str, Field] = {"days": Integer(least=0, most=400), "hours": Integer(least=0, most=9_600)}
SHOWN = 25


def answer(ctx: Context, request: Request) -> Answer | None:
    """None where the address belongs to another page."""
    if request.path == PATH and request.method in ("GET", "HEAD"):
        return _show(ctx)
    if request.method != "POST":
        return None
    try:
        with ctx.store.savepoint():
            return _do(ctx, request)
    except ApiError as error:
        return _show(ctx, error)


def _do(ctx: Context, request: Request) -> Answer | None:
    given = _given(request)
    if request.path == f"{PATH}/clock":
        _advance(ctx, given)
    elif match := ENDPOINT.fullmatch(request.path):
        endpoints.update(
            ctx,
            params.read(params.tree(_split(given, "events", "enabled_events")), endpoints.UPDATE),
            match[1],
        )
    elif match := DO.fullmatch(request.path):
        method = dict(given).get("method_", "POST")
        fields = [(name, value) for name, value in given if name != "method_"]
        body = urlencode(_split(fields, "kinds", "types")).encode()
        control.perform(ctx, Request(method, f"/_sandbox/{match[1]}", "", {}, body))
    else:
        return None
    return see_other(PATH)


def _given(request: Request) -> list[tuple[str, str]]:
    """A field that was left empty was not given."""
    pairs = parse_qsl(request.body.decode(errors="replace"), max_num_fields=100)
    return [(name, value.strip()) for name, value in pairs if value.strip()]


def _split(given: list[tuple[str, str]], text: str, name: str) -> list[tuple[str, str]]:
    """Kinds of event come as one `text`, apart by spaces, and go on as a list called `name`."""
    kinds = [(f"{name}[]", kind) for key, value in given if key == text for kind in value.split()]
    return [pair for pair in given if pair[0] != text] + kinds


def _advance(ctx: Context, given: list[tuple[str, str]]) -> None:
    span = params.read(params.tree(given), CLOCK)
    seconds = span.get("days", 0) * 86_400 + span.get("hours", 0) * 3_600
    if seconds:
        upkeep.advance(ctx, seconds)


def _show(ctx: Context, error: ApiError | None = None) -> Answer:
    plan = disturbance.current(ctx)
    shares = {name: value for name, value in disturbance.shown(plan).items() if name in disturbance.FIELDS}
    switches = faults.switches(ctx)
    content = fill(
        "trouble.html",
        error=fill("error.html", text=error.message) if error else Markup(),
        now=datetime.fromtimestamp(ctx.now, UTC).strftime("%d %b %Y %H:%M:%S"),
        kinds=joined([fill("option.html", value=kind, text=text) for kind, text in faults.KINDS.items()]),
        switches=joined([fill("switch.html", **_switch(one)) for one in switches])
        or fill("none.html", what="switches"),
        mode=webhooks.mode(ctx),
        totals=", ".join(f"{count} {name}" for name, count in webhooks.totals(ctx).items()),
        queued=joined(_queued(ctx)) or fill("none.html", what="queued webhooks"),
        endpoints=joined([fill("endpoint_form.html", **_endpoint(one)) for one in _endpoints(ctx)]),
        disturbance=disturbance.told(plan) or "off",
        **shares | {"types": " ".join(plan.types), "in_turn": Markup(" checked" if plan.in_turn else "")},
    )
    return page("Trouble", content, status=error.status if error else 200)


def _switch(switch: faults.Switch) -> dict[str, str | int]:
    times = "without end" if switch.times is None else f"{switch.times} times"
    what = f"{switch.share} % of {switch.method or 'all'} {switch.path}, {times}, seed {switch.seed}"
    return {"id": switch.id, "kind": switch.kind, "what": what, "acted": switch.acted, "seen": switch.seen}


def _queued(ctx: Context) -> list[Markup]:
    rows = []
    for event_id, count in webhooks.queued(ctx, SHOWN):
        event = ctx.get("event", event_id).body
        rows.append(fill("queued.html", id=event_id, type=event["type"], count=count))
    return rows


def _endpoints(ctx: Context) -> list[Record]:
    return ctx.store.select("kind = 'webhook_endpoint'", [])


def _endpoint(record: Record) -> dict[str, str | int]:
    body: Json = record.body
    enabled = body["status"] == "enabled"
    return {
        "id": record.id,
        "url": body["url"],
        "state": body["status"],
        "events": " ".join(body["enabled_events"]),
        "disabled": "true" if enabled else "false",
        "label": "Disable" if enabled else "Enable",
    }
