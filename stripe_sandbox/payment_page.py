"""The page of one payment: what became of its money, and forms to refund it, dispute it and move both on.

Its forms do what the addresses under /_sandbox/ do, with the same names; only amounts are told in dollars.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from . import control, disputes, refunds
from .context import Context
from .errors import ApiError, invalid
from .http import Answer, Request, see_other
from .rendering import render
from .returning import dollars, error_box
from .store import Json, Record
from .templating import Markup, fill, joined, page

PAGE = re.compile(r"/dashboard/payments/(pi_[A-Za-z0-9]+)")
DO = re.compile(r"/dashboard/payments/(pi_[A-Za-z0-9]+)/((?:charges|refunds|disputes)/[A-Za-z0-9_]+/[a-z]+)")
DOLLARS = re.compile(r"\$?([0-9]{1,6})(?:\.([0-9]{2}))?", re.ASCII)
SHOWN = 25

# What can be done by hand in which state, and how its button is called.
REFUND_STEPS = {
    "pending": {"succeed": "Succeed", "fail": "Fail", "cancel": "Cancel"},
    "requires_action": {"succeed": "Succeed", "fail": "Fail", "cancel": "Cancel"},
    "succeeded": {"fail": "Fail after all"},
}
DISPUTE_STEPS = {
    "needs_response": {"review": "Take under review", "win": "Win", "lose": "Lose"},
    "under_review": {"win": "Win", "lose": "Lose"},
    "lost": {"win": "Win after all"},
    "warning_needs_response": {"review": "Take under review", "escalate": "Escalate", "close": "Close"},
    "warning_under_review": {"escalate": "Escalate", "close": "Close"},
}
FUNDS_STEPS = {"withdraw": "Withdraw funds", "reinstate": "Reinstate funds"}


def answer(ctx: Context, request: Request) -> Answer | None:
    """None where the address belongs to another page."""
    if request.method in ("GET", "HEAD"):
        match = PAGE.fullmatch(request.path)
        intent = ctx.store.find("payment_intent", match[1]) if match else None
        return _show(ctx, intent) if intent else None
    match = DO.fullmatch(request.path) if request.method == "POST" else None
    intent = ctx.store.find("payment_intent", match[1]) if match else None
    if match is None or intent is None:
        return None
    try:
        with ctx.store.savepoint():
            control.perform(ctx, Request("POST", f"/_sandbox/{match[2]}", "", {}, _given(request)))
    except ApiError as error:
        return _show(ctx, intent, error)
    return see_other(f"/dashboard/payments/{intent.id}")


def _given(request: Request) -> bytes:
    """The form as a control address takes it: no empty fields, and the amount in cents."""
    pairs = parse_qsl(request.body.decode(errors="replace"), max_num_fields=100)
    given = {name: value.strip() for name, value in pairs if value.strip()}
    if "amount" in given:
        match = DOLLARS.fullmatch(given["amount"])
        if match is None:
            raise invalid("An amount is written in dollars, as 12 or 12.50.", param="amount")
        given["amount"] = str(int(match[1]) * 100 + int(match[2] or 0))
    return urlencode(given).encode()


def rows(ctx: Context) -> Markup:
    """The newest payments, for the dashboard; empty where there is none."""
    found = ctx.store.select("kind = 'payment_intent'", [], order="seq DESC", limit=SHOWN)
    return joined([_row(ctx, intent) for intent in found])


def _row(ctx: Context, intent: Record) -> Markup:
    charge = _charge(ctx, intent)
    return fill(
        "payment_row.html",
        id=intent.id,
        at=_at(intent.body["created"]),
        amount=dollars(intent.body["amount"]),
        method=_method(charge),
        states=_states(intent, charge),
    )


def _charge(ctx: Context, intent: Record) -> Record | None:
    return ctx.get("charge", intent.body["latest_charge"]) if intent.body["latest_charge"] else None


def _method(charge: Record | None) -> str:
    if charge is None:
        return ""
    details = charge.body["payment_method_details"]
    return f"{details['type'].replace('_', ' ')} {details[details['type']].get('last4', '')}"


def _states(intent: Record, charge: Record | None) -> Markup:
    words = [intent.body["status"]]
    if charge and charge.body["amount_refunded"]:
        words.append("refunded" if charge.body["refunded"] else "partly_refunded")
    if charge and charge.body["disputed"]:
        words.append("disputed")
    if charge and intent.body["status"] == "succeeded" and charge.body["status"] == "failed":
        words.append("returned")
    return joined([fill("state.html", state=word, text=word.replace("_", " ")) for word in words])


def _show(ctx: Context, intent: Record, error: ApiError | None = None) -> Answer:
    charge = _charge(ctx, intent)
    given_back = refunds.of_charge(ctx, charge.id) if charge else []
    disputed = disputes.of_charge(ctx, charge.id) if charge else []
    about = [record.id for record in [*([charge] if charge else []), *given_back, *disputed]]
    content = fill(
        "payment.html",
        id=intent.id,
        amount=dollars(intent.body["amount"]),
        states=_states(intent, charge),
        facts=_facts(intent, charge),
        error=error_box(error.message if error else ""),
        forms=_forms(intent, charge),
        refunds=_table("Refund", [_refund(intent, one) for one in given_back]),
        disputes=_table("Dispute", [_dispute(intent, one) for one in disputed]),
        entries=joined([_entry(one) for one in _entries(ctx, about)]) or fill("none.html", what="entries"),
    )
    return page(
        f"Payment of {dollars(intent.body['amount'])}", content, status=error.status if error else 200
    )


def _table(what: str, rows: list[Markup]) -> Markup:
    key = f"{what.lower()}s"
    return fill(
        "given_back_table.html",
        key=key,
        title=f"{what}s",
        what=what,
        rows=joined(rows) or fill("none.html", what=key),
    )


def _facts(intent: Record, charge: Record | None) -> Markup:
    facts = {
        "Created (UTC)": _at(intent.body["created"]),
        "Customer": intent.body["customer"] or "none",
        "Paid with": _method(charge) or "nothing yet",
        "Charge": charge.id if charge else "none",
        "Not refunded": dollars(_left(charge)),
        "Description": intent.body["description"] or "none",
    }
    return joined([fill("fact.html", name=name, value=value) for name, value in facts.items()])


def _left(charge: Record | None) -> int:
    if charge is None or charge.body["status"] != "succeeded":
        return 0
    return int(charge.body["amount_captured"] - charge.body["amount_refunded"])


def _forms(intent: Record, charge: Record | None) -> Markup:
    """Nothing can be given back of what was not received."""
    if charge is None or charge.body["status"] != "succeeded":
        return Markup()
    left = _left(charge)
    base = {"intent": intent.id, "charge": charge.id}
    refund = fill(
        "refund_form.html",
        **base,
        amount=f"{left // 100}.{left % 100:02d}",
        outcomes=_options(refunds.OUTCOMES, first="as the card says"),
        reasons=_options(refunds.REASONS, first="no reason"),
    )
    dispute = fill(
        "dispute_form.html",
        **base,
        amount=f"{charge.body['amount'] // 100}.{charge.body['amount'] % 100:02d}",
        reasons=_options(disputes.REASONS, first="fraudulent"),
    )
    if charge.body["payment_method_details"]["type"] == "card":
        return joined([refund, dispute])
    return joined([refund, dispute, fill("return_form.html", **base)])


def _options(words: Iterable[str], *, first: str) -> Markup:
    """A first one that stands for what happens without a choice, then each of the words."""
    chosen = [fill("choice_of.html", value="", text=first)]
    return joined(
        chosen + [fill("choice_of.html", value=word, text=word.replace("_", " ")) for word in words]
    )


def _refund(intent: Record, refund: Record) -> Markup:
    body = refund.body
    steps = REFUND_STEPS.get(body["status"], {})
    return fill(
        "given_back.html",
        id=refund.id,
        what=body["reason"] or "no reason given",
        at=_at(body["created"]),
        amount=dollars(body["amount"]),
        state=body["status"],
        text=body["status"].replace("_", " "),
        more=(body.get("failure_reason") or body.get("pending_reason") or "").replace("_", " "),
        steps=_buttons(intent, "refunds", refund.id, steps),
    )


def _dispute(intent: Record, dispute: Record) -> Markup:
    body = dispute.body
    steps = dict(DISPUTE_STEPS.get(body["status"], {}))
    moved = len(dispute.private["entries"])
    if moved == 0 and body["status"] in ("needs_response", "under_review", "lost"):
        steps["withdraw"] = FUNDS_STEPS["withdraw"]
    if moved == 1 and body["status"] == "won":
        steps["reinstate"] = FUNDS_STEPS["reinstate"]
    return fill(
        "given_back.html",
        id=dispute.id,
        what=body["reason"].replace("_", " "),
        at=_at(body["created"]),
        amount=dollars(body["amount"]),
        state=body["status"],
        text=body["status"].replace("_", " "),
        more=("no funds moved", "funds withdrawn", "funds reinstated")[moved],
        steps=_buttons(intent, "disputes", dispute.id, steps),
    )


def _buttons(intent: Record, kind: str, key: str, steps: dict[str, str]) -> Markup:
    buttons = [
        fill("step.html", intent=intent.id, kind=kind, id=key, step=step, label=label)
        for step, label in steps.items()
    ]
    return joined(buttons)


def _entries(ctx: Context, sources: list[str]) -> list[Json]:
    where = "kind = 'balance_transaction' AND json_extract(body, '$.source') = ?"
    found = [record for source in sources for record in ctx.store.select(where, [source])]
    return [render(ctx, record) for record in sorted(found, key=lambda record: record.seq)]


def _entry(body: Json) -> Markup:
    return fill(
        "entry.html",
        type=body["type"],
        category=body["reporting_category"].replace("_", " "),
        id=body["id"],
        at=_at(body["created"]),
        amount=_signed(body["amount"]),
        fee=_signed(-body["fee"]) if body["fee"] else "",
        net=_signed(body["net"]),
    )


def _signed(cents: int) -> str:
    return dollars(cents) if cents >= 0 else f"\u2212{dollars(-cents)}"


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %H:%M:%S")
