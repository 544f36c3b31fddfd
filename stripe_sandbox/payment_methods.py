"""Payment methods: cards that a customer saved, and those that one payment used."""

from datetime import UTC, datetime

from . import cards, events
from .cards import Card
from .context import Context
from .errors import no_such, refused
from .ids import new_id
from .methods import Method
from .paging import CURSORS, PAGING, page
from .params import Params, Text, Unsupported
from .rendering import render
from .routes import EXPAND, Route, retrieve, shown
from .store import Json, Record

PATH = "/v1/payment_methods"
KIND = "payment_method"
# Stripe's own test ids do not name an object: each use makes a new one.
TYPES = ("card", "us_bank_account", "link", "sepa_debit")
NOBODY: Json = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}


def create(ctx: Context, card: Card, payer: Json | None = None) -> Record:
    """A card that belongs to nobody yet; `payer` is what billing_details say."""
    details = {name: (payer or {}).get(name) for name in NOBODY}
    fields = _head("card", details) | {"card": card.shown()}
    return ctx.create(KIND, new_id(KIND), fields, {"outcome": card.outcome, "card": card.name})


def of_payment(ctx: Context, method: Method, payer: Json) -> Record:
    """What the shopper paid with on the page, kept with its last four digits."""
    details = {name: payer.get(name) for name in NOBODY}
    fields = _head(method.type, details)
    given = method.details()[method.type]
    if method.type == "card":
        fields["card"] = cards.CARDS["visa"].shown() | {
            name: given[name] for name in ("brand", "last4", "exp_month", "exp_year")
        }
    else:
        taken = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
        fields[method.type] = {name: given[name] for name in taken} | {
            "financial_connections_account": None,
            "networks": None,
            "status_details": None,
        }
    outcome = "declined" if method.failure_code else "succeeds"
    return ctx.create(KIND, new_id(KIND), fields, {"outcome": outcome, "card": "visa"})


def _head(kind: str, details: Json) -> Json:
    return {
        "allow_redisplay": "unspecified",
        "billing_details": details,
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "type": kind,
    }


def find(ctx: Context, key: str, *, param: str | None = None) -> Record:
    """A stored one, or a new one where `key` is one of Stripe's test ids."""
    card = cards.TEST_IDS.get(key)
    return create(ctx, card) if card else ctx.get(KIND, key, param=param)


def attach(ctx: Context, method: Record, customer: str) -> None:
    """Idempotent for the same customer; ApiError 400 where another has it or had it."""
    if method.body["customer"] == customer:
        return
    if method.body["customer"]:
        raise refused(
            "The payment method you provided has already been attached to a customer.", param="customer"
        )
    if "detached" in method.private:
        raise was_detached()
    ctx.get("customer", customer, param="customer")
    method.body["customer"] = customer
    ctx.store.save(method)
    events.emit(ctx, "payment_method.attached", method)


def was_detached() -> Exception:
    message = (
        "The provided PaymentMethod was detached from a Customer. It may not be used again. To use a"
        " PaymentMethod multiple times, you must attach it to a Customer first."
    )
    return refused(message, param="payment_method", code="payment_method_unexpected_state")


def detach(ctx: Context, method: Record) -> None:
    """For ever: a detached one is never attached again. It stops being its customer's default."""
    customer = method.body["customer"]
    if customer is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise refused(message, param="payment_method", code="payment_method_unexpected_state")
    give_up(ctx, method)
    events.emit(ctx, "payment_method.detached", method, previous={"customer": customer})
    owner = ctx.get("customer", customer)
    if owner.body["invoice_settings"]["default_payment_method"] == method.id:
        set_default(ctx, owner, None)


def give_up(ctx: Context, method: Record) -> None:
    """It is nobody's, and will be nobody's again."""
    method.body["customer"] = None
    method.private["detached"] = True
    ctx.store.save(method)


