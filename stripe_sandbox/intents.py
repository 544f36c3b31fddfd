"""Payment intents: one for each checkout session whose shopper confirmed a payment, whatever came of it."""

from . import charges, events, payment_methods
from .context import Context
from .ids import new_id, random_text
from .methods import Method
from .params import Text
from .rendering import render
from .routes import listing, retrieve
from .store import Json, Record

PATH = "/v1/payment_intents"


def for_session(ctx: Context, session: Json, data: Json) -> Record:
    """The intent behind a session, for its total as it is now.

    `data` is what the session was given as `payment_intent_data`.
    """
    given = {
        "allowed_payment_method_types": session["allowed_payment_method_types"],
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "payment_method_types": session["payment_method_types"],
    }
    return create(ctx, data | given, {"session": session["id"]})


def create(ctx: Context, given: Json, private: Json) -> Record:
    """A new intent, for what was `given` as the parameters of its request are called."""
    key = new_id("payment_intent")
    nothing = (
        "application application_fee_amount automatic_payment_methods canceled_at cancellation_reason"
        " customer_account last_payment_error latest_charge next_action on_behalf_of payment_method"
        " payment_method_configuration_details processing review"
        " shipping transfer_data transfer_group"
    )
    told = (
        "allowed_payment_method_types amount currency customer description receipt_email setup_future_usage"
        " statement_descriptor statement_descriptor_suffix"
    )
    fields = dict.fromkeys(nothing.split()) | {name: given.get(name) for name in told.split()}
    fields |= {
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": given.get("capture_method", "automatic_async"),
        "client_secret": f"{key}_secret_{random_text(25)}",
        "confirmation_method": "automatic",
        "metadata": given.get("metadata") or {},
        "payment_method_options": {},
        "payment_method_types": given.get("payment_method_types", ["card"]),
        "status": "requires_payment_method",
    }
    intent = ctx.create("payment_intent", key, fields, private)
    events.emit(ctx, "payment_intent.created", intent)
    return intent


def confirm(ctx: Context, intent: Record, method: Method, payer: Json, used: Record | None = None) -> None:
    """Try to take the money: succeeded, processing, or back to requires_payment_method.

    `used` is a saved payment method; without one, what the shopper typed in becomes a new one.
    """
    used = used or payment_methods.of_payment(ctx, method, payer)
    intent.body |= {"payment_method": used.id, "last_payment_error": None, "next_action": None}
    charge = charges.attempt(ctx, intent.body, method, payer)
    intent.body["latest_charge"] = charge.id
    if method.settles_later:
        intent.body["status"] = "processing"
        ctx.store.save(intent)
        events.emit(ctx, "charge.pending", charge)
        events.emit(ctx, "payment_intent.processing", intent)
    else:
        finish(ctx, intent, method)


def finish(ctx: Context, intent: Record, method: Method) -> None:
    """The attempt that is under way ends as its method says."""
    charge = ctx.get("charge", intent.body["latest_charge"])
    if method.failure_code:
        charges.fail(ctx, charge, method)
        _fail(ctx, intent, method)
        return
    charges.succeed(ctx, charge, method)
    customer = ctx.store.find("customer", intent.body["customer"] or "")
    if intent.body["setup_future_usage"] and customer:
        used = ctx.get(payment_methods.KIND, intent.body["payment_method"])
        payment_methods.attach(ctx, used, customer.id)
    intent.body |= {"amount_received": intent.body["amount"], "status": "succeeded"}
    ctx.store.save(intent)
    events.emit(ctx, "payment_intent.succeeded", intent)


def _fail(ctx: Context, intent: Record, method: Method) -> None:
    error = {
        "charge": intent.body["latest_charge"],
        "code": method.failure_code,
        "message": method.failure_message,
        "payment_method": render(ctx, ctx.get(payment_methods.KIND, intent.body["payment_method"])),
        "payment_method_type": method.type,
        "type": "card_error" if method.type == "card" else "invalid_request_error",
    }
    if method.decline_code:
        error["decline_code"] = method.decline_code
    intent.body |= {
        "last_payment_error": error,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    ctx.store.save(intent)
    events.emit(ctx, "payment_intent.payment_failed", intent)


ROUTES = [
    retrieve(PATH, "payment_intent"),
    listing(PATH, "payment_intent", {"customer": Text()}),
]
