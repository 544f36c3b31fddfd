"""Payment intents that the shop makes itself: a saved card is charged, with or without the person.

A decline is an answer (402) that stays: the intent is left in `requires_payment_method`, and the answer is
stored under its idempotency key, so that another attempt needs another key.
"""

from . import cards, events, intents, payment_methods, schedule
from .context import Context
from .errors import ApiError, invalid, refused, unsupported
from .line_items import CURRENCY, LEAST_CENTS, MOST_CENTS
from .metadata import merged
from .params import Address, Boolean, Field, Integer, Many, Metadata, Nested, Params, Text, Unsupported
from .removed import RemovedPaymentMethodTypes
from .rendering import render
from .routes import EXPAND, Route, shown
from .store import Json, Record

PATH = intents.PATH
KIND = "payment_intent"
SETTLEMENT = "settle_intent"
NOBODY: Json = {"address": None, "email": None, "name": None, "phone": None}

UNSUPPORTED = (
    "amount_details application_fee_amount confirmation_token customer_account excluded_payment_method_types"
    " hooks mandate mandate_data on_behalf_of payment_details payment_method_configuration"
    " payment_method_data payment_method_options radar_options shipping transfer_data transfer_group"
    " use_stripe_sdk"
)
CONFIRM: dict[str, Field] = {
    **EXPAND,
    **dict.fromkeys(UNSUPPORTED.split(), Unsupported()),
    "allowed_payment_method_types": Many(Text()),
    "capture_method": Text(choices=("automatic", "automatic_async")),
    "error_on_requires_action": Boolean(),
    "off_session": Boolean(),
    "amount_to_confirm": Unsupported(),
    "client_secret": Unsupported(),
    "payment_method": Text(),
    "payment_method_types": RemovedPaymentMethodTypes(),
    "receipt_email": Text(),
    "return_url": Address(),
    "setup_future_usage": Text(choices=("off_session", "on_session")),
}
CREATE: dict[str, Field] = {
    **CONFIRM,
    "amount": Integer(required=True),
    "automatic_payment_methods": Nested(
        {"allow_redirects": Text(choices=("always", "never")), "enabled": Boolean(required=True)}
    ),
    "confirm": Boolean(),
    "confirmation_method": Text(choices=("automatic",)),
    "currency": Text(required=True),
    "customer": Text(),
    "description": Text(longest=1_000),
    "metadata": Metadata(),
    "statement_descriptor": Text(longest=22),
    "statement_descriptor_suffix": Text(longest=22),
}


def _create(ctx: Context, params: Params) -> Json:
    _check_amount(params)
    _check_together(params)
    if "customer" in params:
        ctx.get("customer", params["customer"], param="customer")
    used = None
    if "payment_method" in params:
        used = _method(ctx, params["payment_method"], params.get("customer"))
    elif params.get("confirm"):
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise refused(message, code="payment_intent_unexpected_state")
    given = params | {"currency": CURRENCY, "metadata": merged({}, params.get("metadata", {}))}
    intent = intents.create(ctx, given, {})
    if used is not None:
        intent.body |= {"payment_method": used.id, "status": "requires_confirmation"}
        ctx.store.save(intent)
        if params.get("confirm"):
            _attempt(ctx, intent, used, params)
    return shown(ctx, KIND, intent.id, params)


def _check_together(params: Params) -> None:
    """What cannot be asked for together, or only together."""
    if params.get("off_session") and not params.get("confirm"):
        raise invalid("`off_session` can only be used together with `confirm=true`.", param="off_session")
    allowed = params.get("allowed_payment_method_types")
    if allowed is not None and "automatic_payment_methods" in params:
        message = (
            "You may only specify one of these parameters: allowed_payment_method_types,"
            " automatic_payment_methods."
        )
        raise invalid(message, param="allowed_payment_method_types")
    if allowed is not None and "card" not in allowed:
        raise unsupported("payment intents without cards", param="allowed_payment_method_types")


def _check_amount(params: Params) -> None:
    if params["currency"].lower() != CURRENCY:
        raise unsupported(
            f"payment intents in {params['currency'][:10]}: its account settles in {CURRENCY}",
            param="currency",
        )
    if params["amount"] < LEAST_CENTS:
        message = f"Amount must be at least ${LEAST_CENTS / 100:.2f} {CURRENCY}"
        raise invalid(message, param="amount", code="amount_too_small")
    if params["amount"] > MOST_CENTS:
        message = f"Amount must be no more than ${MOST_CENTS // 100:,}.{MOST_CENTS % 100} {CURRENCY}"
        raise invalid(message, param="amount", code="amount_too_large")


def _method(ctx: Context, key: str, customer: str | None) -> Record:
    """The payment method that is to be charged; ApiError where it is not this customer's."""
    used = payment_methods.find(ctx, key, param="payment_method")
    if used.body["type"] != "card":
        raise unsupported(f"charging a {used.body['type']}", param="payment_method")
    if "detached" in used.private:
        raise payment_methods.was_detached()
    owner = used.body["customer"]
    if owner and not customer:
        message = (
            f"The payment method supplied ({used.id}) belongs to the Customer {owner}. Please include the"
            " Customer in the `customer` parameter on the PaymentIntent."
        )
        raise refused(message, param="customer")
    if owner and owner != customer:
        message = (
            f"The customer does not have a payment method with the ID {used.id}. The payment method must be"
            " attached to the customer."
        )
        raise refused(message, param="payment_method", code="resource_missing")
    return used


