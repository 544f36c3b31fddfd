"""Disputes: a shopper's bank asks about a payment, or takes the money back until it has decided.

Money and state move apart from each other, as at Stripe: what leaves the balance or returns to it is an entry
and a `funds_` event of its own. An inquiry (`warning_…`) moves none. Of a won dispute the amount comes back,
the fee does not.
"""

from collections.abc import Callable

from . import charges, events, evidence, schedule
from .balance import Entry, book
from .context import Context
from .errors import ApiError, refused
from .ids import new_id
from .metadata import merged
from .params import Boolean, Metadata, Params, Text
from .rendering import RENDERERS, render
from .routes import EXPAND, Route, listing, retrieve, shown
from .store import Json, Record

PATH = "/v1/disputes"
KIND = "dispute"
DEADLINE = "dispute_deadline"
STORY = "open_disputes"

FEE_CENTS = 1_500
ANSWER_WITHIN_S = 9 * 86_400
REASONS = [
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
]
# What becomes of a charge by itself: the disputes that are opened against it, by the share of its amount.
STORIES: dict[str, tuple[tuple[str, int], ...]] = {
    "dispute": (("needs_response", 1),),
    "early": (("needs_response", 1),),
    "twice": (("needs_response", 2), ("needs_response", 2)),
    "inquiry": (("warning_needs_response", 1),),
}

# Filled by the modules to whose objects a dispute does something; called with the charge's id.
OPENED: list[Callable[[Context, str], None]] = []


def start(
    ctx: Context,
    charge: Record,
    *,
    amount: int | None = None,
    reason: str = "fraudulent",
    status: str = "needs_response",
    funds: str = "after",
) -> Record:
    """Open a dispute about `amount` cents, the whole charge unless said; more than the charge is possible.

    `funds`: the money is withdrawn `after` the dispute's creation is told, `before` it, or `later` (never by
    itself). Of an inquiry and of one that was prevented none is withdrawn.
    """
    if charge.body["status"] != "succeeded":
        raise refused(f"Charge {charge.id} cannot be disputed: its status is {charge.body['status']}.")
    fields = _fields(charge.body, amount or charge.body["amount"], reason, status)
    fields["evidence_details"]["due_by"] = ctx.now + ANSWER_WITHIN_S
    dispute = ctx.create(KIND, new_id(KIND), fields, {"entries": []})
    charge.body["disputed"] = True
    ctx.store.save(charge)
    moves = status in ("needs_response", "under_review")
    if moves and funds == "before":
        withdraw(ctx, dispute)
    events.emit(ctx, "charge.dispute.created", dispute)
    if moves and funds == "after":
        withdraw(ctx, dispute)
    if moves:
        for follow in OPENED:
            follow(ctx, charge.id)
    schedule.plan(ctx, DEADLINE, dispute.id, due_at=ctx.clock.time() + ANSWER_WITHIN_S)
    return dispute


def _fields(charge: Json, amount: int, reason: str, status: str) -> Json:
    fields: Json = {
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence.EMPTY,
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
    }
    details = charge["payment_method_details"]
    if details["type"] == "card":
        case = "inquiry" if status.startswith("warning_") else "chargeback"
        network = details["card"]["network"]
        card = {"brand": details["card"]["brand"], "case_type": case, "network": network}
        fields["payment_method_details"] = {"type": "card", "card": card | {"network_reason_code": "83"}}
    return fields


def withdraw(ctx: Context, dispute: Record) -> None:
    """Take the amount and the fee. ApiError where that was done, and for an inquiry."""
    if dispute.body["status"].startswith("warning_"):
        raise _wrong_state(dispute)
    if dispute.private["entries"]:
        raise refused(f"The funds of dispute {dispute.id} were withdrawn before.")
    text = f"Chargeback withdrawal for {dispute.body['charge']}"
    entry = Entry("adjustment", -dispute.body["amount"], dispute.id, FEE_CENTS, "Dispute fee", KIND, text)
    _book(ctx, dispute, entry)
    events.emit(ctx, "charge.dispute.funds_withdrawn", dispute)


