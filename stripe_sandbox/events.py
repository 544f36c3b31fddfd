"""Events: a snapshot of an object as it was when something happened to it, and what has to be told of it."""

import json

from . import API_VERSION, disturbance, webhooks
from .context import Context
from .ids import new_id
from .paging import PAGING, page
from .params import Boolean, Many, Params, Text
from .rendering import RENDERERS, render
from .routes import Route, retrieve
from .store import Json, Record

PATH = "/v1/events"

KEPT_S = 30 * 86_400


def emit(ctx: Context, kind: str, subject: Record, *, previous: Json | None = None) -> None:
    """Record that `kind` happened to `subject`, and queue its deliveries in the same transaction.

    Unless the webhooks' disturbance has it that this event is never generated, which Stripe does not rule out.
    """
    fate = disturbance.fate(ctx, kind)
    if fate.never:
        return
    data: Json = {"object": render(ctx, subject)}
    if previous is not None:
        data["previous_attributes"] = previous
    fields = {
        "api_version": API_VERSION,
        "data": data,
        "pending_webhooks": 0,
        "request": {"id": ctx.request_id, "idempotency_key": ctx.idempotency_key},
        "type": kind,
    }
    event = ctx.create("event", new_id("event"), fields)
    webhooks.queue(ctx, event.id, kind, fate)


def prune(ctx: Context) -> None:
    """Forget what is older than 30 days, as Stripe does."""
    before = (ctx.now - KEPT_S,)
    ctx.store.run("DELETE FROM objects WHERE kind = 'event' AND created < ?", before)
    ctx.store.run(
        "DELETE FROM deliveries WHERE event_id NOT IN (SELECT id FROM objects WHERE kind = 'event')"
    )


def _render(ctx: Context, record: Record) -> Json:
    return record.body | {"pending_webhooks": webhooks.pending(ctx, record.id)}


def _list(ctx: Context, params: Params) -> Json:
    where: list[tuple[str, str | int]] = []
    types = params.get("types", [params["type"]] if "type" in params else [])
    if len(types) == 1 and "*" not in types[0]:
        where.append(("json_extract(body, '$.type') = ?", types[0]))
    elif types:
        # `*` in a name stands for anything; GLOB's other signs do not occur in the names of events.
        condition = "EXISTS (SELECT 1 FROM json_each(?) WHERE json_extract(body, '$.type') GLOB value)"
        where.append((condition, json.dumps(types)))
    if "delivery_success" in params:
        undelivered = "EXISTS (SELECT 1 FROM deliveries WHERE event_id = objects.id AND state <> 'delivered')"
        where.append((f"{undelivered} = ?", 0 if params["delivery_success"] else 1))
    return page(ctx, PATH, "event", params, where)


RENDERERS["event"] = _render

ROUTES = [
    Route(
        "GET",
        PATH,
        _list,
        {**PAGING, "delivery_success": Boolean(), "type": Text(), "types": Many(Text(), most=20)},
    ),
    retrieve(PATH, "event"),
]