def _attempt(ctx: Context, intent: Record, used: Record, params: Params) -> None:
    """Charge `used`. ApiError 402 where it is declined; what was done stays done."""
    method = payment_methods.outcome(ctx, used)
    asks = method.failure_code == "authentication_required" and not params.get("off_session")
    if asks and not params.get("error_on_requires_action"):
        intent.body |= {
            "payment_method": used.id,
            "status": "requires_action",
            "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {}},
        }
        ctx.store.save(intent)
        events.emit(ctx, "payment_intent.requires_action", intent)
        return
    customer = intent.body["customer"]
    payer = ctx.get("customer", customer).body if customer else NOBODY
    intents.confirm(ctx, intent, method, payer, used)
    if intent.body["status"] == "processing":
        schedule.plan(ctx, SETTLEMENT, intent.id, due_at=ctx.clock.time() + ctx.settings.bank_delay_s)
    elif intent.body["status"] == "requires_payment_method":
        details = {"charge": intent.body["latest_charge"], "payment_intent": render(ctx, intent)}
        raise cards.declined(method, details | {"payment_method": render(ctx, used)})


def settle(ctx: Context, key: str, *, succeeds: bool | None = None) -> None:
    """The bank's answer to an intent in `processing`: as the card says, or as `succeeds` says."""
    intent = ctx.get(KIND, key)
    if intent.body["status"] != "processing" or "session" in intent.private:
        raise invalid("No payment of the shop's own is under way for this payment intent.")
    schedule.cancel(ctx, SETTLEMENT, key)
    used = ctx.get(payment_methods.KIND, intent.body["payment_method"])
    method = payment_methods.outcome(ctx, used)
    if succeeds is not None:
        name = "succeeds" if succeeds else "processing_fails"
        method = cards.OUTCOMES[name].using(used.body["card"])
    intents.finish(ctx, intent, method)


def _confirm(ctx: Context, params: Params, key: str) -> Json:
    intent = _own(ctx, key, "confirm")
    if intent.body["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        raise _unexpected(ctx, intent, "confirm")
    name = params.get("payment_method", intent.body["payment_method"])
    if name is None:
        raise _unexpected(ctx, intent, "confirm", "it's missing a payment method")
    for field in ("receipt_email", "setup_future_usage"):
        intent.body[field] = params.get(field, intent.body[field])
    _attempt(ctx, intent, _method(ctx, name, intent.body["customer"]), params)
    return shown(ctx, KIND, key, params)


def _cancel(ctx: Context, params: Params, key: str) -> Json:
    intent = _own(ctx, key, "cancel")
    if intent.body["status"] in ("succeeded", "canceled", "processing"):
        raise _unexpected(ctx, intent, "cancel")
    intent.body |= {
        "canceled_at": ctx.now,
        "cancellation_reason": params.get("cancellation_reason"),
        "next_action": None,
        "status": "canceled",
    }
    ctx.store.save(intent)
    events.emit(ctx, "payment_intent.canceled", intent)
    return shown(ctx, KIND, key, params)


def _own(ctx: Context, key: str, verb: str) -> Record:
    intent = ctx.get(KIND, key)
    if "session" in intent.private:
        message = f"You cannot {verb} this PaymentIntent because it was created by a Checkout Session."
        raise refused(message, code="payment_intent_unexpected_state")
    return intent


def _unexpected(ctx: Context, intent: Record, verb: str, why: str = "") -> ApiError:
    why = why or f"it has a status of {intent.body['status']}"
    error = refused(
        f"You cannot {verb} this PaymentIntent because {why}.", code="payment_intent_unexpected_state"
    )
    error.details["payment_intent"] = render(ctx, intent)
    return error


def _update(ctx: Context, params: Params, key: str) -> Json:
    """Stripe lets a shop change much more; here what does not touch the money."""
    intent = ctx.get(KIND, key)
    if "metadata" in params:
        intent.body["metadata"] = merged(intent.body["metadata"], params["metadata"])
    if "description" in params:
        intent.body["description"] = params["description"]
    ctx.store.save(intent)
    return shown(ctx, KIND, key, params)


schedule.JOBS[SETTLEMENT] = lambda ctx, key: settle(ctx, key)

UPDATE: dict[str, Field] = {
    **dict.fromkeys((*CREATE, *UNSUPPORTED.split()), Unsupported()),
    **EXPAND,
    "description": Text(longest=1_000),
    "metadata": Metadata(),
}
REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
ROUTES = [
    Route("POST", PATH, _create, CREATE),
    Route(
        "POST",
        PATH + "/{id}",
        _update,
        UPDATE,
    ),
    Route("POST", PATH + "/{id}/confirm", _confirm, CONFIRM),
    Route("POST", PATH + "/{id}/cancel", _cancel, {**EXPAND, "cancellation_reason": Text(choices=REASONS)}),
]
