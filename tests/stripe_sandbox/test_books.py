"""The stand-in's books against numbers that can be checked by hand, and against its own entries."""

import json
import sqlite3
from typing import Any

from tests.stripe_sandbox.process import Sandbox, payment


def books(sandbox: Sandbox) -> dict[str, Any]:
    return dict(sandbox.request("GET", "/_sandbox/books").json)


def paid(sandbox: Sandbox, cents: int, method: str = "card") -> str:
    """The id of the payment's intent."""
    item = payment()["line_items"][0]
    item["price_data"]["unit_amount"] = cents
    session = sandbox.client().v1.checkout.sessions.create(payment(line_items=[item]))
    done = sandbox.command(f"sessions/{session.id}/pay", method=method, settle="now")["session"]
    return str(done["payment_intent"])


def test_a_worked_example(own: Sandbox) -> None:
    own.command("webhooks/pause")
    first, second, third = paid(own, 1_000), paid(own, 2_000), paid(own, 5_000, "bank")
    paid(own, 700, "declined")
    own.client().v1.refunds.create({"payment_intent": first, "amount": 300})
    dispute = own.command(f"charges/{second}/dispute")["dispute"]["id"]
    own.command(f"charges/{third}/return")
    found = books(own)
    rows = {row["payment_intent"]: row for row in found["payments"]}
    # Fees: 2.9 % and 30 cents make 59, 88 and 175 cents; a dispute costs 15 dollars.
    shown = ("captured", "returned", "refunded", "withdrawn", "reinstated", "fee", "tax", "clearing")
    assert [[rows[key][name] for name in shown] for key in (first, second, third)] == [
        [1_000, 0, 300, 0, 0, 59, 0, 700],
        [2_000, 0, 0, 2_000, 0, 1_588, 0, 0],
        [5_000, 5_000, 0, 0, 0, 175, 0, 0],
    ]
    assert found["totals"]["clearing"] == 700
    assert found["balance"]["total"] == 700 - 59 - 1_588 - 175
    assert found["balance_transactions"]["adjustment"]["net"] == -3_500
    assert (found["agrees"], found["differences"]) == (True, [])
    own.command(f"disputes/{dispute}/win")
    found = books(own)
    assert found["totals"]["reinstated"] == 2_000
    assert found["balance"]["total"] == 2_700 - 59 - 1_588 - 175
    assert found["agrees"]


def test_what_fails_or_waits_is_no_refund(own: Sandbox) -> None:
    own.command("webhooks/pause")
    key = paid(own, 1_000)
    for outcome, left in (("fails_later", 900), ("waits", 800), ("lacks_funds", 800), ("needs_action", 800)):
        refund = own.command(f"charges/{key}/refund", amount=100, outcome=outcome)["refund"]["id"]
        assert books(own)["totals"]["clearing"] == left
        if outcome == "fails_later":
            own.command(f"refunds/{refund}/fail")
            assert books(own)["totals"]["clearing"] == 1_000
            own.command(f"charges/{key}/refund", amount=100)
        assert books(own)["agrees"]
    assert [books(own)["payments"][0][name] for name in ("promised", "came_back")] == [200, 100]
    own.command(f"refunds/{refund}/cancel")
    assert books(own)["payments"][0]["promised"] == 100


def test_payouts_and_loose_entries_are_accounted_for(own: Sandbox) -> None:
    own.command("webhooks/pause")
    paid(own, 10_000)
    own.command("clock", seconds=3 * 86_400)
    payout = own.command("payouts", amount=5_000, status="pending")["payout"]["id"]
    own.command("balance_transactions", type="stripe_fee", amount=-200)
    found = books(own)
    assert found["balance"] == {"available": 4_480, "pending": 0, "total": 4_480}
    assert found["loose"]["fee"] == -200
    assert found["agrees"]
    own.command(f"payouts/{payout}/fail")
    assert books(own)["balance"]["total"] == 9_480
    assert books(own)["agrees"]


def change(sandbox: Sandbox, kind: str, name: str, cents: int) -> None:
    """As a fault of the stand-in would: one object says something else than the others."""
    database = sqlite3.connect(sandbox.data / "stripe_sandbox.sqlite3")
    [(key, text)] = database.execute("SELECT id, body FROM objects WHERE kind = ?", (kind,)).fetchall()
    body = json.dumps(json.loads(text) | {name: cents})
    database.execute("UPDATE objects SET body = ? WHERE id = ?", (body, key))
    database.commit()
    database.close()


def test_a_fault_in_the_books_is_shown(own: Sandbox) -> None:
    own.command("webhooks/pause")
    key = paid(own, 1_000)
    own.client().v1.refunds.create({"payment_intent": key, "amount": 300})
    change(own, "refund", "amount", 200)
    found = books(own)
    assert not found["agrees"]
    [difference] = found["differences"]
    assert (difference["category"], difference["expected"], difference["booked"]) == ("refund", -200, -300)
    assert found["expected_balance"] - found["balance"]["total"] == 100
