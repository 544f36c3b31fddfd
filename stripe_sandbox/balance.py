"""Balance transactions: what a payment adds to the account, less Stripe's fee."""

from .context import Context
from .ids import new_id
from .params import Text
from .rendering import RENDERERS
from .routes import listing, retrieve
from .store import Json, Record

PATH = "/v1/balance_transactions"

AVAILABLE_AFTER_S = 2 * 86_400


def fee_cents(amount_cents: int) -> int:
    """2.9 % rounded half up, and 30 cents: the list price of a domestic card."""
    return (amount_cents * 29 + 500) // 1_000 + 30


def add_payment(ctx: Context, charge: Json, kind: str) -> Record:
    """`kind` is `charge` for cards and `payment` for other methods."""
    fee = fee_cents(charge["amount"])
    detail = {
        "amount": fee,
        "application": None,
        "currency": charge["currency"],
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    fields = {
        "amount": charge["amount"],
        "available_on": ctx.now + AVAILABLE_AFTER_S,
        "balance_type": "payments",
        "currency": charge["currency"],
        "description": charge["description"],
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [detail],
        "net": charge["amount"] - fee,
        "reporting_category": "charge",
        "source": charge["id"],
        "status": "pending",
        "type": kind,
    }
    return ctx.create("balance_transaction", new_id("balance_transaction"), fields)


def _render(ctx: Context, record: Record) -> Json:
    available = ctx.now >= record.body["available_on"]
    return record.body | {"status": "available" if available else "pending"}


RENDERERS["balance_transaction"] = _render

ROUTES = [
    retrieve(PATH, "balance_transaction"),
    listing(
        PATH, "balance_transaction", {"currency": Text(), "payout": Text(), "source": Text(), "type": Text()}
    ),
]
