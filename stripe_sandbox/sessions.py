"""Checkout sessions: open until the shopper pays, they are expired by the API, or their time is over."""

from collections.abc import Callable

from . import events, line_items, locales, schedule, terms
from .context import Context
from .errors import ApiError, invalid, refused, unsupported
from .ids import new_id
from .metadata import merged
from .methods import TYPES
from .paging import CURSORS, PAGING, envelope, page, slice_of
from .params import Address, Boolean, Field, Integer, Many, Metadata, Nested, Params, Text, Unsupported
from .removed import RemovedPaymentMethodTypes
from .rendering import INCLUDABLE, RENDERERS
from .routes import EXPAND, Route, retrieve, shown
from .store import Json, Record

PATH = "/v1/checkout/sessions"
KIND = "checkout.session"

SHORTEST_S = 30 * 60
LONGEST_S = 24 * 3_600
EXPIRY = "expire_session"

UNSUPPORTED = (
    "after_expiration branding_settings consent_collection custom_fields custom_text customer_account"
    " excluded_payment_method_types integration_identifier managed_payments"
    " name_collection optional_items origin_context payment_method_collection payment_method_configuration"
    " payment_method_data payment_method_options permissions phone_number_collection redirect_on_completion"
    " return_url saved_payment_method_options shipping_address_collection shipping_options"
    " subscription_data tax_id_collection wallet_options"
)


UNSUPPORTED_OF_INTENT = "application_fee_amount on_behalf_of shipping transfer_data transfer_group"


INVOICE = Nested(
    {
        **dict.fromkeys(["account_tax_ids", "custom_fields", "issuer", "rendering_options"], Unsupported()),
        "description": Text(longest=1_500),
        "footer": Text(longest=5_000),
        "metadata": Metadata(),
    }
)
CREATE: dict[str, Field] = {
    **EXPAND,
    **dict.fromkeys(UNSUPPORTED.split(), Unsupported()),
    "adaptive_pricing": Nested({"enabled": Boolean()}),
    "allow_promotion_codes": Boolean(),
    "allowed_payment_method_types": Many(Text()),
    "automatic_tax": Nested({"enabled": Boolean(required=True), "liability": Unsupported()}),
    "billing_address_collection": Text(choices=("auto", "required")),
    "cancel_url": Address(),
    "client_reference_id": Text(longest=200),
    "currency": Text(),
    "customer": Text(),
    "customer_creation": Text(choices=("if_required",)),
    "customer_email": Text(longest=800),
    "customer_update": Nested(
        dict.fromkeys(("address", "name", "shipping"), Text(choices=("auto", "never")))
    ),
    "discounts": Many(Nested({"coupon": Text(), "promotion_code": Text()})),
    "expires_at": Integer(),
    "invoice_creation": Nested({"enabled": Boolean(required=True), "invoice_data": INVOICE}),
    "line_items": line_items.FIELD,
    "locale": Text(choices=locales.CHECKOUT),
    "metadata": Metadata(),
    "mode": Text(required=True, choices=("payment", "setup", "subscription")),
    "payment_intent_data": Nested(
        {
            "capture_method": Text(choices=("automatic", "automatic_async")),
            "description": Text(longest=1_000),
            "metadata": Metadata(),
            "receipt_email": Text(),
            "setup_future_usage": Text(choices=("off_session", "on_session")),
            **dict.fromkeys(UNSUPPORTED_OF_INTENT.split(), Unsupported()),
            "statement_descriptor": Text(longest=22),
            "statement_descriptor_suffix": Text(longest=22),
        }
    ),
    "payment_method_types": RemovedPaymentMethodTypes(),
    "setup_intent_data": Nested(
        {"description": Text(longest=1_000), "metadata": Metadata(), "on_behalf_of": Unsupported()}
    ),
    "submit_type": Text(choices=("auto", "pay", "book", "donate")),
    "success_url": Address(required=True),
    "ui_mode": Text(choices=("hosted_page",)),
}


# What each mode adds to a new session: its fields, and what only the stand-in knows.
type Mode = Callable[[Context, Params, str], tuple[Json, Json]]
MODES: dict[str, Mode] = {}


def _create(ctx: Context, params: Params) -> Json:
    if params["mode"] not in MODES:
        raise unsupported(f"mode={params['mode']}", param="mode")
    if "customer" in params and "customer_email" in params:
        raise invalid(
            "You may only specify one of these parameters: customer, customer_email.", param="customer"
        )
    customer = ctx.get("customer", params["customer"], param="customer") if "customer" in params else None
    key = new_id(KIND)
    fields = _constant() | _told(params)
    fields |= {
        "customer_details": _details(customer.body["email"] if customer else params.get("customer_email")),
        "expires_at": _expiry(ctx, params.get("expires_at")),
    }
    more, private = MODES[params["mode"]](ctx, params, key)
    record = ctx.create(KIND, key, fields | more, private)
    schedule.plan(ctx, EXPIRY, record.id, due_at=fields["expires_at"])
    return shown(ctx, KIND, record.id, params)


def _payment(ctx: Context, params: Params, key: str) -> tuple[Json, Json]:
    if "setup_intent_data" in params:
        message = "You can not pass `setup_intent_data` in `payment` mode."
        raise invalid(message, param="setup_intent_data")
    items = line_items.build(ctx, params.get("line_items", []))
    if params.get("currency", line_items.CURRENCY).lower() != line_items.CURRENCY:
        raise invalid("The currency differs from that of the line items.", param="currency")
    fields, choices = terms.begin(ctx, params, items)
    invoice = params.get("invoice_creation", {"enabled": False})
    if invoice["enabled"]:
        fields["invoice_creation"] = _invoice_creation(params)
    data = params.get("payment_intent_data", {})
    data["metadata"] = merged({}, data.get("metadata", {}))
    private = {"items": items, "intent": data, "choices": choices}
    return fields | {"currency": line_items.CURRENCY}, private | {"invoice": invoice.get("invoice_data", {})}


