"""Customers: create, read, change, list, delete."""

from . import events, payment_methods
from .context import Context
from .errors import invalid
from .ids import new_id, random_text
from .metadata import merged
from .params import Field, Metadata, Nested, Params, Text, Unsupported
from .rendering import render
from .routes import EXPAND, Route, listing, shown
from .store import Json, Record

PATH = "/v1/customers"

ADDRESS_PARTS = ("city", "country", "line1", "line2", "postal_code", "state")
CLEARABLE = Text(clearable=True)
UNSUPPORTED = (
    "balance business_name cash_balance default_source individual_name invoice_prefix"
    " next_invoice_sequence payment_method preferred_locales shipping source tax tax_exempt tax_id_data"
    " test_clock"
)

FIELDS: dict[str, Field] = {
    **EXPAND,
    "address": Nested(dict.fromkeys(ADDRESS_PARTS, CLEARABLE)),
    "description": CLEARABLE,
    "email": Text(clearable=True, longest=512),
    "invoice_settings": Nested(
        {
            "custom_fields": Unsupported(),
            "default_payment_method": CLEARABLE,
            "footer": Unsupported(),
            "rendering_options": Unsupported(),
        }
    ),
    "metadata": Metadata(),
    "name": Text(clearable=True, longest=256),
    "phone": Text(clearable=True, longest=20),
    **dict.fromkeys(UNSUPPORTED.split(), Unsupported()),
}
EMPTY: Json = {
    "address": None,
    "balance": 0,
    "currency": None,
    "default_source": None,
    "delinquent": False,
    "description": None,
    "discount": None,
    "email": None,
    "invoice_settings": {
        "custom_fields": None,
        "default_payment_method": None,
        "footer": None,
        "rendering_options": None,
    },
    "metadata": {},
    "name": None,
    "next_invoice_sequence": 1,
    "phone": None,
    "preferred_locales": [],
    "shipping": None,
    "tax_exempt": "none",
    "test_clock": None,
}


def _changes(old: Json, params: Params) -> Json:
    """The properties that the request gives another value."""
    email = params.get("email")
    if email and ("@" not in email.strip("@") or " " in email):
        raise invalid(f"Invalid email address: {email[:80]}", param="email", code="email_invalid")
    new: Json = {
        name: params[name] or None for name in ("description", "email", "name", "phone") if name in params
    }
    if "address" in params:
        given = {part: value or None for part, value in params["address"].items()}
        new["address"] = dict.fromkeys(ADDRESS_PARTS) | (old["address"] or {}) | given
    if "metadata" in params:
        new["metadata"] = merged(old["metadata"], params["metadata"])
    return {name: value for name, value in new.items() if value != old[name]}


def _create(ctx: Context, params: Params) -> Json:
    fields = EMPTY | {"invoice_prefix": random_text(8).upper()} | _changes(EMPTY, params)
    record = ctx.create("customer", new_id("customer"), fields)
    events.emit(ctx, "customer.created", record)
    _set_default(ctx, record, params)
    return shown(ctx, "customer", record.id, params)


def _update(ctx: Context, params: Params, key: str) -> Json:
    record = ctx.get("customer", key)
    changes = _changes(record.body, params)
    if changes:
        previous = {name: record.body[name] for name in changes}
        record.body |= changes
        ctx.store.save(record)
        events.emit(ctx, "customer.updated", record, previous=previous)
    _set_default(ctx, record, params)
    return shown(ctx, "customer", key, params)


def _set_default(ctx: Context, record: Record, params: Params) -> None:
    settings = params.get("invoice_settings", {})
    if "default_payment_method" not in settings:
        return
    wanted = settings["default_payment_method"] or None
    param = "invoice_settings[default_payment_method]"
    if wanted and ctx.get("payment_method", wanted, param=param).body["customer"] != record.id:
        message = f"The customer does not have a payment method with the ID {wanted}."
        raise invalid(message, param=param, code="resource_missing")
    payment_methods.set_default(ctx, record, wanted)


def _retrieve(ctx: Context, params: Params, key: str) -> Json:
    record = ctx.store.get_even_deleted("customer", key)
    return record.body if "deleted" in record.body else render(ctx, record, params.get("expand"))


def _delete(ctx: Context, params: Params, key: str) -> Json:
    """For ever. Its payments stay as they are, and name it; its cards can be charged no more."""
    record = ctx.get("customer", key)
    for method in payment_methods.saved(ctx, key):
        payment_methods.give_up(ctx, method)
    events.emit(ctx, "customer.deleted", record)
    ctx.store.tombstone(record)
    return record.body


ROUTES = [
    Route("POST", PATH, _create, FIELDS),
    Route("GET", PATH + "/{id}", _retrieve, EXPAND),
    Route("DELETE", PATH + "/{id}", _delete, {}),
    Route("POST", PATH + "/{id}", _update, FIELDS),
    listing(PATH, "customer", {"email": Text(longest=512)}),
]
