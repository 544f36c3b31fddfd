"""Payments to refund, and what Stripe tells of their refunds."""

from typing import Any

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.test_topups import pay, started
from wallet import ledger, topups
from wallet.models import Account, HouseBalance, Refund, TopUp, Wallet


def paid(sandbox: Sandbox, wallet: Wallet, cents: int = 1000, method: str = "card") -> TopUp:
    """A top-up that was paid and credited."""
    top_up = started(wallet, cents)
    pay(sandbox, top_up, method)
    return topups.settle(top_up.pk).top_up


def only(wallet: Wallet) -> Refund:
    return Refund.objects.get(wallet=wallet)


def at_stripe(sandbox: Sandbox, top_up: TopUp) -> list[dict[str, Any]]:
    """The refunds of its payment, newest first."""
    found = sandbox.request("GET", f"/v1/refunds?limit=100&payment_intent={top_up.payment_intent_id}")
    return list(found.json["data"])


def given_cents(sandbox: Sandbox, top_up: TopUp) -> int:
    """What Stripe gave back of its payment, or is about to."""
    told = at_stripe(sandbox, top_up)
    return sum(each["amount"] for each in told if each["status"] not in ("failed", "canceled"))


def in_dashboard(sandbox: Sandbox, top_up: TopUp, cents: int, outcome: str = "") -> str:
    """Staff refund it in Stripe's dashboard; the id of the refund."""
    more = {"outcome": outcome} if outcome else {}
    sandbox.command(f"charges/{top_up.payment_intent_id}/refund", amount=cents, **more)
    return str(at_stripe(sandbox, top_up)[0]["id"])


def move(sandbox: Sandbox, refund_id: str | None, step: str, **how: Any) -> None:
    sandbox.command(f"refunds/{refund_id}/{step}", **how)


def house_cents(kind: str) -> int:
    """The balance of a house account, in whole cents."""
    account = ledger.house_id(kind)
    total = sum(HouseBalance.objects.filter(account=account).values_list("balance_nanousd", flat=True))
    cents, rest = divmod(total, 10_000_000)
    assert rest == 0
    assert Account.objects.get(pk=account).kind == kind
    return cents