def set_default(ctx: Context, customer: Record, key: str | None) -> None:
    """What invoices, and whoever looks there, use by default."""
    settings = customer.body["invoice_settings"]
    before = {"default_payment_method": settings["default_payment_method"]}
    if before["default_payment_method"] == key:
        return
    customer.body["invoice_settings"] = settings | {"default_payment_method": key}
    ctx.store.save(customer)
    events.emit(ctx, "customer.updated", customer, previous={"invoice_settings": before})


def renew(ctx: Context, method: Record, *, last4: str, exp_year: int) -> None:
    """The card's network tells of the card that replaced it."""
    card = method.body["card"]
    changes = {"last4": last4, "exp_year": exp_year}
    previous = {name: card[name] for name in changes}
    method.body["card"] = card | changes
    ctx.store.save(method)
    events.emit(ctx, "payment_method.automatically_updated", method, previous={"card": previous})


def outcome(ctx: Context, method: Record) -> Method:
    """What comes of charging it now; a card past its month is expired."""
    card = method.body["card"]
    name = method.private["outcome"]
    today = datetime.fromtimestamp(ctx.now, UTC)
    if (card["exp_year"], card["exp_month"]) < (today.year, today.month):
        name = "expired"
    return cards.OUTCOMES[name].using(card)


def saved(ctx: Context, customer: str) -> list[Record]:
    """The customer's cards, newest first."""
    where = "kind = 'payment_method' AND json_extract(body, '$.customer') = ?"
    return ctx.store.select(where, [customer], order="seq DESC")


def _attach(ctx: Context, params: Params, key: str) -> Json:
    ctx.get("customer", params["customer"], param="customer")
    card = cards.TEST_IDS.get(key)
    method = find(ctx, key)
    if card and card.refusal:
        raise cards.declined(cards.OUTCOMES[card.refusal], {"payment_method": render(ctx, method)})
    attach(ctx, method, params["customer"])
    return shown(ctx, KIND, method.id, params)


def _detach(ctx: Context, params: Params, key: str) -> Json:
    detach(ctx, ctx.get(KIND, key))
    return shown(ctx, KIND, key, params)


def _list(ctx: Context, params: Params, customer: str | None = None) -> Json:
    where = [
        (f"json_extract(body, '$.{name}') = ?", params[name])
        for name in ("customer", "type", "allow_redisplay")
        if name in params
    ]
    url = PATH
    if customer:
        ctx.get("customer", customer)
        url = f"/v1/customers/{customer}/payment_methods"
        where.append(("json_extract(body, '$.customer') = ?", customer))
    elif "customer" not in params:
        where.append(("json_extract(body, '$.customer') IS NOT NULL AND ?", 1))
    return page(ctx, url, KIND, params, where)


def _of_customer(ctx: Context, params: Params, customer: str) -> Json:
    return _list(ctx, params, customer)


def _one_of_customer(ctx: Context, params: Params, customer: str, key: str) -> Json:
    ctx.get("customer", customer)
    if ctx.get(KIND, key).body["customer"] != customer:
        raise no_such("PaymentMethod", key, param="payment_method")
    return shown(ctx, KIND, key, params)


FILTERS = {"allow_redisplay": Text(), "type": Text()}
OF_CUSTOMER = "/v1/customers/{id}/payment_methods"
ROUTES = [
    Route("GET", PATH, _list, {**PAGING, **FILTERS, "customer": Text()}),
    retrieve(PATH, KIND),
    Route(
        "POST",
        PATH + "/{id}/attach",
        _attach,
        {**EXPAND, "customer": Text(required=True), "customer_account": Unsupported()},
    ),
    Route("POST", PATH + "/{id}/detach", _detach, EXPAND),
    Route("GET", OF_CUSTOMER, _of_customer, {**CURSORS, **FILTERS}),
    Route("GET", OF_CUSTOMER + "/{method}", _one_of_customer, EXPAND),
]
