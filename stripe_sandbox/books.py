"""What the account's books must say, worked out from charges, refunds, disputes and payouts themselves.

Balance transactions are the other side: every one of them has to be accounted for by the object that it names,
to the cent, and the other way round. What differs is a fault of the stand-in, and is shown as such.
"""

from collections import Counter, defaultdict

from . import balance, disputes
from .context import Context
from .store import Json, Record

KINDS = ("charge", "checkout.session", "refund", disputes.KIND, "payout", balance.KIND)
type Objects = dict[str, list[Record]]

# (id of the object, reporting category or "fee"): cents, negative where money leaves.
type Entries = Counter[tuple[str | None, str]]

AMOUNTS = (
    "captured",
    "returned",
    "refunded",
    "promised",
    "came_back",
    "withdrawn",
    "reinstated",
    "fee",
    "tax",
)
UNDER_WAY = ("pending", "requires_action")


def books(ctx: Context) -> Json:
    """All amounts are cents. `clearing` is what of a payment is ours before fees; it includes the tax."""
    objects = {kind: ctx.store.select("kind = ?", [kind]) for kind in KINDS}
    payments = _payments(ctx, objects)
    expected, booked = _expected(ctx, objects), _booked(objects)
    loose = {category: cents for (source, category), cents in booked.items() if source is None}
    available, pending = (balance.cents(ctx, available=which) for which in (True, False))
    differences = _differences(expected, booked)
    total = sum(expected.values()) + sum(loose.values())
    return {
        "payments": payments,
        "totals": {name: sum(row[name] for row in payments) for name in (*AMOUNTS, "clearing")},
        "balance_transactions": _by_type(objects),
        "loose": loose,
        "balance": {"available": available, "pending": pending, "total": available + pending},
        "expected_balance": total,
        "differences": differences,
        "agrees": not differences and total == available + pending,
    }


def _payments(ctx: Context, objects: Objects) -> list[Json]:
    """One row for each charge that was captured, oldest first."""
    sessions = {one.body["payment_intent"]: one.body for one in objects["checkout.session"]}
    moved: dict[str, Counter[str]] = defaultdict(Counter)
    for refund in objects["refund"]:
        # Once it has left and has not come back.
        if refund.body["balance_transaction"] and not refund.body.get("failure_balance_transaction"):
            moved[refund.body["charge"]]["refunded"] += refund.body["amount"]
        elif refund.body["balance_transaction"]:
            moved[refund.body["charge"]]["came_back"] += refund.body["amount"]
        elif refund.body["status"] in UNDER_WAY:
            moved[refund.body["charge"]]["promised"] += refund.body["amount"]
    for dispute in objects[disputes.KIND]:
        withdrawn, reinstated = _funds(ctx, dispute)
        fee = disputes.FEE_CENTS if withdrawn else 0
        moved[dispute.body["charge"]].update(withdrawn=withdrawn, reinstated=reinstated, fee=fee)
    return [
        _row(charge.body, sessions.get(charge.body["payment_intent"]), moved[charge.id])
        for charge in objects["charge"]
        if charge.body["captured"]
    ]


def _row(charge: Json, session: Json | None, moved: Counter[str]) -> Json:
    captured = charge["amount_captured"]
    row: Json = {
        "payment_intent": charge["payment_intent"],
        "charge": charge["id"],
        "session": session and session["id"],
        "customer": charge["customer"],
        "captured": captured,
        "returned": captured if charge["failure_balance_transaction"] else 0,
        **{name: moved[name] for name in ("refunded", "promised", "came_back", "withdrawn", "reinstated")},
        "fee": balance.fee_cents(captured) + moved["fee"],
        "tax": ((session or {}).get("total_details") or {}).get("amount_tax", 0),
        "presentment": charge.get("presentment_details"),
    }
    left = row["captured"] - row["returned"] - row["refunded"]
    return row | {"clearing": left - row["withdrawn"] + row["reinstated"]}


def _funds(ctx: Context, dispute: Record) -> tuple[int, int]:
    """What a dispute took and gave back. How much came back, only the entry that it names can tell."""
    entries = dispute.private["entries"]
    withdrawn = dispute.body["amount"] if entries else 0
    reinstated = ctx.get(balance.KIND, entries[1]).body["amount"] if len(entries) > 1 else 0
    return withdrawn, reinstated


def _expected(ctx: Context, objects: Objects) -> Entries:
    """The entries that the objects call for."""
    found: Entries = Counter()
    for charge in (one.body for one in objects["charge"] if one.body["captured"]):
        found[charge["id"], "charge"] = charge["amount_captured"]
        found[charge["id"], "fee"] = -balance.fee_cents(charge["amount_captured"])
        if charge["failure_balance_transaction"]:
            found[charge["id"], "charge_failure"] = -charge["amount_captured"]
    for dispute in objects[disputes.KIND]:
        withdrawn, reinstated = _funds(ctx, dispute)
        found[dispute.id, "dispute"] = -withdrawn
        found[dispute.id, "fee"] = -disputes.FEE_CENTS if withdrawn else 0
        found[dispute.id, "dispute_reversal"] = reinstated
    for kind, leaves, returns in (
        ("refund", "refund", "refund_failure"),
        ("payout", "payout", "payout_reversal"),
    ):
        for one in (record.body for record in objects[kind]):
            found[one["id"], leaves] = -one["amount"] if one["balance_transaction"] else 0
            found[one["id"], returns] = one["amount"] if one.get("failure_balance_transaction") else 0
    return found


def _booked(objects: Objects) -> Entries:
    found: Entries = Counter()
    for entry in (record.body for record in objects[balance.KIND]):
        found[entry["source"], entry["reporting_category"]] += entry["amount"]
        found[entry["source"], "fee"] -= entry["fee"]
    return found


def _differences(expected: Entries, booked: Entries) -> list[Json]:
    """Entries without a source are nobody's, and are listed as `loose`."""
    keys = sorted((key for key in {*expected, *booked} if key[0] is not None), key=str)
    return [
        {"source": key[0], "category": key[1], "expected": expected[key], "booked": booked[key]}
        for key in keys
        if expected[key] != booked[key]
    ]


def _by_type(objects: Objects) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for entry in (record.body for record in objects[balance.KIND]):
        sums = found.setdefault(entry["type"], {"count": 0, "amount": 0, "fee": 0, "net": 0})
        sums["count"] += 1
        for name in ("amount", "fee", "net"):
            sums[name] += entry[name]
    return found
