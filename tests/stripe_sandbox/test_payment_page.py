"""The dashboard's page of a payment: what a person does there with plain forms."""

import re

import pytest

from tests.stripe_sandbox.money import buy, charge_of, moved
from tests.stripe_sandbox.process import Reply, Sandbox


def page_of(sandbox: Sandbox, charge: str) -> str:
    return f"/dashboard/payments/{charge_of(sandbox, charge).payment_intent}"


def submit(sandbox: Sandbox, page: str, action: str, **fields: str) -> Reply:
    """Send the form whose address on the page ends so, as a browser without a key does."""
    text = sandbox.request("GET", page, Authorization="").text
    [address] = re.findall(rf'action="({page}/[^"]+/{action})"', text)
    return sandbox.request("POST", address, fields, Authorization="")


def test_a_payment_is_found_from_the_dashboard(shared: Sandbox) -> None:
    page = page_of(shared, buy(shared, cents=123_456))
    assert f'href="{page}"' in shared.request("GET", "/", Authorization="").text
    reply = shared.request("GET", page, Authorization="")
    assert reply.status == 200
    for text in ("$1,234.56", "succeeded", "card 4242", "$1,198.46", "No refunds yet", "No money moves"):
        assert text in reply.text
    assert "<script" not in reply.text
    assert " style=" not in reply.text


def test_a_refund_is_made_and_let_fail(shared: Sandbox) -> None:
    charge = buy(shared)
    page = page_of(shared, charge)
    assert submit(shared, page, "refund", amount="2.50", outcome="", reason="duplicate").status == 303
    [refund] = shared.client().v1.refunds.list({"charge": charge}).data
    assert (refund.amount, refund.status, refund.reason) == (250, "succeeded", "duplicate")
    assert submit(shared, page, "fail").status == 303
    assert shared.client().v1.refunds.retrieve(refund.id).status == "failed"
    text = shared.request("GET", page).text
    assert "refund_failure" in text
    assert "\u2212$2.50" in text


def test_a_dispute_is_opened_and_moved_on(shared: Sandbox) -> None:
    charge = buy(shared)
    page = page_of(shared, charge)
    fields = {"amount": "4", "status": "needs_response", "reason": "duplicate", "funds": "later"}
    assert submit(shared, page, "dispute", **fields).status == 303
    for action in ("withdraw", "review", "win"):
        assert submit(shared, page, action).status == 303
    [dispute] = shared.client().v1.disputes.list({"charge": charge}).data
    assert (dispute.status, dispute.reason, dispute.amount) == ("won", "duplicate", 400)
    assert moved(shared, dispute.id) == [("adjustment", -400, 1_500), ("adjustment", 400, 0)]
    assert "funds reinstated" in shared.request("GET", page).text


def test_a_bank_debit_is_returned(shared: Sandbox) -> None:
    charge = buy(shared, "bank")
    page = page_of(shared, charge)
    assert submit(shared, page, "return").status == 303
    assert charge_of(shared, charge).status == "failed"
    # There is nothing left to give back.
    text = shared.request("GET", page).text
    assert "returned" in text
    assert f"{page}/charges" not in text


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        ("11", "greater than"),
        ("-1", "written in dollars"),
        ("1.005", "written in dollars"),
        ("\u0661", "written in dollars"),
        ("0", "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_said_on_the_page(shared: Sandbox, amount: str, error: str) -> None:
    charge = buy(shared)
    reply = submit(shared, page_of(shared, charge), "refund", amount=amount)
    assert (reply.status, error in reply.text) == (400, True)
    assert charge_of(shared, charge).amount_refunded == 0


def test_other_addresses_and_other_sites(shared: Sandbox) -> None:
    charge = buy(shared)
    page = page_of(shared, charge)
    assert shared.request("GET", "/dashboard/payments/pi_no").status == 404
    for step in ("refunds/re_no/fail", "disputes/du_no/win", "charges/ch_no/refund"):
        assert shared.request("POST", f"{page}/{step}").status == 404
    assert shared.request("POST", f"{page}/charges/{charge}/explode").status == 404
    address = f"{page}/charges/{charge}/refund"
    reply = shared.request("POST", address, {"amount": "1"}, Sec_Fetch_Site="cross-site")
    assert (reply.status, charge_of(shared, charge).amount_refunded) == (403, 0)
