"""The balance, what is paid out of it, and entries that come without a shopper's doing."""

from typing import Any

from tests.stripe_sandbox.money import buy, charge_of, moved, told
from tests.stripe_sandbox.process import Sandbox

DAYS = 86_400


def balance(sandbox: Sandbox) -> tuple[int, int]:
    """Available and pending cents."""
    found = sandbox.client().v1.balance.retrieve()
    return found.available[0].amount, found.pending[0].amount


def summed(sandbox: Sandbox) -> int:
    entries = sandbox.client().v1.balance_transactions.list({"limit": 100})
    return sum(one.net for one in entries.auto_paging_iter())


def test_the_balance_is_what_the_entries_add_up_to(own: Sandbox) -> None:
    charge = buy(own)
    assert balance(own) == (0, 941)
    own.client().v1.refunds.create({"charge": charge, "amount": 100})
    own.command("balance_transactions", amount=-250)
    assert (balance(own), summed(own)) == ((-350, 941), 591)
    own.command("clock", seconds=3 * DAYS)
    assert balance(own) == (591, 0)


def test_all_that_is_available_is_paid_out_with_its_entries(own: Sandbox) -> None:
    charge = buy(own)
    own.command("clock", seconds=3 * DAYS)
    buy(own)
    payout = own.command("payouts")["payout"]
    assert (payout["amount"], payout["status"], payout["automatic"]) == (941, "paid", True)
    assert moved(own, payout["id"]) == [("payout", -941, 0)]
    v1 = own.client().v1
    # As at Stripe, its own entry is among them, so that they add up to nothing.
    went = v1.balance_transactions.list({"payout": payout["id"]}).data
    assert [(one.source, one.net) for one in went] == [(payout["id"], -941), (charge, 941)]
    assert [one.id for one in v1.payouts.list({"status": "paid"})] == [payout["id"]]
    later = v1.payouts.list({"arrival_date": {"gt": payout["arrival_date"]}})
    assert (later.data, balance(own)) == ([], (0, 941))
    assert told(own, payout["id"]) == [("payout.created", "pending"), ("payout.paid", "paid")]


def test_a_payout_comes_back(own: Sandbox) -> None:
    buy(own)
    payout = own.command("payouts", amount=500, status="pending")["payout"]
    assert (payout["status"], payout["automatic"]) == ("pending", False)
    own.command(f"payouts/{payout['id']}/pay")
    own.command(f"payouts/{payout['id']}/fail")
    failed = own.client().v1.payouts.retrieve(payout["id"], {"expand": ["failure_balance_transaction"]})
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    entry: Any = failed.failure_balance_transaction
    assert (entry.type, entry.amount) == ("payout_failure", 500)
    assert (sum(balance(own)), summed(own)) == (941, 941)
    assert told(own, payout["id"])[-1] == ("payout.failed", "failed")
    for step in ("pay", "fail"):
        assert own.request("POST", f"/_sandbox/payouts/{payout['id']}/{step}").status == 400


def test_no_more_is_paid_out_than_there_is(own: Sandbox) -> None:
    buy(own)
    for fields in ({}, {"amount": 942}):
        reply = own.request("POST", "/_sandbox/payouts", fields)
        assert (reply.status, reply.error["code"]) == (400, "balance_insufficient")
    assert own.client().v1.payouts.list().data == []


def test_loose_entries(shared: Sandbox) -> None:
    for kind, cents, category in (
        ("stripe_fee", -250, "fee"),
        ("tax_fee", -25, "tax"),
        ("adjustment", 400, "other_adjustment"),
    ):
        entry = shared.command("balance_transactions", type=kind, amount=cents)["balance_transaction"]
        found = shared.client().v1.balance_transactions.retrieve(entry["id"])
        assert (found.type, found.net, found.source) == (kind, cents, None)
        assert found.reporting_category == category
    assert shared.request("POST", "/_sandbox/balance_transactions", {"amount": 0}).status == 400


def test_a_bank_debit_is_returned_after_it_succeeded(shared: Sandbox) -> None:
    charge = buy(shared, "bank")
    shared.command(f"charges/{charge}/return")
    found = charge_of(shared, charge)
    assert (found.status, found.paid, found.failure_code) == ("failed", False, "insufficient_funds")
    assert moved(shared, charge) == [("payment", 1_000, 59), ("payment_failure_refund", -1_000, 0)]
    assert shared.client().v1.payment_intents.retrieve(str(found.payment_intent)).status == "succeeded"
    assert told(shared, charge)[-1] == ("charge.failed", "failed")
    assert shared.request("POST", f"/_sandbox/charges/{charge}/return").status == 400
    assert shared.request("POST", f"/_sandbox/charges/{charge}/dispute").status == 400


def test_a_card_is_not_returned(shared: Sandbox) -> None:
    charge = buy(shared)
    assert shared.request("POST", f"/_sandbox/charges/{charge}/return").status == 400
    assert moved(shared, charge) == [("charge", 1_000, 59)]
