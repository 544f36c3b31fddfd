"""What the shopper does: pay an open session in one of the ways offered; and what the bank does later."""

from . import events, intents, schedule
from .context import Context
from .errors import invalid
from .methods import METHODS, Method
from .sessions import EXPIRY, KIND, not_open
from .store import Json, Record

SETTLEMENT = "settle_payment"
NOBODY: Json = {"address": None, "email": None, "name": None, "phone": None}


def pay(ctx: Context, session: Record, name: str, *, settle_now: bool = False) -> Method:
    """One attempt. A declined one leaves the session open; a later debit completes it unpaid.

    Raises ApiError where the session is not open or does not offer the method.
    """
    if session.body["mode"] != "payment":
        raise invalid("Nothing is paid in this session.", param="mode")
    method = METHODS.get(name)
    if method is None or method.type not in session.body["payment_method_types"]:
        raise invalid(f"This session does not offer the method '{name[:40]}'.", param="method")
    if session.body["status"] != "open":
        raise not_open(session.body)
    intent = _intent(ctx, session)
    intents.confirm(ctx, intent, method, session.body["customer_details"] or NOBODY)
    if intent.body["status"] == "requires_payment_method":
        return method
    _complete(ctx, session, paid=intent.body["status"] == "succeeded")
    if method.settles_later:
        session.private["method"] = method.name
        ctx.store.save(session)
        delay = 0 if settle_now else ctx.settings.bank_delay_s
        schedule.plan(ctx, SETTLEMENT, session.id, due_at=ctx.clock.time() + delay)
    if settle_now:
        schedule.run_due(ctx)
    return method


def _intent(ctx: Context, session: Record) -> Record:
    if session.body["payment_intent"]:
        return ctx.get("payment_intent", session.body["payment_intent"])
    intent = intents.for_session(ctx, session.body, session.private["intent"])
    session.body["payment_intent"] = intent.id
    ctx.store.save(session)
    return intent


def _complete(ctx: Context, session: Record, *, paid: bool) -> None:
    schedule.cancel(ctx, EXPIRY, session.id)
    session.body |= {"status": "complete", "payment_status": "paid" if paid else "unpaid"}
    ctx.store.save(session)
    events.emit(ctx, "checkout.session.completed", session)


def settle(ctx: Context, session_id: str, *, succeeds: bool | None = None) -> None:
    """The bank's answer to a debit that is under way: as its method says, or as `succeeds` says."""
    session = ctx.get(KIND, session_id)
    intent = ctx.get("payment_intent", session.body["payment_intent"] or "none")
    if intent.body["status"] != "processing":
        raise invalid("No bank debit is under way for this session.")
    schedule.cancel(ctx, SETTLEMENT, session_id)
    outcomes = {None: session.private["method"], True: "bank", False: "bank_fails"}
    intents.finish(ctx, intent, METHODS[outcomes[succeeds]])
    if intent.body["status"] == "succeeded":
        session.body["payment_status"] = "paid"
        ctx.store.save(session)
        events.emit(ctx, "checkout.session.async_payment_succeeded", session)
    else:
        events.emit(ctx, "checkout.session.async_payment_failed", session)


schedule.JOBS[SETTLEMENT] = lambda ctx, session_id: settle(ctx, session_id)
