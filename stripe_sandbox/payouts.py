"""Payouts of the balance to the shop's bank, and what else moves the balance without a shopper's doing."""

from . import events
from .balance import CURRENCY, Entry, book, cents
from .context import Context
from .errors import refused
from .ids import new_id
from .paging import COMPARISONS, PAGING, page
from .params import Created, Field, Params, Text
from .routes import Route, retrieve
from .store import Json, Record

PATH = "/v1/payouts"
KIND = "payout"

ARRIVES_AFTER_S = 2 * 86_400
# Types of entries that come alone, and the reporting category of each.
LOOSE = {
    "stripe_fee": "fee",
    "stripe_fx_fee": "fee",
    "tax_fee": "tax",
    "adjustment": "other_adjustment",
    "reserve_hold": "risk_reserved_funds",
    "reserve_release": "risk_reserved_funds",
    "topup": "topup",
}


def start(ctx: Context, amount: int | None, *, status: str) -> Record:
    """Pay out `amount` cents, or all that is available: that is an automatic one, whose entries are known.

    ApiError `balance_insufficient` where the balance, with what is not available yet, has not that much.
    """
    available = cents(ctx, available=True)
    given = available if amount is None else amount
    if given <= 0 or given > available + max(cents(ctx, available=False), 0):
        message = "You have insufficient funds in your Stripe account for this transfer."
        raise refused(message, param="amount", code="balance_insufficient")
    payout = ctx.create(KIND, new_id(KIND), _fields(ctx, given, automatic=amount is None))
    payout.body["balance_transaction"] = book(ctx, Entry(KIND, -given, payout.id)).id
    if amount is None:
        _mark(ctx, payout.id)
    ctx.store.save(payout)
    events.emit(ctx, "payout.created", payout)
    if status == "paid":
        pay(ctx, payout)
    return payout


def _fields(ctx: Context, amount: int, *, automatic: bool) -> Json:
    nothing = (
        "application_fee application_fee_amount description destination failure_balance_transaction"
        " failure_code failure_message original_payout payout_method reversed_by statement_descriptor trace_id"
    )
    return dict.fromkeys(nothing.split()) | {
        "amount": amount,
        "arrival_date": ctx.now + ARRIVES_AFTER_S,
        "automatic": automatic,
        "balance_transaction": None,
        "currency": CURRENCY,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed" if automatic else "not_applicable",
        "source_type": "card",
        "status": "pending",
        "type": "bank_account",
    }


def _mark(ctx: Context, payout_id: str) -> None:
    """What is available and went out with no other payout goes out with this one, its own entry included."""
    sql = """UPDATE objects SET private = json_set(private, '$.payout', ?)
             WHERE kind = 'balance_transaction' AND json_extract(private, '$.payout') IS NULL
             AND json_extract(body, '$.available_on') <= ?"""
    ctx.store.run(sql, (payout_id, ctx.now))


def pay(ctx: Context, payout: Record) -> None:
    """It has arrived."""
    _leave(ctx, payout, "paid", ("pending", "in_transit"))
    events.emit(ctx, "payout.paid", payout)


def fail(ctx: Context, payout: Record) -> None:
    """The bank sent it back, possibly after it was said to have arrived: it is in the balance again."""
    text = "STRIPE PAYOUT FAILURE"
    entry = Entry(
        "payout_failure", payout.body["amount"], payout.id, category="payout_reversal", description=text
    )
    _leave(ctx, payout, "failed", ("pending", "in_transit", "paid"))
    payout.body |= {
        "failure_balance_transaction": book(ctx, entry).id,
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed.",
    }
    ctx.store.save(payout)
    events.emit(ctx, "payout.failed", payout)


def _leave(ctx: Context, payout: Record, status: str, sources: tuple[str, ...]) -> None:
    if payout.body["status"] not in sources:
        raise refused(f"Payout {payout.id} cannot be changed so: its status is {payout.body['status']}.")
    payout.body["status"] = status
    ctx.store.save(payout)


def return_debit(ctx: Context, charge: Record) -> None:
    """A bank debit that had succeeded comes back: the charge has failed after all, its intent stays as it is.

    ApiError for a card, and for what has not succeeded or was refunded or disputed.
    """
    body = charge.body
    if body["payment_method_details"]["type"] == "card" or body["status"] != "succeeded":
        raise refused(f"Charge {charge.id} is no bank debit that has succeeded.")
    if body["amount_refunded"] or body["disputed"]:
        raise refused(f"Charge {charge.id} was refunded or disputed.")
    text = f"Payment failure refund for {charge.id}"
    entry = Entry(
        "payment_failure_refund", -body["amount"], charge.id, category="charge_failure", description=text
    )
    body |= {
        "failure_balance_transaction": book(ctx, entry).id,
        "failure_code": "insufficient_funds",
        "failure_message": "The customer's account has insufficient funds to cover this payment.",
        "paid": False,
        "status": "failed",
    }
    ctx.store.save(charge)
    events.emit(ctx, "charge.failed", charge)


def _list(ctx: Context, params: Params) -> Json:
    names = [name for name in ("destination", "status") if name in params]
    where = [(f"json_extract(body, '$.{name}') = ?", params[name]) for name in names]
    for sign, at in params.get("arrival_date", {}).items():
        where.append((f"json_extract(body, '$.arrival_date') {COMPARISONS[sign]} ?", at))
    return page(ctx, PATH, KIND, params, where)


FILTERS: dict[str, Field] = {"arrival_date": Created(), "destination": Text(), "status": Text()}
ROUTES = [retrieve(PATH, KIND), Route("GET", PATH, _list, {**PAGING, **FILTERS})]
