"""State that an earlier version of the stand-in left behind, made whole when its folder is opened."""

from . import payment_methods, sessions, terms
from .context import Context
from .methods import METHODS
from .store import Record

# Raised by whoever has objects know more than before, with a step below that gives it to those that are there.
VERSION = 1


def run(ctx: Context) -> None:
    if ctx.store.version() >= VERSION:
        return
    for session in ctx.store.select("kind = ?", [sessions.KIND]):
        _give_terms(ctx, session)
    for intent in ctx.store.select("kind = 'payment_intent'", []):
        _give_method(ctx, intent)
    ctx.store.set_version(VERSION)


def _give_terms(ctx: Context, session: Record) -> None:
    """Sessions used to be paid for what they asked, in dollars, and without an invoice."""
    session.private = {"choices": dict(terms.UNDECIDED), "invoice": {}} | session.private
    ctx.store.save(session)


def _give_method(ctx: Context, intent: Record) -> None:
    """What was paid with used to be an id that named nothing."""
    key = intent.body["payment_method"]
    if key is None or ctx.store.find(payment_methods.KIND, key):
        return
    charge = ctx.get("charge", intent.body["latest_charge"]).body
    method = METHODS["card" if charge["payment_method_details"]["type"] == "card" else "bank"]
    used = payment_methods.of_payment(ctx, method, charge["billing_details"])
    intent.body["payment_method"] = used.id
    ctx.store.save(intent)
