"""Charging a saved card, refunds, disputes, and the balance transactions that they leave."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conformance.conftest import until
from tests.stripe_sandbox.saving import charging

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


def test_one_key_is_one_charge(api: Any, customer: str) -> None:
    saved = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    first = api.payment_intents.create(charging(customer, saved), key)
    again = api.payment_intents.create(charging(customer, saved), key)
    assert (again.id, again.last_response.headers["Idempotent-Replayed"]) == (first.id, "true")
    with pytest.raises(stripe.IdempotencyError) as caught:
        api.payment_intents.create(charging(customer, saved, amount=501), key)
    assert caught.value.http_status == 400
    assert [one.id for one in api.payment_intents.list({"customer": customer}).data] == [first.id]


def test_a_declined_charge_goes_on_with_another_card_or_ends(api: Any, charge: Charge, customer: str) -> None:
    declined = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            charge("pm_card_chargeCustomerFail")
        error: Any = caught.value.error
        declined.append(error.payment_intent.id)
    good = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    paid = api.payment_intents.confirm(declined[0], {"payment_method": good, "off_session": True})
    assert (paid.status, paid.amount_received) == ("succeeded", 100)
    assert api.payment_intents.cancel(declined[1]).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.payment_intents.cancel(declined[0])
    assert refused.value.code == "payment_intent_unexpected_state"


def test_only_the_customers_own_card_is_charged(api: Any, customer: str) -> None:
    other = api.customers.create({"metadata": {"made_by": "conformance"}}).id
    saved = api.payment_methods.attach("pm_card_visa", {"customer": other}).id
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_intents.create(charging(customer, saved))
    api.payment_methods.detach(saved)
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_intents.create(charging(other, saved))
    gone = charging(other, "pm_1Nothing")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.create(gone)
    assert caught.value.code == "resource_missing"


@pytest.mark.parametrize(
    ("changes", "param"),
    [({"amount": 10}, "amount"), ({"confirm": False}, "off_session"), ({"currency": "nonsense"}, "currency")],
)
def test_a_charge_that_makes_no_sense_is_refused(
    api: Any, customer: str, changes: dict[str, Any], param: str
) -> None:
    saved = api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.create(charging(customer, saved, **changes))
    assert (caught.value.http_status, caught.value.param) == (400, param)


def test_a_refunds_key_gives_its_answer_again_and_takes_nothing_else(api: Any, charge: Charge) -> None:
    intent = charge(amount=500)
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    given = {"payment_intent": intent.id, "amount": 100}
    first = api.refunds.create(given, key)
    again = api.refunds.create(given, key)
    assert (again.id, again.last_response.headers["Idempotent-Replayed"]) == (first.id, "true")
    with pytest.raises(stripe.IdempotencyError) as caught:
        api.refunds.create(given | {"amount": 200}, key)
    assert caught.value.http_status == 400
    refused = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as too_much:
            api.refunds.create({"payment_intent": intent.id, "amount": 401}, refused)
        assert too_much.value.param == "amount"
    assert [one.amount for one in api.refunds.list({"charge": intent.latest_charge}).data] == [100]


def test_a_refund_that_came_about_is_not_canceled(api: Any, charge: Charge) -> None:
    refund = api.refunds.create({"payment_intent": charge().id, "metadata": {"refund": "1"}})
    changed = api.refunds.update(refund.id, {"metadata": {"more": "2"}})
    assert changed.metadata.to_dict() == {"refund": "1", "more": "2"}
    with pytest.raises(stripe.InvalidRequestError):
        api.refunds.cancel(refund.id)
    assert api.refunds.retrieve(refund.id).status == "succeeded"


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


@pytest.mark.parametrize("how", ["evidence", "close"])
def test_a_lost_dispute_keeps_what_it_took(api: Any, charge: Charge, how: str) -> None:
    intent = charge("pm_card_createDispute")
    [dispute] = until(lambda: api.disputes.list({"charge": intent.latest_charge}).data)
    if how == "close":
        api.disputes.close(dispute.id)
    else:
        evidence = {"evidence": {"uncategorized_text": "losing_evidence"}, "submit": True}
        api.disputes.update(dispute.id, evidence)
    until(lambda: api.disputes.retrieve(dispute.id).status == "lost")
    found = until(lambda: api.disputes.retrieve(dispute.id).balance_transactions)
    assert [one.reporting_category for one in found] == ["dispute"]


def test_two_disputes_of_one_charge(api: Any, charge: Charge) -> None:
    intent = charge("pm_card_createMultipleDisputes", amount=1_000)

    def both() -> Any:
        found = api.disputes.list({"payment_intent": intent.id}).data
        return found if len(found) == 2 else None

    found = until(both)
    assert {one.charge for one in found} == {intent.latest_charge}
    assert 0 < sum(one.amount for one in found) <= 1_000


def test_lists_of_money_are_walked_from_the_newest(api: Any, charge: Charge, customer: str) -> None:
    """Each list that is reconciled, page by page, as the wallet walks it: by time, after the last id."""
    began = int(time.time()) - 5
    intents = [charge(expand=["latest_charge"]) for _ in range(3)]
    refunds = [api.refunds.create({"payment_intent": each.id, "amount": 50}) for each in intents]
    of_customer = {"customer": customer}
    charges = [each.latest_charge for each in intents]
    entries = [each.balance_transaction for each in (*charges, *refunds)]
    for listed, made, filters in (
        (api.payment_intents, [each.id for each in intents], of_customer),
        (api.charges, [each.id for each in charges], of_customer),
        (api.refunds, [each.id for each in refunds], {"created": {"gte": began}}),
        (api.balance_transactions, entries, {"created": {"gte": began}}),
    ):
        found = list(_walked(listed, filters))
        assert [key for key in found if key in made] == made[::-1]
        assert len(found) == len(set(found))


def _walked(listed: Any, filters: dict[str, Any]) -> Iterator[str]:
    after: dict[str, str] = {}
    while True:
        page = listed.list({"limit": 2, **filters, **after})
        yield from (one.id for one in page.data)
        if not page.has_more:
            return
        after = {"starting_after": page.data[-1].id}


def test_an_entry_names_its_source(api: Any, charge: Charge) -> None:
    intent = charge()
    found = api.balance_transactions.list({"source": intent.latest_charge, "expand": ["data.source"]}).data
    assert [(one.source.object, one.source.payment_intent) for one in found] == [("charge", intent.id)]
    read = api.balance_transactions.retrieve(found[0].id, {"expand": ["source"]})
    assert (read.source.id, read.source.amount_refunded) == (intent.latest_charge, 0)


def test_an_inquiry_moves_no_money(api: Any, charge: Charge) -> None:
    intent = charge("pm_card_createDisputeInquiry")
    [dispute] = until(lambda: api.disputes.list({"payment_intent": intent.id}).data)
    assert dispute.status.startswith("warning_")
    assert dispute.balance_transactions == []
