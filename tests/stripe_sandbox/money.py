"""What the tests of refunds, disputes and payouts share: a payment to begin with, and how the money moved."""

from typing import Any

from tests.stripe_sandbox.process import Sandbox, payment


def buy(sandbox: Sandbox, method: str = "card", cents: int = 1_000, **choices: str) -> str:
    """The charge of a session that was paid in this way; `choices` are the shopper's, such as a currency."""
    v1 = sandbox.client().v1
    items = payment()["line_items"]
    items[0]["price_data"]["unit_amount"] = cents
    session = v1.checkout.sessions.create(payment(line_items=items))
    sandbox.command(f"sessions/{session.id}/pay", method=method, settle="now", **choices)
    intent: Any = v1.payment_intents.retrieve(
        str(v1.checkout.sessions.retrieve(session.id).payment_intent), {"expand": ["latest_charge"]}
    )
    return str(intent.latest_charge.id)


def charge_of(sandbox: Sandbox, key: str) -> Any:
    return sandbox.client().v1.charges.retrieve(key)


def moved(sandbox: Sandbox, source: str) -> list[tuple[str, int, int]]:
    """Type, amount and fee of every balance transaction about this object, oldest first."""
    found = sandbox.client().v1.balance_transactions.list({"source": source}).data
    return [(one.type, one.amount, one.fee) for one in reversed(found)]


def told(sandbox: Sandbox, *ids: str) -> list[tuple[str, str | None]]:
    """Type and status of the events about these objects, oldest first."""
    found: list[tuple[str, str | None]] = []
    for event in sandbox.client().v1.events.list({"limit": 100}).auto_paging_iter():
        subject: Any = event.data.object
        if subject["id"] in ids:
            found.append((event.type, subject["status"]))
    return found[::-1]


def give_back(sandbox: Sandbox) -> None:
    """Let every kind of refund, dispute, payout and loose entry come about once."""
    v1 = sandbox.client().v1
    refunded = {"succeed": "refund_waits", "fail": "refund_waits", "cancel": "refund_needs_action"}
    for step, method in refunded.items():
        made = v1.refunds.create({"charge": buy(sandbox, method), "amount": 400, "metadata": {"a": "b"}})
        sandbox.command(f"refunds/{made.id}/{step}")
    v1.refunds.create({"charge": buy(sandbox, "bank"), "reason": "fraudulent"})
    for steps in (["win"], ["lose"], ["review"]):
        made = sandbox.command(f"charges/{buy(sandbox)}/dispute")["dispute"]
        for step in steps:
            sandbox.command(f"disputes/{made['id']}/{step}")
    asked = sandbox.command(f"charges/{buy(sandbox)}/dispute", inquiry="true")["dispute"]
    v1.disputes.update(asked["id"], {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}})
    sandbox.command(f"charges/{buy(sandbox, 'bank')}/return")
    buy(sandbox, cents=50_000)
    payout = sandbox.command("payouts", amount=100)["payout"]
    sandbox.command(f"payouts/{payout['id']}/fail")
    sandbox.command("balance_transactions", amount=-250)