def reinstate(ctx: Context, dispute: Record, amount: int | None = None) -> None:
    """Give the amount back, or part of it, once. ApiError where nothing was taken or it came back."""
    if len(dispute.private["entries"]) != 1:
        raise refused(f"There are no funds of dispute {dispute.id} to reinstate.")
    text = f"Chargeback reversal for {dispute.body['charge']}"
    given = min(amount or dispute.body["amount"], dispute.body["amount"])
    entry = Entry("adjustment", given, dispute.id, category="dispute_reversal", description=text)
    _book(ctx, dispute, entry)
    events.emit(ctx, "charge.dispute.funds_reinstated", dispute)


def _book(ctx: Context, dispute: Record, entry: Entry) -> None:
    dispute.private["entries"].append(book(ctx, entry).id)
    ctx.store.save(dispute)


def win(ctx: Context, dispute: Record, *, funds: bool = True) -> None:
    """The bank is with the shop, also after it was against it. `funds=False` leaves the money for later."""
    if dispute.body["status"].startswith("warning_"):
        raise _wrong_state(dispute)
    _close(ctx, dispute, "won")
    if funds and len(dispute.private["entries"]) == 1:
        reinstate(ctx, dispute)


def lose(ctx: Context, dispute: Record) -> None:
    """The bank is with the shopper; what was withdrawn stays so. An inquiry merely ends."""
    inquiry = dispute.body["status"].startswith("warning_")
    _close(ctx, dispute, "warning_closed" if inquiry else "lost")


def _close(ctx: Context, dispute: Record, status: str) -> None:
    if dispute.body["status"] in (status, "won", "prevented"):
        raise _wrong_state(dispute)
    schedule.cancel(ctx, DEADLINE, dispute.id)
    previous = {"status": dispute.body["status"]}
    dispute.body["status"] = status
    ctx.store.save(dispute)
    events.emit(ctx, "charge.dispute.closed", dispute, previous=previous)


def escalate(ctx: Context, dispute: Record, *, funds: bool = True) -> None:
    """An inquiry becomes a dispute. ApiError for what is no open inquiry."""
    if dispute.body["status"] not in ("warning_needs_response", "warning_under_review"):
        raise _wrong_state(dispute)
    details = dispute.body.get("payment_method_details")
    if details:
        details["card"]["case_type"] = "chargeback"
    tell_status(ctx, dispute, "needs_response")
    if funds:
        withdraw(ctx, dispute)
    for follow in OPENED:
        follow(ctx, dispute.body["charge"])


def review(ctx: Context, dispute: Record) -> None:
    """The bank looks at the evidence. ApiError unless an answer was due."""
    status = dispute.body["status"]
    if not status.endswith("needs_response"):
        raise _wrong_state(dispute)
    tell_status(ctx, dispute, status.replace("needs_response", "under_review"))


def tell_status(ctx: Context, dispute: Record, status: str) -> None:
    """Any word for a status, such as one that Stripe has not invented yet; no money moves."""
    previous = {"status": dispute.body["status"]}
    dispute.body["status"] = status
    ctx.store.save(dispute)
    events.emit(ctx, "charge.dispute.updated", dispute, previous=previous)


def _update(ctx: Context, params: Params, key: str) -> Json:
    dispute = ctx.get(KIND, key)
    given = params.get("evidence", {})
    if (given or params.get("submit")) and not dispute.body["status"].endswith("needs_response"):
        raise _wrong_state(dispute)
    before = {name: dispute.body[name] for name in ("evidence", "evidence_details", "metadata", "status")}
    dispute.body["metadata"] = merged(before["metadata"], params.get("metadata", {}))
    dispute.body["evidence"] = evidence.with_given(before["evidence"], given)
    submits = params.get("submit", bool(given))
    _count_evidence(dispute, submits=submits)
    previous = {name: old for name, old in before.items() if old != dispute.body[name]}
    ctx.store.save(dispute)
    if previous:
        events.emit(ctx, "charge.dispute.updated", dispute, previous=previous)
    if submits:
        _decide(ctx, dispute)
    return shown(ctx, KIND, key, params)


