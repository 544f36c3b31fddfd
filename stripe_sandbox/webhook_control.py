"""Disturbing webhooks over HTTP, for tests; the dashboard does the same with forms."""

from collections.abc import Callable, Mapping

from . import disturbance, webhooks
from .context import Context
from .params import Field, Integer, Params, Seconds, Text
from .store import Json


def state(ctx: Context, given: Params) -> Json:
    return {
        "mode": webhooks.mode(ctx),
        "disturbance": disturbance.shown(disturbance.current(ctx)),
        "deliveries": webhooks.totals(ctx),
    }


def _mode(ctx: Context, given: Params, mode: str) -> Json:
    webhooks.set_mode(ctx, mode)
    return {"mode": mode}


def _disturb(ctx: Context, given: Params) -> Json:
    return {"disturbance": disturbance.shown(disturbance.put(ctx, given))}


def _calm(ctx: Context, given: Params) -> Json:
    disturbance.end(ctx)
    return {"disturbance": disturbance.shown(disturbance.current(ctx))}


def _shuffle(ctx: Context, given: Params) -> Json:
    return {"shuffled": webhooks.shuffle(ctx, given.get("seed", "0"))}


def _duplicate(ctx: Context, given: Params) -> Json:
    return {"queued": webhooks.duplicate(ctx, given.get("copies", 1))}


def _lose(ctx: Context, given: Params) -> Json:
    return {"dropped": webhooks.lose(ctx)}


def _resend(ctx: Context, given: Params, key: str) -> Json:
    return {"queued": webhooks.send_again(ctx, key, given.get("copies", 1))}


def _drop(ctx: Context, given: Params, key: str) -> Json:
    ctx.get("event", key)
    return {"dropped": webhooks.lose(ctx, key)}


def _delay(ctx: Context, given: Params, key: str) -> Json:
    ctx.get("event", key)
    return {"delayed": webhooks.delay(ctx, key, given["seconds"])}


def _deliveries(ctx: Context, given: Params, key: str) -> Json:
    ctx.get("event", key)
    return {"deliveries": webhooks.history(ctx, key)}


COPIES: dict[str, Field] = {"copies": Integer(least=1, most=1_000)}
LATE: dict[str, Field] = {"seconds": Seconds(required=True, most=30 * 86_400)}

COMMANDS: list[tuple[str, str, Callable[..., Json], Mapping[str, Field]]] = [
    ("GET", r"/_sandbox/webhooks", state, {}),
    ("POST", r"/_sandbox/webhooks/(deliver|pause|drop)", _mode, {}),
    ("POST", r"/_sandbox/webhooks/disturb", _disturb, disturbance.FIELDS),
    ("DELETE", r"/_sandbox/webhooks/disturb", _calm, {}),
    ("POST", r"/_sandbox/webhooks/shuffle", _shuffle, {"seed": Text(longest=100)}),
    ("POST", r"/_sandbox/webhooks/duplicate", _duplicate, COPIES),
    ("POST", r"/_sandbox/webhooks/lose", _lose, {}),
    ("POST", r"/_sandbox/events/([^/]+)/resend", _resend, COPIES),
    ("POST", r"/_sandbox/events/([^/]+)/drop", _drop, {}),
    ("POST", r"/_sandbox/events/([^/]+)/delay", _delay, LATE),
    ("GET", r"/_sandbox/events/([^/]+)/deliveries", _deliveries, {}),
]
