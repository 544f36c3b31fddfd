"""Charges: every attempt to take money for a payment intent, the failed ones too."""

from collections.abc import Callable

from . import events
from .balance import add_payment
from .context import Context
from .ids import new_id, random_text
from .methods import Method
from .params import Text
from .routes import listing, retrieve
from .store import Json, Record

PATH = "/v1/charges"

# Filled by the modules that have something to do once a charge has succeeded.
SUCCEEDED: list[Callable[[Context, Record], None]] = []


def attempt(ctx: Context, intent: Json, method: Method, payer: Json) -> Record:
    """A new pending charge for the whole amount of the intent."""
    fields = _amounts(intent) | {
        "billing_details": {"address": payer["address"], "email": payer["email"], "name": payer["name"]}
        | {"phone": payer["phone"], "tax_id": None},
        "calculated_statement_descriptor": "STRIPE SANDBOX",
        "customer": intent["customer"],
        "description": intent["description"],
        "metadata": intent["metadata"],
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": method.details(),
        "receipt_email": intent["receipt_email"],
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
    }
    # What comes after it goes by the method as well.
    private = {"balance_type": method.balance_type, "dispute": method.dispute, "refund": method.refund}
    if "presentment_details" in intent:
        fields["presentment_details"] = intent["presentment_details"]
    return ctx.create("charge", new_id("charge"), fields, private)


def _amounts(intent: Json) -> Json:
    nothing = (
        "application application_fee application_fee_amount balance_transaction failure_balance_transaction"
        " failure_code failure_message on_behalf_of receipt_number receipt_url review shipping"
        " source_transfer transfer_data transfer_group"
    )
    return dict.fromkeys(nothing.split()) | {
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "captured": False,
        "currency": intent["currency"],
        "disputed": False,
        "fraud_details": {},
        "outcome": _outcome(),
        "paid": False,
        "refunded": False,
        "status": "pending",
    }


def succeed(ctx: Context, charge: Record, method: Method) -> None:
    """The money has come: book it, and say so."""
    entry = add_payment(ctx, charge.body, method.balance_type)
    charge.private["receipt"] = random_text(32)
    charge.body |= {
        "amount_captured": charge.body["amount"],
        "balance_transaction": entry.id,
        "captured": True,
        "paid": True,
        "receipt_url": f"{ctx.settings.base_url}/receipts/{charge.private['receipt']}",
        "status": "succeeded",
    }
    ctx.store.save(charge)
    events.emit(ctx, "charge.succeeded", charge)
    for follow in SUCCEEDED:
        follow(ctx, charge)


def fail(ctx: Context, charge: Record, method: Method) -> None:
    charge.body |= {
        "failure_code": method.failure_code,
        "failure_message": method.failure_message,
        "outcome": _outcome(method),
        "paid": False,
        "status": "failed",
    }
    ctx.store.save(charge)
    events.emit(ctx, "charge.failed", charge)


def _outcome(declined: Method | None = None) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": declined.decline_code if declined else None,
        "risk_level": "normal",
        "seller_message": "The bank did not accept the payment." if declined else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }


ROUTES = [
    retrieve(PATH, "charge"),
    listing(PATH, "charge", {"customer": Text(), "payment_intent": Text()}),
]