def _count_evidence(dispute: Record, *, submits: bool) -> None:
    body = dispute.body
    count = body["evidence_details"]["submission_count"] + submits
    counted = {"has_evidence": body["evidence"] != evidence.EMPTY, "submission_count": count}
    body["evidence_details"] = body["evidence_details"] | counted
    if submits:
        body["status"] = body["status"].replace("needs_response", "under_review")


def _decide(ctx: Context, dispute: Record) -> None:
    """In test mode the evidence's text says what the bank makes of it; otherwise the bank takes its time."""
    text = dispute.body["evidence"]["uncategorized_text"]
    inquiry = dispute.body["status"].startswith("warning_")
    if text == "escalate_inquiry_evidence" and inquiry:
        escalate(ctx, dispute)
    elif text == "winning_evidence" and not inquiry:
        win(ctx, dispute)
    elif text in ("winning_evidence", "losing_evidence"):
        lose(ctx, dispute)


def _close_by_hand(ctx: Context, params: Params, key: str) -> Json:
    """The shop gives in."""
    dispute = ctx.get(KIND, key)
    if not dispute.body["status"].endswith("needs_response"):
        raise _wrong_state(dispute)
    lose(ctx, dispute)
    return shown(ctx, KIND, key, params)


def _deadline(ctx: Context, key: str) -> None:
    """Who has not answered by then has lost."""
    dispute = ctx.get(KIND, key)
    if dispute.body["status"].endswith("needs_response"):
        lose(ctx, dispute)


def _wrong_state(dispute: Record) -> ApiError:
    return refused(f"Dispute {dispute.id} cannot be changed so: its status is {dispute.body['status']}.")


def of_charge(ctx: Context, charge_id: str) -> list[Record]:
    """Newest first."""
    where = "kind = ? AND json_extract(body, '$.charge') = ?"
    return ctx.store.select(where, [KIND, charge_id], order="seq DESC")


def block_refunds(ctx: Context, charge_id: str) -> bool:
    """Whether the money of the charge is the bank's to give back, not the shop's."""
    free = ("won", "warning_needs_response", "warning_under_review", "warning_closed")
    return any(dispute.body["status"] not in free for dispute in of_charge(ctx, charge_id))


def close_inquiries(ctx: Context, charge_id: str) -> None:
    """Of a payment that was given back there is nothing left to ask."""
    for dispute in of_charge(ctx, charge_id):
        if dispute.body["status"] in ("warning_needs_response", "warning_under_review"):
            lose(ctx, dispute)


def _follow(ctx: Context, charge: Record) -> None:
    """The card paid with may lead to a dispute: at once, or as soon as the payment's own events are told."""
    story = charge.private.get("dispute")
    if story == "early":
        _tell_story(ctx, charge.id)
    elif story:
        schedule.plan(ctx, STORY, charge.id, due_at=ctx.clock.time())


def _tell_story(ctx: Context, charge_id: str) -> None:
    charge = ctx.get("charge", charge_id)
    for status, parts in STORIES[charge.private["dispute"]]:
        start(ctx, charge, amount=charge.body["amount"] // parts or 1, status=status)


def _render(ctx: Context, record: Record) -> Json:
    body = record.body
    details = body["evidence_details"]
    entries = [render(ctx, ctx.get("balance_transaction", key)) for key in record.private["entries"]]
    return body | {
        "balance_transactions": entries,
        "evidence_details": details | {"past_due": ctx.now > details["due_by"]},
        "is_charge_refundable": body["status"].startswith("warning_"),
    }


RENDERERS[KIND] = _render
schedule.JOBS[DEADLINE] = _deadline
schedule.JOBS[STORY] = _tell_story
charges.SUCCEEDED.append(_follow)

UPDATE = {**EXPAND, "evidence": evidence.FIELD, "metadata": Metadata(), "submit": Boolean()}
ROUTES = [
    retrieve(PATH, KIND),
    Route("POST", PATH + "/{id}", _update, UPDATE),
    Route("POST", PATH + "/{id}/close", _close_by_hand, EXPAND),
    listing(PATH, KIND, {"charge": Text(), "payment_intent": Text()}),
]
