"""Invoices of sessions that asked for one (`invoice_creation`): made when the payment is there, and paid."""

from . import events
from .context import Context
from .ids import new_id, random_text
from .params import Text
from .routes import listing, retrieve
from .store import Json, Record

PATH = "/v1/invoices"
KIND = "invoice"
TOLD = ("invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded")


def of_session(ctx: Context, session: Record) -> Record:
    """Its invoice, numbered with the customer's prefix; the caller saves the session."""
    body = session.body
    customer = ctx.get("customer", body["customer"])
    number = customer.body["next_invoice_sequence"]
    customer.body["next_invoice_sequence"] = number + 1
    ctx.store.save(customer)
    token = random_text(32)
    address = f"{ctx.settings.base_url}/invoice/{token}"
    fields = _amounts(body) | _told(body, customer.body, session.private["invoice"])
    fields |= {
        "hosted_invoice_url": address,
        "invoice_pdf": f"{address}/pdf",
        "number": f"{customer.body['invoice_prefix']}-{number:04d}",
        "status_transitions": {
            "finalized_at": ctx.now,
            "marked_uncollectible_at": None,
            "paid_at": ctx.now,
            "voided_at": None,
        },
    }
    invoice = ctx.create(KIND, new_id(KIND), fields, {"token": token, "session": session.id})
    for kind in TOLD:
        events.emit(ctx, kind, invoice)
    return invoice


def _amounts(session: Json) -> Json:
    details = session["total_details"]
    return {
        "amount_due": session["amount_total"],
        "amount_overpaid": 0,
        "amount_paid": session["amount_total"],
        "amount_remaining": 0,
        "amount_shipping": 0,
        "automatic_tax": session["automatic_tax"] | {"disabled_reason": None},
        "currency": session["currency"],
        "subtotal": session["amount_subtotal"],
        "subtotal_excluding_tax": session["amount_total"]
        - details["amount_tax"]
        + details["amount_discount"],
        "total": session["amount_total"],
        "total_excluding_tax": session["amount_total"] - details["amount_tax"],
    }


def _told(session: Json, customer: Json, data: Json) -> Json:
    return {
        "auto_advance": False,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "description": data.get("description"),
        "footer": data.get("footer"),
        "metadata": data.get("metadata") or {},
        "status": "paid",
    }


def by_token(ctx: Context, token: str) -> Record | None:
    found = ctx.store.select("kind = ? AND json_extract(private, '$.token') = ?", [KIND, token])
    return found[0] if found else None


ROUTES = [retrieve(PATH, KIND), listing(PATH, KIND, {"customer": Text(), "status": Text()})]
