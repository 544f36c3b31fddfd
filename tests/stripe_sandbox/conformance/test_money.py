"""Charging a saved card, refunds, disputes, and the balance transactions that they leave."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conformance.conftest import until

type Charge = Callable[..., Any]


def entries(api: Any, source: str) -> list[tuple[str, int]]:
    """Type and amount of every balance transaction about this object, oldest first."""
    found = api.balance_transactions.list({"source": source}).data
    return [(one.type, one.amount) for one in reversed(found)]


def test_a_charged_card_and_its_fee(api: Any, charge: Charge, customer: str) -> None:
    intent = charge(expand=["latest_charge.balance_transaction"])
    assert (intent.status, intent.amount_received, intent.customer) == ("succeeded", 100, customer)
    entry = intent.latest_charge.balance_transaction
    assert (entry.type, entry.reporting_category, entry.amount, entry.currency) == (
        "charge",
        "charge",
        100,
        "usd",
    )
    assert entry.source == intent.latest_charge.id
    assert 0 < entry.fee < 100
    assert entry.net == entry.amount - entry.fee
    assert [one.id for one in api.payment_intents.list({"customer": customer}).data] == [intent.id]
    assert [one.id for one in api.charges.list({"payment_intent": intent.id}).data] == [
        intent.latest_charge.id
    ]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ],
)
def test_a_decline_names_its_intent(api: Any, charge: Charge, method: str, code: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        charge(method)
    assert (caught.value.http_status, caught.value.code) == (402, code)
    error: Any = caught.value.error
    intent = api.payment_intents.retrieve(error.payment_intent.id)
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert intent.last_payment_error.code == code


def test_a_decline_is_given_again_under_its_key(api: Any, customer: str) -> None:
    saved = api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    given = {
        "amount": 100,
        "currency": "usd",
        "customer": customer,
        "payment_method": saved.id,
        "off_session": True,
        "confirm": True,
    }
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    intents = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            api.payment_intents.create(given, key)
        error: Any = caught.value.error
        intents.add(error.payment_intent.id)
    assert len(intents) == 1


def test_refunds_in_parts_and_never_too_much(api: Any, charge: Charge) -> None:
    intent = charge(amount=500)
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    given = {"payment_intent": intent.id, "amount": 200, "metadata": {"refund": "1"}}
    first = api.refunds.create(given, key)
    assert (first.status, first.amount, first.charge) == ("succeeded", 200, intent.latest_charge)
    assert first.metadata.to_dict() == {"refund": "1"}
    assert api.refunds.create(given, key).id == first.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": intent.id, "amount": 301})
    assert (caught.value.http_status, caught.value.param) == (400, "amount")
    rest = api.refunds.create({"payment_intent": intent.id})
    assert rest.amount == 300
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": intent.id, "amount": 1})
    assert caught.value.code == "charge_already_refunded"
    charged = api.charges.retrieve(intent.latest_charge)
    assert (charged.amount_refunded, charged.refunded) == (500, True)
    assert [one.id for one in api.refunds.list({"payment_intent": intent.id}).data] == [rest.id, first.id]
    assert entries(api, first.id) == [("refund", -200)]
    assert api.balance_transactions.retrieve(first.balance_transaction).fee == 0


def test_a_refund_can_fail_after_it_succeeded(api: Any, charge: Charge) -> None:
    refund = api.refunds.create({"payment_intent": charge("pm_card_refundFail").id})

    def failed() -> Any:
        found = api.refunds.retrieve(refund.id)
        return found if found.status == "failed" else None

    found = until(failed)
    assert found.failure_reason
    assert api.balance_transactions.retrieve(found.failure_balance_transaction).amount == 100


def test_a_refund_can_be_pending_first(api: Any, charge: Charge) -> None:
    refund = api.refunds.create({"payment_intent": charge("pm_card_pendingRefund").id})
    assert refund.status == "pending"
    until(lambda: api.refunds.retrieve(refund.id).status == "succeeded")


def test_a_dispute_withdraws_the_money(api: Any, charge: Charge) -> None:
    intent = charge("pm_card_createDispute")
    [dispute] = until(lambda: api.disputes.list({"payment_intent": intent.id}).data)
    assert (dispute.amount, dispute.currency, dispute.charge) == (100, "usd", intent.latest_charge)
    found = until(lambda: api.disputes.retrieve(dispute.id).balance_transactions)
    assert [(one.type, one.reporting_category, one.amount) for one in found] == [
        ("adjustment", "dispute", -100)
    ]
    assert found[0].fee > 0
    assert api.charges.retrieve(intent.latest_charge).disputed is True
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"


def test_a_won_dispute_gives_the_amount_back_and_not_the_fee(api: Any, charge: Charge) -> None:
    intent = charge("pm_card_createDispute")
    [dispute] = until(lambda: api.disputes.list({"payment_intent": intent.id}).data)
    api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True})
    until(lambda: api.disputes.retrieve(dispute.id).status == "won")
    found = until(lambda: api.disputes.retrieve(dispute.id).balance_transactions[1:])
    assert [(one.reporting_category, one.amount, one.fee) for one in found] == [("dispute_reversal", 100, 0)]


def test_an_inquiry_moves_no_money(api: Any, charge: Charge) -> None:
    intent = charge("pm_card_createDisputeInquiry")
    [dispute] = until(lambda: api.disputes.list({"payment_intent": intent.id}).data)
    assert dispute.status.startswith("warning_")
    assert dispute.balance_transactions == []
