"""Refunds: money back to the shopper, and the ways in which that can still go wrong afterwards.

What becomes of a refund goes by the card that paid (`Method.refund`), and tests can decide it themselves.
The amount counts as refunded from the request on; where the refund fails or is canceled it counts no more.
"""

from dataclasses import dataclass

from . import disputes, events, schedule
from .balance import Entry, book
from .context import Context
from .errors import ApiError, invalid, refused
from .ids import new_id
from .metadata import merged
from .paging import envelope
from .params import Field, Integer, Metadata, Params, Text, Unsupported
from .rendering import INCLUDABLE, render
from .routes import EXPAND, Route, listing, retrieve, shown
from .store import Json, Record

PATH = "/v1/refunds"
KIND = "refund"
RESULT = "refund_result"

ACTION_WITHIN_S = 45 * 86_400
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
FAILURES = (
    "charge_for_pending_refund_disputed",
    "declined",
    "expired_or_canceled_card",
    "insufficient_funds",
    "lost_or_stolen_card",
    "merchant_request",
    "unknown",
)


@dataclass(frozen=True)
class Outcome:
    """How a refund begins, and what becomes of it by itself after the bank's delay (None: nothing).

    A refund without a pending reason of `processing` leaves the balance only once it goes on.
    """

    status: str
    pending_reason: str | None = None
    then: str | None = None

    @property
    def booked(self) -> bool:
        return self.status == "succeeded" or self.pending_reason == "processing"


OUTCOMES = {
    "succeeds": Outcome("succeeded"),
    "fails_later": Outcome("succeeded", then="fail"),
    "pends": Outcome("pending", "processing", then="succeed"),
    "pends_then_fails": Outcome("pending", "processing", then="fail"),
    "waits": Outcome("pending", "processing"),
    "lacks_funds": Outcome("pending", "insufficient_funds"),
    "needs_action": Outcome("requires_action"),
}

CREATE: dict[str, Field] = {
    **EXPAND,
    **dict.fromkeys(
        ("currency", "customer", "origin", "refund_application_fee", "reverse_transfer"), Unsupported()
    ),
    "amount": Integer(least=1),
    "charge": Text(),
    "instructions_email": Text(),
    "metadata": Metadata(),
    "payment_intent": Text(),
    "reason": Text(choices=REASONS),
}


def _create(ctx: Context, params: Params) -> Json:
    refund = start(ctx, _charge(ctx, params), params)
    return shown(ctx, KIND, refund.id, params)


def _charge(ctx: Context, params: Params) -> Record:
    """The charge that the request means; ApiError unless it names one of the two."""
    if "charge" in params and "payment_intent" in params:
        raise invalid("You may only specify one of these parameters: charge, payment_intent.", param="charge")
    if "charge" in params:
        return ctx.get("charge", params["charge"], param="charge")
    if "payment_intent" not in params:
        raise invalid("One of the following params should be provided: payment_intent or charge.")
    intent = ctx.get("payment_intent", params["payment_intent"], param="payment_intent")
    if intent.body["status"] != "succeeded":
        message = f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
        raise refused(message, param="payment_intent", code="charge_not_refundable")
    return ctx.get("charge", intent.body["latest_charge"])


def start(ctx: Context, charge: Record, params: Params, outcome: str | None = None) -> Record:
    """Refund `params["amount"]` cents of a charge, or what is left of it. ApiError where that can't be."""
    amount = _amount(ctx, charge, params.get("amount"))
    began = OUTCOMES[outcome or charge.private.get("refund", "succeeds")]
    refund = ctx.create(KIND, new_id(KIND), _fields(charge.body, params, amount), {"then": began.then})
    refund.body["status"] = began.status
    if began.pending_reason:
        refund.body["pending_reason"] = began.pending_reason
    if began.status == "requires_action":
        refund.body["next_action"] = _next_action(ctx, charge.body, params)
    if began.booked:
        _book(ctx, refund, charge)
    ctx.store.save(refund)
    if params.get("reason") == "fraudulent":
        charge.body["fraud_details"] = {"user_report": "fraudulent"}
    previous = _count(ctx, charge, amount)
    events.emit(ctx, "refund.created", refund)
    events.emit(ctx, "charge.refunded", charge, previous=previous)
    if began.then:
        schedule.plan(ctx, RESULT, refund.id, due_at=ctx.clock.time() + ctx.settings.bank_delay_s)
    if charge.body["refunded"]:
        disputes.close_inquiries(ctx, charge.id)
    return refund


