"""Disputes through Stripe's own library: their states, their money, and who decides."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.contract import unwatched
from tests.stripe_sandbox.money import buy, charge_of, moved, told
from tests.stripe_sandbox.process import Receiver, Sandbox, until


def dispute(sandbox: Sandbox, charge: str, **fields: Any) -> Any:
    """Open one and read it again with the library."""
    made = sandbox.command(f"charges/{charge}/dispute", **fields)["dispute"]
    return sandbox.client().v1.disputes.retrieve(made["id"])


def step(sandbox: Sandbox, made: Any, name: str, **fields: Any) -> Any:
    sandbox.command(f"disputes/{made.id}/{name}", **fields)
    return sandbox.client().v1.disputes.retrieve(made.id)


def listed(sandbox: Sandbox, charge: str) -> list[Any]:
    return list(sandbox.client().v1.disputes.list({"charge": charge}).data)


TAKEN = ("adjustment", -1_000, 1_500)
GIVEN = ("adjustment", 1_000, 0)


def test_the_money_goes_and_a_win_brings_it_back_without_the_fee(shared: Sandbox) -> None:
    charge = buy(shared)
    made = dispute(shared, charge, reason="product_not_received")
    assert (made.status, made.amount, made.reason) == ("needs_response", 1_000, "product_not_received")
    assert (made.charge, charge_of(shared, charge).disputed) == (charge, True)
    assert moved(shared, made.id) == [TAKEN]
    won = step(shared, made, "win")
    assert (won.status, moved(shared, made.id)) == ("won", [TAKEN, GIVEN])
    assert [one.reporting_category for one in won.balance_transactions] == ["dispute", "dispute_reversal"]
    assert [one.net for one in won.balance_transactions] == [-2_500, 1_000]
    assert told(shared, made.id) == [
        ("charge.dispute.created", "needs_response"),
        ("charge.dispute.funds_withdrawn", "needs_response"),
        ("charge.dispute.closed", "won"),
        ("charge.dispute.funds_reinstated", "won"),
    ]


def test_a_loss_moves_nothing_more(shared: Sandbox) -> None:
    made = dispute(shared, buy(shared))
    assert step(shared, made, "lose").status == "lost"
    assert moved(shared, made.id) == [TAKEN]
    assert told(shared, made.id)[-1] == ("charge.dispute.closed", "lost")
    # The bank can still change its mind.
    assert step(shared, made, "win").status == "won"
    assert moved(shared, made.id) == [TAKEN, GIVEN]


def test_an_inquiry_moves_nothing_and_leaves_the_charge_refundable(shared: Sandbox) -> None:
    charge = buy(shared)
    made = dispute(shared, charge, inquiry="true")
    assert (made.status, made.balance_transactions) == ("warning_needs_response", [])
    assert shared.request("POST", f"/_sandbox/disputes/{made.id}/withdraw").status == 400
    assert made.is_charge_refundable
    shared.client().v1.refunds.create({"charge": charge, "amount": 400})
    assert listed(shared, charge)[0].status == "warning_needs_response"
    shared.client().v1.refunds.create({"charge": charge})
    assert listed(shared, charge)[0].status == "warning_closed"
    assert moved(shared, made.id) == []


def test_an_inquiry_becomes_a_dispute(shared: Sandbox) -> None:
    made = dispute(shared, buy(shared), inquiry="true")
    assert step(shared, made, "review").status == "warning_under_review"
    worse = step(shared, made, "escalate")
    assert (worse.status, worse.payment_method_details.card.case_type) == ("needs_response", "chargeback")
    assert moved(shared, made.id) == [TAKEN]


def test_a_disputed_charge_is_not_refunded(shared: Sandbox) -> None:
    charge = buy(shared)
    made = dispute(shared, charge, amount=300)
    with pytest.raises(stripe.InvalidRequestError, match="charged back") as refusal:
        shared.client().v1.refunds.create({"charge": charge, "amount": 100})
    assert refusal.value.code == "charge_disputed"
    step(shared, made, "win")
    assert shared.client().v1.refunds.create({"charge": charge, "amount": 100}).status == "succeeded"


def test_a_dispute_ends_refunds_that_are_under_way(shared: Sandbox) -> None:
    charge = buy(shared, "refund_waits")
    refund = shared.client().v1.refunds.create({"charge": charge, "amount": 400})
    dispute(shared, charge)
    failed = shared.client().v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "charge_for_pending_refund_disputed")
    assert moved(shared, refund.id) == [("refund", -400, 0), ("refund_failure", 400, 0)]


def test_several_and_partial_disputes_on_one_charge(shared: Sandbox) -> None:
    charge = buy(shared)
    first, second = (dispute(shared, charge, amount=cents) for cents in (300, 500))
    assert [one.id for one in listed(shared, charge)] == [second.id, first.id]
    step(shared, first, "win")
    assert moved(shared, first.id) == [("adjustment", -300, 1_500), ("adjustment", 300, 0)]
    assert moved(shared, second.id) == [("adjustment", -500, 1_500)]
    intent = str(charge_of(shared, charge).payment_intent)
    assert len(shared.client().v1.disputes.list({"payment_intent": intent}).data) == 2


@pytest.mark.parametrize("funds", ["before", "later"])
def test_when_the_money_goes_is_the_tests_choice(shared: Sandbox, funds: str) -> None:
    made = dispute(shared, buy(shared), funds=funds)
    kinds = [kind for kind, _ in told(shared, made.id)]
    if funds == "before":
        assert kinds == ["charge.dispute.funds_withdrawn", "charge.dispute.created"]
    else:
        assert (kinds, moved(shared, made.id)) == (["charge.dispute.created"], [])
        step(shared, made, "withdraw")
    assert moved(shared, made.id) == [TAKEN]
    assert shared.request("POST", f"/_sandbox/disputes/{made.id}/withdraw").status == 400
    won = step(shared, made, "win", funds="later")
    assert (won.status, moved(shared, made.id)) == ("won", [TAKEN])
    step(shared, made, "reinstate", amount=400)
    assert moved(shared, made.id) == [TAKEN, ("adjustment", 400, 0)]
    assert shared.request("POST", f"/_sandbox/disputes/{made.id}/reinstate").status == 400


def test_a_prevented_dispute_moves_nothing(shared: Sandbox) -> None:
    made = dispute(shared, buy(shared), status="prevented")
    assert (made.status, made.balance_transactions) == ("prevented", [])
    assert shared.request("POST", f"/_sandbox/disputes/{made.id}/lose").status == 400


@pytest.mark.parametrize(
    ("text", "inquiry", "status"),
    [
        ("winning_evidence", False, "won"),
        ("losing_evidence", False, "lost"),
        ("something else", False, "under_review"),
        ("winning_evidence", True, "warning_closed"),
        ("losing_evidence", True, "warning_closed"),
        ("escalate_inquiry_evidence", True, "needs_response"),
        ("something else", True, "warning_under_review"),
    ],
)
def test_evidence_decides(shared: Sandbox, text: str, status: str, *, inquiry: bool) -> None:
    made = dispute(shared, buy(shared), inquiry=str(inquiry).lower())
    answered = shared.client().v1.disputes.update(made.id, {"evidence": {"uncategorized_text": text}})
    assert answered.status == status
    assert (answered.evidence.uncategorized_text, answered.evidence_details.submission_count) == (text, 1)
    assert any(kind == "charge.dispute.updated" for kind, _ in told(shared, made.id))


def test_evidence_is_gathered_before_it_is_submitted(shared: Sandbox) -> None:
    made = dispute(shared, buy(shared))
    disputes = shared.client().v1.disputes
    draft = disputes.update(made.id, {"evidence": {"customer_name": "Alice"}, "submit": False})
    assert (draft.status, draft.evidence_details.has_evidence) == ("needs_response", True)
    assert disputes.update(made.id, {"metadata": {"case": "7"}}).status == "needs_response"
    sent = disputes.update(made.id, {"submit": True})
    assert (sent.status, sent.evidence.customer_name) == ("under_review", "Alice")
    with pytest.raises(stripe.InvalidRequestError, match="its status is under_review"):
        disputes.update(made.id, {"evidence": {"customer_name": "Bob"}})
    with pytest.raises(stripe.InvalidRequestError, match=r"evidence\[receipt\]"):
        disputes.update(made.id, {"evidence": {"receipt": "file_1"}})


def test_the_shop_gives_in(shared: Sandbox) -> None:
    made = dispute(shared, buy(shared))
    disputes = shared.client().v1.disputes
    assert disputes.close(made.id).status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="its status is lost"):
        disputes.close(made.id)


def test_a_pending_or_failed_charge_is_not_disputed(shared: Sandbox) -> None:
    failed = buy(shared, "declined")
    assert shared.request("POST", f"/_sandbox/charges/{failed}/dispute").status == 400
    assert not charge_of(shared, failed).disputed


def test_who_does_not_answer_in_time_has_lost(own: Sandbox) -> None:
    made = dispute(own, buy(own))
    asked = dispute(own, buy(own), inquiry="true")
    assert made.evidence_details.due_by
    own.command("clock", seconds=9 * 86_400 + 10)
    disputes = own.client().v1.disputes
    late = disputes.retrieve(made.id)
    assert (late.status, late.evidence_details.past_due) == ("lost", True)
    assert disputes.retrieve(asked.id).status == "warning_closed"


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("disputed", [("needs_response", 1_000)]),
        ("disputed_twice", [("needs_response", 500), ("needs_response", 500)]),
        ("inquired", [("warning_needs_response", 1_000)]),
    ],
)
def test_cards_that_lead_to_disputes(shared: Sandbox, method: str, found: list[tuple[str, int]]) -> None:
    charge = buy(shared, method)
    until(lambda: listed(shared, charge))
    assert [(one.status, one.amount) for one in listed(shared, charge)] == found


def test_a_dispute_can_be_told_before_its_payment(own: Sandbox, receiver: Receiver) -> None:
    buy(own, "disputed_early")
    until(lambda: receiver.events("checkout.session.completed"))
    kinds = [event.type for event in own.client().v1.events.list()][::-1]
    assert kinds.index("charge.dispute.created") < kinds.index("payment_intent.succeeded")


def test_a_status_that_nobody_knows_yet(own: Sandbox) -> None:
    made = dispute(own, buy(own))
    with unwatched():
        assert step(own, made, "set", status="in_arbitration").status == "in_arbitration"
        assert told(own, made.id)[-1] == ("charge.dispute.updated", "in_arbitration")
