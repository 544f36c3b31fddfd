"""Refunds through Stripe's own library: what they book, what they refuse, and what becomes of them later."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.money import buy, charge_of, moved, told
from tests.stripe_sandbox.process import Receiver, Sandbox, until


def refund(sandbox: Sandbox, charge: str, **fields: Any) -> Any:
    client: Any = sandbox.client()
    return client.v1.refunds.create({"charge": charge, **fields})


def current(sandbox: Sandbox, made: Any) -> Any:
    return sandbox.client().v1.refunds.retrieve(made.id)


def counted(sandbox: Sandbox, charge: str) -> tuple[int, bool]:
    found = charge_of(sandbox, charge)
    return found.amount_refunded, found.refunded


def test_parts_are_refunded_until_nothing_is_left(shared: Sandbox) -> None:
    charge = buy(shared)
    first = refund(shared, charge, amount=300, metadata={"row": "7"}, reason="requested_by_customer")
    assert (first.status, first.amount, first.reason) == ("succeeded", 300, "requested_by_customer")
    assert counted(shared, charge) == (300, False)
    rest = refund(shared, charge)
    assert (rest.amount, rest.payment_intent) == (700, charge_of(shared, charge).payment_intent)
    assert counted(shared, charge) == (1_000, True)
    # Nothing is charged for a refund, and the 59 cents of the charge do not come back.
    assert moved(shared, charge) == [("charge", 1_000, 59)]
    assert moved(shared, first.id) == [("refund", -300, 0)]
    with pytest.raises(stripe.InvalidRequestError, match="already been refunded") as refusal:
        refund(shared, charge, amount=1)
    assert (refusal.value.code, refusal.value.http_status) == ("charge_already_refunded", 400)


def test_more_than_is_left_is_refused(shared: Sandbox) -> None:
    charge = buy(shared)
    refund(shared, charge, amount=400)
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$6.01\) is greater than .* \(\$6.00\)") as over:
        refund(shared, charge, amount=601)
    assert over.value.param == "amount"
    assert counted(shared, charge) == (400, False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"reason": "because"}, "reason"),
        ({"payment_intent": "pi_no"}, "charge"),
        ({"charge": "ch_no"}, "charge"),
        ({"reverse_transfer": True}, "reverse_transfer"),
    ],
)
def test_invalid_requests(shared: Sandbox, fields: dict[str, Any], param: str) -> None:
    charge = buy(shared)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(shared, **{"charge": charge, **fields})
    assert refusal.value.param == param
    assert counted(shared, charge) == (0, False)


def test_a_request_that_names_no_payment(shared: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="payment_intent or charge"):
        shared.client().v1.refunds.create({"amount": 5})


def test_what_is_not_settled_cannot_be_refunded(own: Sandbox) -> None:
    v1 = own.client().v1
    own.command("webhooks/pause")
    for method in ("declined", "bank_fails"):
        failed = buy(own, method)
        intent = charge_of(own, failed).payment_intent
        for fields in ({"charge": failed}, {"payment_intent": intent}):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                v1.refunds.create(fields)  # type: ignore[arg-type]  # two shapes of one request
            assert refusal.value.code == "charge_not_refundable"
    assert v1.refunds.list().data == []


def test_one_key_refunds_once(shared: Sandbox) -> None:
    charge = buy(shared)
    refunds = shared.client().v1.refunds
    made = [refunds.create({"charge": charge, "amount": 100}, {"idempotency_key": charge}) for _ in "ab"]
    assert made[0].id == made[1].id
    assert counted(shared, charge) == (100, False)


def test_a_refund_of_a_bank_debit_has_its_own_type(shared: Sandbox) -> None:
    charge = buy(shared, "bank")
    made = refund(shared, charge, amount=250)
    assert moved(shared, made.id) == [("payment_refund", -250, 0)]


def test_shoppers_get_back_what_they_paid_in_their_own_currency(shared: Sandbox) -> None:
    charge = buy(shared, currency="eur")
    parts = [refund(shared, charge, amount=cents) for cents in (333, 333, 334)]
    back = [part.presentment_details.presentment_amount for part in parts]
    assert back == [306, 307, 307]
    assert sum(back) == charge_of(shared, charge).presentment_details.presentment_amount == 920
    assert [part.amount for part in parts] == [333, 333, 334]


def test_a_pending_refund_succeeds_by_itself(own: Sandbox, receiver: Receiver) -> None:
    charge = buy(own, "refund_pends")
    made = refund(own, charge, amount=400)
    assert (made.status, made.pending_reason) == ("pending", "processing")
    until(lambda: receiver.events("refund.updated"))
    done = current(own, made)
    assert (done.status, "pending_reason" in done) == ("succeeded", False)
    assert moved(own, made.id) == [("refund", -400, 0)]
    assert told(own, made.id) == [
        ("refund.created", "pending"),
        ("refund.updated", "succeeded"),
        ("charge.refund.updated", "succeeded"),
    ]
    [event] = receiver.events("charge.refunded")
    assert event["data"]["object"]["amount_refunded"] == 400
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}


def test_a_refund_that_had_succeeded_fails_later(own: Sandbox) -> None:
    charge = buy(own, "refund_fails_later")
    made = refund(own, charge)
    assert (made.status, counted(own, charge)) == ("succeeded", (1_000, True))
    until(lambda: current(own, made).status == "failed")
    failed = current(own, made)
    assert failed.failure_reason == "expired_or_canceled_card"
    assert moved(own, made.id) == [("refund", -1_000, 0), ("refund_failure", 1_000, 0)]
    entry = own.client().v1.balance_transactions.retrieve(failed.failure_balance_transaction)
    assert (entry.amount, entry.source) == (1_000, made.id)
    # The charge can be refunded again.
    assert counted(own, charge) == (0, False)
    assert told(own, made.id)[-1] == ("refund.failed", "failed")
    [updated] = own.client().v1.events.list({"type": "refund.updated"}).data
    assert updated.data.to_dict()["previous_attributes"] == {"failure_reason": None, "status": "succeeded"}
    assert refund(own, charge, amount=1_000).status == "succeeded"


def test_a_waiting_refund_is_decided_by_hand(shared: Sandbox) -> None:
    charge = buy(shared, "refund_waits")
    succeeds, fails, canceled = (refund(shared, charge, amount=cents) for cents in (100, 200, 300))
    shared.command(f"refunds/{succeeds.id}/succeed")
    shared.command(f"refunds/{fails.id}/fail", reason="lost_or_stolen_card")
    shared.command(f"refunds/{canceled.id}/cancel")
    assert current(shared, succeeds).status == "succeeded"
    assert current(shared, fails).failure_reason == "lost_or_stolen_card"
    assert current(shared, canceled).status == "canceled"
    assert counted(shared, charge) == (100, False)
    assert moved(shared, canceled.id) == [("refund", -300, 0), ("refund_failure", 300, 0)]
    for step in ("succeed", "cancel"):
        assert shared.request("POST", f"/_sandbox/refunds/{fails.id}/{step}").status == 400


def test_a_refund_that_needs_the_person_can_be_canceled(shared: Sandbox) -> None:
    charge = buy(shared, "refund_needs_action")
    made = refund(shared, charge, amount=300, instructions_email="alice@example.com")
    assert (made.status, made.balance_transaction) == ("requires_action", None)
    assert made.next_action.display_details.email_sent.email_sent_to == "alice@example.com"
    assert counted(shared, charge) == (300, False)
    assert shared.client().v1.refunds.cancel(made.id).status == "canceled"
    assert (counted(shared, charge), moved(shared, made.id)) == ((0, False), [])
    with pytest.raises(stripe.InvalidRequestError, match="its status is canceled"):
        shared.client().v1.refunds.cancel(made.id)


def test_only_a_refund_that_needs_the_person_is_canceled_by_the_api(shared: Sandbox) -> None:
    made = refund(shared, buy(shared), amount=300)
    with pytest.raises(stripe.InvalidRequestError, match="its status is succeeded"):
        shared.client().v1.refunds.cancel(made.id)


def test_a_refund_without_funds_is_booked_once_it_goes_on(shared: Sandbox) -> None:
    charge = buy(shared)
    shared.command(f"charges/{charge}/refund_outcome", outcome="lacks_funds")
    made = refund(shared, charge, amount=300)
    assert (made.pending_reason, made.balance_transaction) == ("insufficient_funds", None)
    shared.command(f"refunds/{made.id}/succeed")
    assert moved(shared, made.id) == [("refund", -300, 0)]


def test_staff_refund_in_the_dashboard_without_our_metadata(shared: Sandbox) -> None:
    charge = buy(shared)
    intent = charge_of(shared, charge).payment_intent
    made = shared.command(f"charges/{intent}/refund", amount=250, outcome="waits")["refund"]
    assert (made["charge"], made["amount"], made["metadata"]) == (charge, 250, {})
    assert made["status"] == "pending"


def test_metadata_is_changed_and_told(shared: Sandbox) -> None:
    made = refund(shared, buy(shared), amount=300, metadata={"row": "7"})
    refunds = shared.client().v1.refunds
    changed: Any = refunds.update(made.id, {"metadata": {"more": "8"}})
    assert changed.metadata.to_dict() == {"row": "7", "more": "8"}
    event = shared.client().v1.events.list({"type": "refund.updated", "limit": 1}).data[0]
    assert event.data.to_dict()["previous_attributes"] == {"metadata": {"row": "7"}}


def test_lists_are_filtered_and_expanded(shared: Sandbox) -> None:
    charge = buy(shared)
    made = [refund(shared, charge, amount=cents) for cents in (100, 200, 300)]
    refund(shared, buy(shared))
    refunds = shared.client().v1.refunds
    newest_first = [one.id for one in made][::-1]
    assert [one.id for one in refunds.list({"charge": charge})] == newest_first
    intent = str(made[0].payment_intent)
    pages = refunds.list({"payment_intent": intent, "limit": 2, "expand": ["data.balance_transaction"]})
    assert [one.id for one in pages.auto_paging_iter()] == newest_first
    assert pages.data[0].balance_transaction.amount == -300  # type: ignore[union-attr]
    assert refunds.list({"charge": charge, "created": {"gt": made[0].created + 60}}).data == []
    expanded = shared.client().v1.charges.retrieve(charge, {"expand": ["refunds"]})
    assert [one.id for one in expanded.refunds or []] == newest_first
    entries = shared.client().v1.balance_transactions.list({"source": made[0].id, "expand": ["data.source"]})
    source: Any = entries.data[0].source
    assert (source.object, source.charge) == ("refund", charge)


def test_a_status_that_nobody_knows_yet(shared: Sandbox) -> None:
    made = refund(shared, buy(shared), amount=300)
    shared.command(f"refunds/{made.id}/set", status="under_audit")
    assert current(shared, made).status == "under_audit"