def _amount(ctx: Context, charge: Record, given: int | None) -> int:
    body = charge.body
    if body["status"] != "succeeded":
        message = f"Charge {charge.id} cannot be refunded: its status is {body['status']}."
        raise refused(message, param="charge", code="charge_not_refundable")
    if disputes.block_refunds(ctx, charge.id):
        message = f"Charge {charge.id} has been charged back; cannot issue a refund."
        raise refused(message, code="charge_disputed")
    left = body["amount_captured"] - body["amount_refunded"]
    if left == 0:
        raise refused(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    amount = left if given is None else given
    if amount > left:
        what = "unrefunded amount on charge" if body["amount_refunded"] else "charge amount"
        message = f"Refund amount ({_dollars(amount)}) is greater than {what} ({_dollars(left)})"
        raise refused(message, param="amount")
    return amount


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


def _fields(charge: Json, params: Params, amount: int) -> Json:
    nothing = ("balance_transaction", "receipt_number", "source_transfer_reversal", "transfer_reversal")
    fields = dict.fromkeys(nothing) | {
        "amount": amount,
        "charge": charge["id"],
        "currency": charge["currency"],
        "metadata": merged({}, params.get("metadata", {})),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
    }
    if charge["payment_method_details"]["type"] == "card":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number"}
        fields["destination_details"] = {"card": {**card, "type": "refund"}, "type": "card"}
    paid = charge.get("presentment_details")
    if paid:
        # Of what is refunded by now, less what was before: the parts add up to exactly what was paid.
        before = charge["amount_refunded"]
        shares = [_share(charge, paid["presentment_amount"], cents) for cents in (before, before + amount)]
        fields["presentment_details"] = paid | {"presentment_amount": shares[1] - shares[0]}
    return fields


def _share(charge: Json, whole: int, cents: int) -> int:
    """The part of `whole` that these cents of the charge are, halves rounded up."""
    of = int(charge["amount"])
    return (2 * whole * cents + of) // (2 * of)


def _next_action(ctx: Context, charge: Json, params: Params) -> Json:
    told = params.get("instructions_email") or charge["billing_details"]["email"] or "nobody@example.com"
    sent = {"email_sent_at": ctx.now, "email_sent_to": told}
    details = {"email_sent": sent, "expires_at": ctx.now + ACTION_WITHIN_S}
    return {"type": "display_details", "display_details": details}


def _book(ctx: Context, refund: Record, charge: Record) -> None:
    """Neither is there a fee for a refund, nor does the charge's come back."""
    kind = "refund" if charge.private.get("balance_type", "charge") == "charge" else "payment_refund"
    text = f"REFUND FOR CHARGE {charge.id}"
    entry = Entry(kind, -refund.body["amount"], refund.id, category="refund", description=text)
    refund.body["balance_transaction"] = book(ctx, entry).id


def _count(ctx: Context, charge: Record, amount: int) -> Json:
    """Let the charge say what is refunded of it now; returns what it said before."""
    previous = {name: charge.body[name] for name in ("amount_refunded", "refunded")}
    refunded = charge.body["amount_refunded"] + amount
    charge.body |= {"amount_refunded": refunded, "refunded": refunded == charge.body["amount"]}
    ctx.store.save(charge)
    return previous


def succeed(ctx: Context, refund: Record) -> None:
    """The money has arrived. ApiError where the refund is at an end already."""
    previous = _leave(ctx, refund, "succeeded", ("pending", "requires_action"))
    if not refund.body["balance_transaction"]:
        _book(ctx, refund, ctx.get("charge", refund.body["charge"]))
    ctx.store.save(refund)
    _tell(ctx, refund, previous)


def fail(ctx: Context, refund: Record, reason: str = "unknown") -> None:
    """The bank sent the money back, possibly long after it was said to have arrived."""
    previous = _leave(ctx, refund, "failed", ("pending", "requires_action", "succeeded"))
    refund.body["failure_reason"] = reason
    _undo(ctx, refund)
    _tell(ctx, refund, previous | {"failure_reason": None})
    events.emit(ctx, "refund.failed", refund)


def cancel(ctx: Context, refund: Record) -> None:
    previous = _leave(ctx, refund, "canceled", ("pending", "requires_action"))
    _undo(ctx, refund)
    _tell(ctx, refund, previous)


def _leave(ctx: Context, refund: Record, status: str, sources: tuple[str, ...]) -> Json:
    """Into another state; returns what was there before. Nothing that was planned for it happens now."""
    if refund.body["status"] not in sources:
        raise _wrong_state(refund)
    schedule.cancel(ctx, RESULT, refund.id)
    previous: Json = {"status": refund.body["status"]}
    previous |= {
        name: refund.body.pop(name) for name in ("next_action", "pending_reason") if name in refund.body
    }
    refund.body["status"] = status
    return previous


def _undo(ctx: Context, refund: Record) -> None:
    """Back into the balance, where it had left that, and off the charge's count."""
    if refund.body["balance_transaction"]:
        text = f"REFUND FAILURE FOR CHARGE {refund.body['charge']}"
        entry = Entry("refund_failure", refund.body["amount"], refund.id, description=text)
        refund.body["failure_balance_transaction"] = book(ctx, entry).id
    ctx.store.save(refund)
    _count(ctx, ctx.get("charge", refund.body["charge"]), -refund.body["amount"])


def tell_status(ctx: Context, refund: Record, status: str) -> None:
    """Any word for a status, such as one that Stripe has not invented yet; no money moves."""
    previous = {"status": refund.body["status"]}
    refund.body["status"] = status
    ctx.store.save(refund)
    _tell(ctx, refund, previous)


def _tell(ctx: Context, refund: Record, previous: Json) -> None:
    for kind in ("refund.updated", "charge.refund.updated"):
        events.emit(ctx, kind, refund, previous=previous)


def _wrong_state(refund: Record) -> ApiError:
    return refused(f"Refund {refund.id} cannot be changed so: its status is {refund.body['status']}.")


def _update(ctx: Context, params: Params, key: str) -> Json:
    refund = ctx.get(KIND, key)
    old = refund.body["metadata"]
    new = merged(old, params.get("metadata", {}))
    if new != old:
        refund.body["metadata"] = new
        ctx.store.save(refund)
        _tell(ctx, refund, {"metadata": old})
    return shown(ctx, KIND, key, params)


def _cancel(ctx: Context, params: Params, key: str) -> Json:
    refund = ctx.get(KIND, key)
    if refund.body["status"] != "requires_action":
        raise _wrong_state(refund)
    cancel(ctx, refund)
    return shown(ctx, KIND, key, params)


def _result(ctx: Context, key: str) -> None:
    refund = ctx.get(KIND, key)
    if refund.private["then"] == "succeed":
        succeed(ctx, refund)
    else:
        fail(ctx, refund, "expired_or_canceled_card")


def of_charge(ctx: Context, charge_id: str) -> list[Record]:
    """Newest first."""
    where = "kind = ? AND json_extract(body, '$.charge') = ?"
    return ctx.store.select(where, [KIND, charge_id], order="seq DESC")


def _fail_pending(ctx: Context, charge_id: str) -> None:
    for refund in of_charge(ctx, charge_id):
        if refund.body["status"] in ("pending", "requires_action"):
            fail(ctx, refund, "charge_for_pending_refund_disputed")


def _include(ctx: Context, charge: Record) -> Json:
    found = [render(ctx, refund) for refund in of_charge(ctx, charge.id)]
    return envelope(f"/v1/charges/{charge.id}/refunds", found[:10], has_more=len(found) > 10)


schedule.JOBS[RESULT] = _result
disputes.OPENED.append(_fail_pending)
INCLUDABLE["charge", "refunds"] = _include

ROUTES = [
    Route("POST", PATH, _create, CREATE),
    retrieve(PATH, KIND),
    Route("POST", PATH + "/{id}", _update, {**EXPAND, "metadata": Metadata()}),
    Route("POST", PATH + "/{id}/cancel", _cancel, EXPAND),
    listing(PATH, KIND, {"charge": Text(), "payment_intent": Text()}),
]
