"""Commands under /_sandbox/ for saved cards and for payments that the shop makes itself."""

from collections.abc import Callable, Mapping

from . import off_session, payment_methods, sessions, setup_sessions
from .cards import CARDS, OUTCOMES
from .context import Context
from .params import Field, Integer, Params, Text
from .rendering import render
from .store import Json


def _setup(ctx: Context, given: Params, key: str) -> Json:
    session = ctx.get(sessions.KIND, key)
    authenticated = given.get("authentication", "succeeds")
    wanted = {"succeeds": True, "fails": False, "wait": None}[authenticated]
    intent = setup_sessions.save_card(ctx, session, given["card"], authenticated=wanted)
    return _session(ctx, key) | {"setup_intent": render(ctx, intent)}


def _authenticate(ctx: Context, given: Params, key: str) -> Json:
    session = ctx.get(sessions.KIND, key)
    intent = setup_sessions.authenticate(ctx, session, succeeds=given["outcome"] == "succeeds")
    return _session(ctx, key) | {"setup_intent": render(ctx, intent)}


def _session(ctx: Context, key: str) -> Json:
    return {"session": render(ctx, ctx.get(sessions.KIND, key))}


def _settle(ctx: Context, given: Params, key: str) -> Json:
    outcome = given.get("outcome")
    off_session.settle(ctx, key, succeeds=None if outcome is None else outcome == "succeeds")
    return {"payment_intent": render(ctx, ctx.get("payment_intent", key))}


def _behave(ctx: Context, given: Params, key: str) -> Json:
    method = ctx.get(payment_methods.KIND, key)
    method.private["outcome"] = given["outcome"]
    ctx.store.save(method)
    return {"payment_method": render(ctx, method), "outcome": given["outcome"]}


def _renew(ctx: Context, given: Params, key: str) -> Json:
    method = ctx.get(payment_methods.KIND, key)
    payment_methods.renew(ctx, method, last4=given.get("last4", "4242"), exp_year=given.get("exp_year", 2040))
    method.private["outcome"] = "succeeds"
    ctx.store.save(method)
    return {"payment_method": render(ctx, method)}


def _give(ctx: Context, given: Params, key: str) -> Json:
    customer = ctx.get("customer", key)
    method = payment_methods.create(ctx, CARDS[given["card"]], customer.body)
    payment_methods.attach(ctx, method, key)
    if "default" in given:
        payment_methods.set_default(ctx, customer, method.id)
    return {"payment_method": render(ctx, method)}


CARD: Field = Text(required=True, choices=tuple(CARDS))
BANK: Field = Text(choices=("succeeds", "fails"))
COMMANDS: list[tuple[str, str, Callable[..., Json], Mapping[str, Field]]] = [
    (
        "POST",
        r"/_sandbox/sessions/([^/]+)/setup",
        _setup,
        {"card": CARD, "authentication": Text(choices=("succeeds", "fails", "wait"))},
    ),
    (
        "POST",
        r"/_sandbox/sessions/([^/]+)/authenticate",
        _authenticate,
        {"outcome": Text(required=True, choices=("succeeds", "fails"))},
    ),
    ("POST", r"/_sandbox/payment_intents/([^/]+)/settle", _settle, {"outcome": BANK}),
    (
        "POST",
        r"/_sandbox/payment_methods/([^/]+)/behave",
        _behave,
        {"outcome": Text(required=True, choices=tuple(OUTCOMES))},
    ),
    (
        "POST",
        r"/_sandbox/payment_methods/([^/]+)/renew",
        _renew,
        {"last4": Text(longest=4), "exp_year": Integer(least=2000, most=2100)},
    ),
    ("POST", r"/_sandbox/customers/([^/]+)/cards", _give, {"card": CARD, "default": Text(choices=("yes",))}),
]
