"""Setup intents: the try to save a card, behind a checkout session in setup mode or a portal."""

from . import cards, events, payment_methods
from .cards import Card
from .context import Context
from .errors import ApiError, invalid
from .ids import new_id, random_text
from .methods import Method
from .params import Boolean, Field, Text
from .rendering import render
from .routes import listing, retrieve
from .store import Json, Record

PATH = "/v1/setup_intents"
KIND = "setup_intent"

NOT_AUTHENTICATED = Method(
    "saved",
    "card",
    failure_code="setup_intent_authentication_failure",
    failure_message="The latest attempt to set up the payment method has failed because authentication failed.",
)


def create(ctx: Context, customer: str | None, *, allowed: list[str] | None, data: Json) -> Record:
    """`data` is what a session was given as `setup_intent_data`."""
    key = new_id(KIND)
    nothing = (
        "application attach_to_self automatic_payment_methods cancellation_reason customer_account"
        " excluded_payment_method_types flow_directions last_setup_error latest_attempt mandate next_action"
        " on_behalf_of payment_method payment_method_configuration_details single_use_mandate"
    )
    fields = dict.fromkeys(nothing.split()) | {
        "allowed_payment_method_types": allowed,
        "attach_to_self": False,
        "client_secret": f"{key}_secret_{random_text(25)}",
        "customer": customer,
        "description": data.get("description"),
        "metadata": data.get("metadata") or {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    }
    intent = ctx.create(KIND, key, fields)
    events.emit(ctx, "setup_intent.created", intent)
    return intent


def confirm(ctx: Context, intent: Record, card: Card, *, authenticated: bool | None = None) -> None:
    """Try to save the card: succeeded, or back to requires_payment_method.

    A card whose bank asks the person waits in `requires_action` until `authenticated` says how that went.
    """
    method = payment_methods.create(ctx, card, _payer(ctx, intent))
    intent.body |= {"payment_method": method.id, "last_setup_error": None}
    if card.refusal:
        _fail(ctx, intent, cards.OUTCOMES[card.refusal])
        return
    if card.authenticates:
        intent.body |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
        intent.body["next_action"]["use_stripe_sdk"] = {}
        ctx.store.save(intent)
        events.emit(ctx, "setup_intent.requires_action", intent)
        if authenticated is not None:
            authenticate(ctx, intent, succeeds=authenticated)
        return
    _succeed(ctx, intent)


def authenticate(ctx: Context, intent: Record, *, succeeds: bool) -> None:
    """What the person told their bank; ApiError 400 where it did not ask."""
    if intent.body["status"] != "requires_action":
        raise invalid("No authentication is under way.")
    if succeeds:
        _succeed(ctx, intent)
    else:
        _fail(ctx, intent, NOT_AUTHENTICATED)


def _succeed(ctx: Context, intent: Record) -> None:
    if intent.body["customer"]:
        method = ctx.get(payment_methods.KIND, intent.body["payment_method"])
        payment_methods.attach(ctx, method, intent.body["customer"])
    intent.body |= {"status": "succeeded", "next_action": None}
    ctx.store.save(intent)
    events.emit(ctx, "setup_intent.succeeded", intent)


def _fail(ctx: Context, intent: Record, why: Method) -> None:
    method = ctx.get(payment_methods.KIND, intent.body["payment_method"])
    kind = "invalid_request_error" if why is NOT_AUTHENTICATED else "card_error"
    error = ApiError(
        402, kind, why.failure_message or "", code=why.failure_code, details={"payment_method": None}
    )
    shown = error.body()["error"] | {"payment_method": render(ctx, method)}
    if why.decline_code:
        shown["decline_code"] = why.decline_code
    intent.body |= {
        "last_setup_error": shown,
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    ctx.store.save(intent)
    events.emit(ctx, "setup_intent.setup_failed", intent)


def _payer(ctx: Context, intent: Record) -> Json | None:
    customer = intent.body["customer"]
    return ctx.get("customer", customer).body if customer else None


FILTERS: dict[str, Field] = {"attach_to_self": Boolean(), "customer": Text(), "payment_method": Text()}
ROUTES = [
    retrieve(PATH, KIND),
    listing(PATH, KIND, FILTERS),
]
