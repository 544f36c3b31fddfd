"""Control addresses for what happens to money after a payment: refunds, disputes, payouts and loose entries.

Where an address takes a charge, the id of its payment intent or checkout session does as well.
"""

from collections.abc import Callable, Mapping

from . import balance, disputes, payouts, refunds
from .context import Context
from .errors import refused
from .params import Boolean, Field, Integer, Params, Text
from .rendering import render
from .store import Json, Record

type Command = Callable[..., Json]

AMOUNT = Integer(least=1, most=99_999_999)
FUNDS = ("after", "before", "later")
STATUSES = ("needs_response", "under_review", "warning_needs_response", "prevented")


def charge_of(ctx: Context, key: str) -> Record:
    """The last charge of what the id names; ApiError 404 where there is none."""
    if key.startswith("cs_"):
        key = str(ctx.get("checkout.session", key).body["payment_intent"])
    if key.startswith("pi_"):
        key = str(ctx.get("payment_intent", key).body["latest_charge"])
    return ctx.get("charge", key)


def _refund(ctx: Context, given: Params, key: str) -> Json:
    refund = refunds.start(ctx, charge_of(ctx, key), given, given.get("outcome"))
    return {"refund": render(ctx, refund)}


def _decide_refunds(ctx: Context, given: Params, key: str) -> Json:
    charge = charge_of(ctx, key)
    charge.private["refund"] = given["outcome"]
    ctx.store.save(charge)
    return {"charge": charge.id, "outcome": given["outcome"]}


def _move_refund(ctx: Context, given: Params, key: str, step: str) -> Json:
    refund = ctx.get(refunds.KIND, key)
    if step == "succeed":
        refunds.succeed(ctx, refund)
    elif step == "cancel":
        refunds.cancel(ctx, refund)
    else:
        refunds.fail(ctx, refund, given.get("reason", "unknown"))
    return {"refund": render(ctx, refund)}


def _set_refund(ctx: Context, given: Params, key: str) -> Json:
    refund = ctx.get(refunds.KIND, key)
    refunds.tell_status(ctx, refund, given["status"])
    return {"refund": render(ctx, refund)}


def _dispute(ctx: Context, given: Params, key: str) -> Json:
    status = "warning_needs_response" if given.get("inquiry") else given.get("status", "needs_response")
    dispute = disputes.start(
        ctx,
        charge_of(ctx, key),
        amount=given.get("amount"),
        reason=given.get("reason", "fraudulent"),
        status=status,
        funds=given.get("funds", "after"),
    )
    return {"dispute": render(ctx, dispute)}


def move_dispute(ctx: Context, dispute: Record, step: str, given: Params) -> None:
    """One step; `funds=later` keeps the money where it is, `amount` is for `reinstate`."""
    funds = given.get("funds") != "later"
    steps: dict[str, Callable[[], None]] = {
        "withdraw": lambda: disputes.withdraw(ctx, dispute),
        "reinstate": lambda: disputes.reinstate(ctx, dispute, given.get("amount")),
        "win": lambda: disputes.win(ctx, dispute, funds=funds),
        "lose": lambda: disputes.lose(ctx, dispute),
        "close": lambda: disputes.lose(ctx, dispute),
        "escalate": lambda: disputes.escalate(ctx, dispute, funds=funds),
        "review": lambda: disputes.review(ctx, dispute),
    }
    steps[step]()


def _move_dispute(ctx: Context, given: Params, key: str, step: str) -> Json:
    dispute = ctx.get(disputes.KIND, key)
    move_dispute(ctx, dispute, step, given)
    return {"dispute": render(ctx, dispute)}


def _set_dispute(ctx: Context, given: Params, key: str) -> Json:
    dispute = ctx.get(disputes.KIND, key)
    disputes.tell_status(ctx, dispute, given["status"])
    return {"dispute": render(ctx, dispute)}


def _return(ctx: Context, given: Params, key: str) -> Json:
    charge = charge_of(ctx, key)
    payouts.return_debit(ctx, charge)
    return {"charge": render(ctx, charge)}


def _payout(ctx: Context, given: Params) -> Json:
    payout = payouts.start(ctx, given.get("amount"), status=given.get("status", "paid"))
    return {"payout": render(ctx, payout)}


def _move_payout(ctx: Context, given: Params, key: str, step: str) -> Json:
    payout = ctx.get(payouts.KIND, key)
    if step == "pay":
        payouts.pay(ctx, payout)
    else:
        payouts.fail(ctx, payout)
    return {"payout": render(ctx, payout)}


def _entry(ctx: Context, given: Params) -> Json:
    kind = given.get("type", "stripe_fee")
    if given["amount"] == 0:
        raise refused("An entry of nothing is none.", param="amount")
    text = given.get("description", "Billing - Usage Fee" if kind == "stripe_fee" else None)
    category = payouts.LOOSE[kind]
    entry = balance.Entry(kind, given["amount"], None, category=category, description=text)
    return {"balance_transaction": render(ctx, balance.book(ctx, entry))}


ENTRY: dict[str, Field] = {
    "amount": Integer(required=True, least=-99_999_999, most=99_999_999),
    "description": Text(),
    "type": Text(choices=tuple(payouts.LOOSE)),
}
DISPUTE: dict[str, Field] = {
    "amount": AMOUNT,
    "funds": Text(choices=FUNDS),
    "inquiry": Boolean(),
    "reason": Text(choices=tuple(disputes.REASONS)),
    "status": Text(choices=STATUSES),
}
REFUND: dict[str, Field] = {
    "amount": AMOUNT,
    "outcome": Text(choices=tuple(refunds.OUTCOMES)),
    "reason": Text(choices=refunds.REASONS),
}
OUTCOME = Text(required=True, choices=tuple(refunds.OUTCOMES))
STEP: dict[str, Field] = {"amount": AMOUNT, "funds": Text(choices=FUNDS)}
STATUS: dict[str, Field] = {"status": Text(required=True, longest=80)}

STEPS = "withdraw|reinstate|win|lose|close|escalate|review"
COMMANDS: list[tuple[str, str, Command, Mapping[str, Field]]] = [
    ("POST", r"/_sandbox/charges/([^/]+)/refund", _refund, REFUND),
    ("POST", r"/_sandbox/charges/([^/]+)/refund_outcome", _decide_refunds, {"outcome": OUTCOME}),
    ("POST", r"/_sandbox/charges/([^/]+)/dispute", _dispute, DISPUTE),
    ("POST", r"/_sandbox/charges/([^/]+)/return", _return, {}),
    (
        "POST",
        r"/_sandbox/refunds/([^/]+)/(succeed|fail|cancel)",
        _move_refund,
        {"reason": Text(choices=refunds.FAILURES)},
    ),
    ("POST", r"/_sandbox/refunds/([^/]+)/set", _set_refund, STATUS),
    ("POST", rf"/_sandbox/disputes/([^/]+)/({STEPS})", _move_dispute, STEP),
    ("POST", r"/_sandbox/disputes/([^/]+)/set", _set_dispute, STATUS),
    ("POST", r"/_sandbox/payouts", _payout, {"amount": AMOUNT, "status": Text(choices=("paid", "pending"))}),
    ("POST", r"/_sandbox/payouts/([^/]+)/(pay|fail)", _move_payout, {}),
    ("POST", r"/_sandbox/balance_transactions", _entry, ENTRY),
]
