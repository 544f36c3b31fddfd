"""What the shopper does: pay an open session in one of the ways offered; and what the bank does later."""

from . import events, intents, invoices, presentment, schedule, terms
from .context import Context
from .customers import ADDRESS_PARTS
from .errors import invalid
from .methods import METHODS, Method
from .sessions import EXPIRY, KIND, not_open
from .store import Json, Record

SETTLEMENT = "settle_payment"
NOBODY: Json = {"address": None, "email": None, "name": None, "phone": None}
NO_DETAILS: Json = NOBODY | {
    "business_name": None,
    "individual_name": None,
    "tax_exempt": "none",
    "tax_ids": None,
}


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
    terms.settle_location(session)
    if not session.body["amount_total"]:
        _complete(ctx, session, "no_payment_required")
        return method
    intent = _intent(ctx, session)
    intents.confirm(ctx, intent, method, _payer(session))
    if intent.body["status"] == "requires_payment_method":
        return method
    _complete(ctx, session, "paid" if intent.body["status"] == "succeeded" else "unpaid")
    if method.settles_later:
        session.private["method"] = method.name
        ctx.store.save(session)
        delay = 0 if settle_now else ctx.settings.bank_delay_s
        schedule.plan(ctx, SETTLEMENT, session.id, due_at=ctx.clock.time() + delay)
    if settle_now:
        schedule.run_due(ctx)
    return method


def _intent(ctx: Context, session: Record) -> Record:
    """The session's intent, for what it costs by now: the shopper may have changed that after a decline."""
    body = session.body
    if body["payment_intent"]:
        intent = ctx.get("payment_intent", body["payment_intent"])
        intent.body.pop("presentment_details", None)
    else:
        intent = intents.for_session(ctx, body, session.private["intent"])
        body["payment_intent"] = intent.id
    intent.body |= presentment.details(body["amount_total"], session.private["choices"]["currency"])
    intent.body["amount"] = body["amount_total"]
    ctx.store.save(intent)
    ctx.store.save(session)
    return intent


def _payer(session: Record) -> Json:
    """What billing_details of the charge say."""
    details = session.body["customer_details"] or NOBODY
    country = session.private["choices"]["country"]
    return details | {"address": dict.fromkeys(ADDRESS_PARTS) | {"country": country}} if country else details


def _complete(ctx: Context, session: Record, payment_status: str) -> None:
    schedule.cancel(ctx, EXPIRY, session.id)
    choices = session.private["choices"]
    session.body |= {"status": "complete", "payment_status": payment_status}
    session.body |= presentment.details(session.body["amount_total"], choices["currency"])
    if choices["country"]:
        _locate(ctx, session, _payer(session)["address"])
    if payment_status != "unpaid":
        _invoice(ctx, session)
    ctx.store.save(session)
    events.emit(ctx, "checkout.session.completed", session)


def _locate(ctx: Context, session: Record, address: Json) -> None:
    """The address that was typed in is the session's, and the customer's where the shop wants that."""
    session.body["customer_details"] = (session.body["customer_details"] or NO_DETAILS) | {"address": address}
    if session.private["choices"]["update"].get("address") != "auto":
        return
    customer = ctx.store.find("customer", session.body["customer"])
    if customer and customer.body["address"] != address:
        previous = {"address": customer.body["address"]}
        customer.body["address"] = address
        ctx.store.save(customer)
        events.emit(ctx, "customer.updated", customer, previous=previous)


def _invoice(ctx: Context, session: Record) -> None:
    wanted = (session.body["invoice_creation"] or {}).get("enabled")
    if wanted and ctx.store.find("customer", session.body["customer"]):
        session.body["invoice"] = invoices.of_session(ctx, session).id


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
        _invoice(ctx, session)
        ctx.store.save(session)
        events.emit(ctx, "checkout.session.async_payment_succeeded", session)
    else:
        events.emit(ctx, "checkout.session.async_payment_failed", session)


schedule.JOBS[SETTLEMENT] = lambda ctx, session_id: settle(ctx, session_id)
