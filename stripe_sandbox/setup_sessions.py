"""Checkout sessions in setup mode: the shopper saves a card, and nothing is paid."""

from . import events, schedule, sessions, setup_intents
from .cards import CARDS
from .context import Context
from .errors import invalid, unsupported
from .line_items import CURRENCY
from .metadata import merged
from .params import Params
from .routes import Route
from .store import Json, Record

NOT_IN_SETUP = (
    "automatic_tax discounts invoice_creation line_items payment_intent_data submit_type allow_promotion_codes"
    " adaptive_pricing"
)


def _setup(ctx: Context, params: Params, key: str) -> tuple[Json, Json]:
    """Its intent exists from the beginning, unlike the payment intent of a session that is paid."""
    for name in NOT_IN_SETUP.split():
        if name in params:
            raise invalid(f"You can not pass `{name}` in `setup` mode.", param=name)
    allowed = params.get("allowed_payment_method_types")
    if allowed is None and "currency" not in params:
        message = "`currency` is required in `setup` mode when `allowed_payment_method_types` is not set."
        raise invalid(message, param="currency", code="parameter_missing")
    if allowed is not None and "card" not in allowed:
        raise unsupported("saving anything but cards", param="allowed_payment_method_types")
    currency = params.get("currency", CURRENCY).lower()
    if currency != CURRENCY:
        raise unsupported(f"setup sessions in {currency[:10]}", param="currency")
    data = params.get("setup_intent_data", {})
    data["metadata"] = merged({}, data.get("metadata", {}))
    intent = setup_intents.create(ctx, params.get("customer"), allowed=allowed, data=data)
    fields: Json = {
        "amount_subtotal": None,
        "amount_total": None,
        "currency": currency if "currency" in params else None,
        "customer_creation": None,
        "mode": "setup",
        "payment_method_types": ["card"],
        "payment_status": "no_payment_required",
        "setup_intent": intent.id,
        "total_details": None,
    }
    return fields, {"items": []}


def save_card(ctx: Context, session: Record, name: str, *, authenticated: bool | None = None) -> Record:
    """One attempt with the card of that name; a refused one leaves the session open. The setup intent.

    A card whose bank asks waits for `authenticate` unless `authenticated` says how it went.
    """
    if name not in CARDS:
        raise invalid(f"There is no test card '{name[:40]}'.", param="card")
    intent = _intent(ctx, session)
    setup_intents.confirm(ctx, intent, CARDS[name], authenticated=authenticated)
    return _complete(ctx, session, intent)


def authenticate(ctx: Context, session: Record, *, succeeds: bool) -> Record:
    """What the person told their bank. The setup intent."""
    intent = _intent(ctx, session)
    setup_intents.authenticate(ctx, intent, succeeds=succeeds)
    return _complete(ctx, session, intent)


def _intent(ctx: Context, session: Record) -> Record:
    if session.body["mode"] != "setup":
        raise invalid("This session is paid, it saves no card by itself.")
    if session.body["status"] != "open":
        raise sessions.not_open(session.body)
    return ctx.get(setup_intents.KIND, session.body["setup_intent"])


def _complete(ctx: Context, session: Record, intent: Record) -> Record:
    if intent.body["status"] == "succeeded":
        schedule.cancel(ctx, sessions.EXPIRY, session.id)
        session.body["status"] = "complete"
        ctx.store.save(session)
        events.emit(ctx, "checkout.session.completed", session)
    return intent


sessions.MODES["setup"] = _setup

# Its addresses are those of every session.
ROUTES: list[Route] = []
