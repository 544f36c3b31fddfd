"""Webhook endpoints: where events are posted to, and which. One is configured from the command line."""

from . import API_VERSION
from .context import Context
from .errors import invalid, unsupported
from .ids import new_id, random_text
from .metadata import merged
from .paging import CURSORS
from .params import Address, Boolean, Many, Metadata, Params, Text
from .routes import EXPAND, Route, listing, retrieve, shown
from .store import Json, Record

PATH = "/v1/webhook_endpoints"

CREATE = {
    **EXPAND,
    "api_version": Text(clearable=True),
    "connect": Boolean(only=False),
    "description": Text(clearable=True),
    "enabled_events": Many(Text(), required=True, most=300),
    "metadata": Metadata(),
    "url": Address(required=True),
}
UPDATE = {
    **EXPAND,
    "description": Text(clearable=True),
    "disabled": Boolean(),
    "enabled_events": Many(Text(), most=300),
    "metadata": Metadata(),
    "url": Address(),
}


def configure(ctx: Context, url: str, secret: str) -> None:
    """Create the endpoint of the command line, or point it at `url`; what else was set on it stays."""
    rows = ctx.store.select("kind = 'webhook_endpoint' AND json_extract(private, '$.configured')", [])
    if rows:
        rows[0].body["url"], rows[0].private["secret"] = url, secret
        ctx.store.save(rows[0])
        return
    _insert(ctx, {"url": url, "enabled_events": ["*"]}, {"secret": secret, "configured": True})


def _insert(ctx: Context, params: Params, private: Json) -> Record:
    fields = {
        "api_version": params.get("api_version") or None,
        "application": None,
        "description": params.get("description") or None,
        "enabled_events": params["enabled_events"],
        "metadata": merged({}, params.get("metadata", {})),
        "status": "enabled",
        "url": params["url"],
    }
    return ctx.create("webhook_endpoint", new_id("webhook_endpoint"), fields, private)


def _create(ctx: Context, params: Params) -> Json:
    _check_events(params["enabled_events"])
    if params.get("api_version") not in (None, "", API_VERSION):
        raise unsupported(f"events in another version than {API_VERSION}", param="api_version")
    secret = "whsec_" + random_text(32)
    record = _insert(ctx, params, {"secret": secret})
    # The secret is shown in this answer and never again, as at Stripe.
    return shown(ctx, "webhook_endpoint", record.id, params) | {"secret": secret}


def update(ctx: Context, params: Params, key: str) -> Json:
    record = ctx.get("webhook_endpoint", key)
    body = record.body
    if "enabled_events" in params:
        _check_events(params["enabled_events"])
        body["enabled_events"] = params["enabled_events"]
    body["url"] = params.get("url", body["url"])
    body["description"] = params.get("description", body["description"]) or None
    body["metadata"] = merged(body["metadata"], params.get("metadata", {}))
    if "disabled" in params:
        body["status"] = "disabled" if params["disabled"] else "enabled"
    ctx.store.save(record)
    return shown(ctx, "webhook_endpoint", key, params)


def _delete(ctx: Context, params: Params, key: str) -> Json:
    ctx.store.delete(ctx.get("webhook_endpoint", key))
    return {"id": key, "object": "webhook_endpoint", "deleted": True}


def _check_events(names: list[str]) -> None:
    if not names:
        raise invalid("You must subscribe to at least one event.", param="enabled_events")
    for index, name in enumerate(names):
        if name != "*" and ("*" in name or "." not in name):
            raise invalid(f"Invalid event type: {name[:80]}", param=f"enabled_events[{index}]")


ROUTES = [
    Route("POST", PATH, _create, CREATE),
    retrieve(PATH, "webhook_endpoint"),
    Route("POST", PATH + "/{id}", update, UPDATE),
    Route("DELETE", PATH + "/{id}", _delete, {}),
    Route("GET", PATH, listing(PATH, "webhook_endpoint").handler, CURSORS),
]
