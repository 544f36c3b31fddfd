"""The dashboard at `/`: recent sessions, events and their webhooks, with a button to send one again."""

import re
from datetime import UTC, datetime

from . import payment_page, sessions, webhooks
from .context import Context
from .http import Answer, Request, see_other
from .returning import dollars
from .store import Json, Record
from .templating import Markup, fill, joined, page

RESEND = re.compile(r"/dashboard/events/([A-Za-z0-9_]+)/resend")
MODE = re.compile(r"/dashboard/webhooks/(deliver|pause)")
SHOWN = 25

MODES = {
    "deliver": "Webhooks are delivered.",
    "pause": "Webhooks are paused: they are kept and sent later.",
    "drop": "Webhooks are dropped: those of new events will never be sent.",
}


def answer(ctx: Context, request: Request) -> Answer | None:
    """None where the address belongs to another page."""
    if request.path == "/" and request.method in ("GET", "HEAD"):
        return _show(ctx)
    if found := payment_page.answer(ctx, request):
        return found
    if request.method != "POST":
        return None
    if match := RESEND.fullmatch(request.path):
        if ctx.store.find("event", match[1]) is None:
            return None
        webhooks.send_again(ctx, match[1])
        return see_other("/")
    if match := MODE.fullmatch(request.path):
        webhooks.set_mode(ctx, match[1])
        return see_other("/")
    return None


def _show(ctx: Context) -> Answer:
    endpoints = ctx.store.select("kind = 'webhook_endpoint'", [])
    mode = ctx.store.setting(webhooks.MODE, "deliver")
    other, label = ("deliver", "Deliver webhooks") if mode != "deliver" else ("pause", "Pause webhooks")
    sold, told = _newest(ctx, sessions.KIND), _newest(ctx, "event")
    content = fill(
        "dashboard.html",
        mode=MODES[mode],
        other=other,
        label=label,
        endpoints=joined([fill("endpoint.html", **_endpoint(one.body)) for one in endpoints]),
        sessions=joined([fill("session.html", **_session(ctx, one)) for one in sold]) or _none("sessions"),
        payments=payment_page.rows(ctx) or _none("payments"),
        events=joined([fill("event.html", **_event(ctx, one)) for one in told]) or _none("events"),
    )
    return page("Stripe sandbox", content)


def _newest(ctx: Context, kind: str) -> list[Record]:
    return ctx.store.select("kind = ?", [kind], order="seq DESC", limit=SHOWN)


def _none(what: str) -> Markup:
    return fill("none.html", what=what)


def _endpoint(body: Json) -> dict[str, str | int]:
    events = (
        "every event" if "*" in body["enabled_events"] else f"{len(body['enabled_events'])} kinds of event"
    )
    return {"url": body["url"], "state": body["status"], "events": events}


def _session(ctx: Context, record: Record) -> dict[str, str | int]:
    body = record.body
    return {
        "address": sessions.page_url(ctx, record.id),
        "short": _short(record.id),
        "at": _at(body["created"]),
        "amount": "saves a card" if body["mode"] == "setup" else dollars(body["amount_total"]),
        "status": body["status"],
        "payment": body["payment_status"],
        "reference": body["client_reference_id"] or "",
    }


def _event(ctx: Context, record: Record) -> dict[str, str | int | Markup]:
    body = record.body
    rows = [
        fill("delivery.html", text=_attempts(one), state=one["state"])
        for one in webhooks.history(ctx, record.id)
    ]
    return {
        "id": record.id,
        "type": body["type"],
        "subject": _short(body["data"]["object"]["id"]),
        "at": _at(body["created"]),
        "deliveries": joined(rows)
        or fill("delivery.html", text="no endpoint asked for it", state="not sent"),
    }


def _attempts(delivery: Json) -> str:
    attempts = delivery["attempts"]
    if not attempts:
        return "no attempt"
    last = delivery["last_status"] or delivery["last_error"]
    return f"{attempts} attempt{'s' if attempts > 1 else ''}, last: {last}"


def _short(key: str) -> str:
    """Sessions' ids are too long for a table; others stand as they are."""
    return key if len(key) <= 32 else f"{key[:11]}…{key[-6:]}"


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %H:%M:%S")
