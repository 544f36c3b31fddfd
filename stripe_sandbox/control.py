"""Addresses of its own under /_sandbox/, for tests: pay without a browser, disturb the webhooks."""

import re
from collections.abc import Callable, Mapping

from . import (
    books,
    faults,
    money_commands,
    params,
    payments,
    saved_control,
    sessions,
    terms,
    upkeep,
    webhook_control,
)
from .context import Context
from .errors import ApiError
from .http import Request
from .methods import METHODS
from .params import Field, Integer, Params, Text
from .rendering import render
from .store import Json

type Command = Callable[..., Json]


def _pay(ctx: Context, given: Params, key: str) -> Json:
    session = ctx.get(sessions.KIND, key)
    names = {"country": "country", "coupon": "code", "currency": "currency"}
    terms.choose(session, **{name: given[key] for key, name in names.items() if key in given})
    method = payments.pay(ctx, session, given["method"], settle_now="settle" in given)
    return {"declined": method.failure_message} | _session(ctx, key)


def _settle(ctx: Context, given: Params, key: str) -> Json:
    outcome = given.get("outcome")
    payments.settle(ctx, key, succeeds=None if outcome is None else outcome == "succeeds")
    return _session(ctx, key)


def _session(ctx: Context, key: str) -> Json:
    return {"session": render(ctx, ctx.get(sessions.KIND, key))}


def _advance(ctx: Context, given: Params) -> Json:
    return {"now": upkeep.advance(ctx, given["seconds"])}


COMMANDS: list[tuple[str, str, Command, Mapping[str, Field]]] = [
    (
        "POST",
        r"/_sandbox/sessions/([^/]+)/pay",
        _pay,
        {
            "country": Text(),
            "coupon": Text(),
            "currency": Text(),
            "method": Text(required=True, choices=tuple(METHODS)),
            "settle": Text(choices=("now",)),
        },
    ),
    ("POST", r"/_sandbox/sessions/([^/]+)/settle", _settle, {"outcome": Text(choices=("succeeds", "fails"))}),
    ("POST", r"/_sandbox/clock", _advance, {"seconds": Integer(required=True, least=1, most=400 * 86_400)}),
    ("GET", r"/_sandbox/books", lambda ctx, given: books.books(ctx), {}),
    *faults.COMMANDS,
    *saved_control.COMMANDS,
    *money_commands.COMMANDS,
    *webhook_control.COMMANDS,
]


def perform(ctx: Context, request: Request) -> Json:
    """Parameters come form-encoded, as in the API. ApiError undoes the command."""
    for method, pattern, command, fields in COMMANDS:
        match = re.fullmatch(pattern, request.path)
        if match and method == request.method:
            text = request.body.decode(errors="replace") or request.query
            given = params.read(params.tree(params.pairs(text)), fields)
            return command(ctx, given, *match.groups())
    raise ApiError(404, "invalid_request_error", f"Unknown command: {request.method} {request.path[:200]}")