def _invoice_creation(params: Params) -> Json:
    if "customer" not in params:
        raise unsupported("invoices without a customer", param="invoice_creation[enabled]")
    nothing = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    given = params["invoice_creation"].get("invoice_data", {})
    given["metadata"] = merged({}, given.get("metadata", {}))
    return {"enabled": True, "invoice_data": dict.fromkeys(nothing) | given}


def _constant() -> Json:
    nothing = (
        "after_expiration client_secret collected_information consent consent_collection currency_conversion"
        " customer_account invoice payment_intent payment_link payment_method_configuration_details"
        " permissions recovered_from saved_payment_method_options setup_intent shipping_address_collection"
        " shipping_cost subscription url wallet_options"
    )
    return dict.fromkeys(nothing.split()) | {
        "allow_promotion_codes": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "custom_fields": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "discounts": [],
        "invoice_creation": None,
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "ui_mode": "hosted_page",
    }


def _told(params: Params) -> Json:
    """What the session repeats of its request."""
    names = (
        "billing_address_collection cancel_url client_reference_id customer customer_email locale submit_type"
        " success_url"
    )
    allowed = params.get("allowed_payment_method_types")
    offered = [kind for kind in TYPES if allowed is None or kind in allowed]
    if not offered:
        message = f"The Stripe sandbox offers these payment method types only: {', '.join(TYPES)}."
        raise invalid(message, param="allowed_payment_method_types")
    return {name: params.get(name) for name in names.split()} | {
        "adaptive_pricing": {"enabled": params.get("adaptive_pricing", {}).get("enabled", False)},
        "allowed_payment_method_types": allowed,
        "customer_creation": None if "customer" in params else "if_required",
        "metadata": merged({}, params.get("metadata", {})),
        "payment_method_types": offered,
    }


def _details(email: str | None) -> Json | None:
    if email is None:
        return None
    nothing = ("address", "business_name", "individual_name", "name", "phone")
    return dict.fromkeys(nothing) | {"email": email, "tax_exempt": "none", "tax_ids": None}


def _expiry(ctx: Context, given: int | None) -> int:
    if given is None:
        return ctx.now + LONGEST_S
    if given - ctx.now < SHORTEST_S:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, param="expires_at")
    if given - ctx.now > LONGEST_S:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, param="expires_at")
    return given


def _update(ctx: Context, params: Params, key: str) -> Json:
    record = ctx.get(KIND, key)
    record.body["metadata"] = merged(record.body["metadata"], params.get("metadata", {}))
    ctx.store.save(record)
    return shown(ctx, KIND, key, params)


def _expire(ctx: Context, params: Params, key: str) -> Json:
    record = ctx.get(KIND, key)
    if record.body["status"] != "open":
        raise not_open(record.body)
    expire(ctx, record)
    return shown(ctx, KIND, key, params)


def expire(ctx: Context, record: Record) -> None:
    """Close an open session; a declined attempt's payment intent is left as it is."""
    schedule.cancel(ctx, EXPIRY, record.id)
    record.body["status"] = "expired"
    ctx.store.save(record)
    events.emit(ctx, "checkout.session.expired", record)


def _expire_by_time(ctx: Context, key: str) -> None:
    record = ctx.get(KIND, key)
    if record.body["status"] == "open":
        expire(ctx, record)


def not_open(session: Json) -> ApiError:
    message = (
        f'Only Checkout Sessions with a status in ["open"] can be expired or paid. '
        f"This Checkout Session has a status of `{session['status']}`."
    )
    return refused(message)


def _line_items(ctx: Context, params: Params, key: str) -> Json:
    return slice_of(ctx.get(KIND, key).private["items"], f"{PATH}/{key}/line_items", params)


def _include_line_items(ctx: Context, record: Record) -> Json:
    items = record.private["items"]
    return envelope(f"{PATH}/{record.id}/line_items", items[:10], has_more=len(items) > 10)


def _list(ctx: Context, params: Params) -> Json:
    names = [name for name in ("customer", "payment_intent", "status") if name in params]
    where = [(f"json_extract(body, '$.{name}') = ?", params[name]) for name in names]
    if "customer_details" in params:
        email = params["customer_details"]["email"]
        where.append(("json_extract(body, '$.customer_details.email') = ?", email))
    return page(ctx, PATH, KIND, params, where)


def page_url(ctx: Context, key: str) -> str:
    return f"{ctx.settings.base_url}/c/pay/{key}"


def _render(ctx: Context, record: Record) -> Json:
    """The address of the page to pay on exists while the session is open."""
    return record.body | {"url": page_url(ctx, record.id) if record.body["status"] == "open" else None}


RENDERERS[KIND] = _render
INCLUDABLE[KIND, "line_items"] = _include_line_items
MODES["payment"] = _payment
schedule.JOBS[EXPIRY] = _expire_by_time

FILTERS: dict[str, Field] = {
    "customer": Text(),
    "customer_details": Nested({"email": Text(required=True)}),
    "payment_intent": Text(),
    "status": Text(choices=("open", "complete", "expired")),
}
ROUTES = [
    Route("POST", PATH, _create, CREATE),
    retrieve(PATH, KIND),
    Route("POST", PATH + "/{id}", _update, {**EXPAND, "metadata": Metadata()}),
    Route("POST", PATH + "/{id}/expire", _expire, EXPAND),
    Route("GET", PATH + "/{id}/line_items", _line_items, CURSORS),
    Route("GET", PATH, _list, {**PAGING, **FILTERS}),
]
