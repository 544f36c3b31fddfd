"""Charging a saved card while nobody is there, and what declines leave behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import Receiver, Sandbox, payment, until
from tests.stripe_sandbox.saving import card, charging, customer_of, told


def declined(client: Any, given: Any, key: str | None = None) -> Any:
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(given, {"idempotency_key": key} if key else {})
    return caught.value


def test_a_saved_card_pays(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    method = card(shared, customer)
    given = charging(customer, method, expand=["latest_charge.balance_transaction"])
    intent = client.v1.payment_intents.create(given)
    assert (intent.status, intent.amount_received, intent.payment_method) == ("succeeded", 500, method)
    assert (intent.description, intent.metadata.to_dict()) == ("Automatic top-up", {"top_up": "9"})
    charge = intent.latest_charge
    assert (charge.status, charge.payment_method, charge.payment_method_details.card.last4) == (
        "succeeded",
        method,
        "4242",
    )
    # 2.9 % of five dollars is 14.5 cents, so 15, and 30 cents.
    entry = charge.balance_transaction
    assert (entry.amount, entry.fee, entry.net) == (500, 45, 455)
    assert told(client, customer)[-3:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


@pytest.mark.parametrize(
    ("name", "code", "decline_code"),
    [
        ("declines_later", "card_declined", "generic_decline"),
        ("authenticates", "authentication_required", "authentication_required"),
        ("expires_later", "expired_card", "expired_card"),
    ],
)
def test_a_decline_leaves_the_intent_waiting(
    shared: Sandbox, client: Any, name: str, code: str, decline_code: str
) -> None:
    customer = customer_of(client)
    method = card(shared, customer, name)
    error = declined(client, charging(customer, method))
    assert (error.http_status, error.code, error.error.decline_code) == (402, code, decline_code)
    assert error.error.payment_method.id == method
    intent = client.v1.payment_intents.retrieve(error.error.payment_intent.id)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error.code == code
    charge = client.v1.charges.retrieve(error.error.charge)
    assert (charge.status, charge.payment_intent, charge.balance_transaction) == ("failed", intent.id, None)
    assert told(client, customer)[-3:] == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    assert told(client, customer)[-1] == "payment_intent.canceled"


@pytest.mark.parametrize(
    ("outcome", "code", "decline_code"),
    [
        ("insufficient_funds", "card_declined", "insufficient_funds"),
        ("lost", "card_declined", "lost_card"),
        ("authentication", "authentication_required", "authentication_required"),
        ("expired", "expired_card", "expired_card"),
    ],
)
def test_a_good_card_turns_bad(
    shared: Sandbox, client: Any, outcome: str, code: str, decline_code: str
) -> None:
    customer = customer_of(client)
    method = card(shared, customer)
    client.v1.payment_intents.create(charging(customer, method))
    shared.command(f"payment_methods/{method}/behave", outcome=outcome)
    error = declined(client, charging(customer, method)).error
    assert (error.code, error.decline_code) == (code, decline_code)


def test_a_decline_is_stored_under_its_key(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    method = card(shared, customer, "declines_later")
    first = declined(client, charging(customer, method), f"{customer}-1")
    shared.command(f"payment_methods/{method}/behave", outcome="succeeds")
    again = declined(client, charging(customer, method), f"{customer}-1")
    assert again.error.payment_intent.id == first.error.payment_intent.id
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.payment_intents.list({"customer": customer}).data) == 1
    given = charging(customer, method)
    made = client.v1.payment_intents.create(given, {"idempotency_key": f"{customer}-2"})
    assert made.status == "succeeded"


def test_a_declined_intent_is_confirmed_with_another_card(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    key = declined(
        client, charging(customer, card(shared, customer, "declines_later"))
    ).error.payment_intent.id
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        client.v1.payment_intents.confirm(key)
    other = card(shared, customer)
    intent = client.v1.payment_intents.confirm(key, {"payment_method": other, "off_session": True})
    assert (intent.status, intent.last_payment_error) == ("succeeded", None)
    for verb in (client.v1.payment_intents.confirm, client.v1.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            verb(key)
        assert caught.value.code == "payment_intent_unexpected_state"
        error: Any = caught.value.error
        assert error.payment_intent.id == key


def test_an_intent_is_made_first_and_confirmed_then(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    method = card(shared, customer, "authenticates")
    given = charging(customer, method, confirm=False, off_session=False)
    intent = client.v1.payment_intents.create(given)
    assert intent.status == "requires_confirmation"
    # With the person there, the bank asks instead of declining.
    assert client.v1.payment_intents.confirm(intent.id).status == "requires_action"
    assert told(client, customer)[-1] == "payment_intent.requires_action"
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"


def test_a_card_past_its_month_is_expired(own: Sandbox) -> None:
    client: Any = own.client()
    customer = customer_of(client)
    method = card(own, customer)
    own.command(f"payment_methods/{method}/renew", exp_year=2025)
    assert declined(client, charging(customer, method)).code == "expired_card"


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Sandbox]:
    """Its banks answer after an hour, so in a test only when told to."""
    with Sandbox(tmp_path, "--bank-delay", "3600").running() as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("outcome", "status", "last"),
    [
        ({}, "succeeded", "payment_intent.succeeded"),
        ({"outcome": "fails"}, "requires_payment_method", "payment_intent.payment_failed"),
    ],
)
def test_a_payment_takes_its_time(patient: Sandbox, outcome: Any, status: str, last: str) -> None:
    client: Any = patient.client()
    customer = customer_of(client)
    intent = client.v1.payment_intents.create(charging(customer, card(patient, customer, "processing")))
    assert intent.status == "processing"
    assert told(client, customer)[-1] == "payment_intent.processing"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.cancel(intent.id)
    patient.command(f"payment_intents/{intent.id}/settle", **outcome)
    assert client.v1.payment_intents.retrieve(intent.id).status == status
    assert told(client, customer)[-1] == last
    reply = patient.request("POST", f"/_sandbox/payment_intents/{intent.id}/settle")
    assert reply.status == 400


def test_a_pending_payment_ends_by_itself(own: Sandbox, receiver: Receiver) -> None:
    client: Any = own.client()
    customer = customer_of(client)
    intent = client.v1.payment_intents.create(charging(customer, card(own, customer, "processing_fails")))
    [failed] = until(lambda: receiver.events("payment_intent.payment_failed"))
    assert failed["data"]["object"]["id"] == intent.id
    assert failed["request"] == {"id": None, "idempotency_key": None}


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"amount": 49}, "amount", "amount_too_small"),
        ({"amount": 100_000_000}, "amount", "amount_too_large"),
        ({"currency": "eur"}, "currency", "sandbox_unsupported"),
        ({"confirm": False}, "off_session", None),
        ({"payment_method": "pm_no"}, "payment_method", "resource_missing"),
        ({"customer": "cus_no"}, "customer", "resource_missing"),
        ({"payment_method_types": ["card"]}, "payment_method_types",
         "payment_method_types_no_longer_supported"),
        ({"automatic_payment_methods": {"enabled": True}}, "allowed_payment_method_types", None),
        ({"metdata": {"a": "b"}}, "metdata", "parameter_unknown"),
    ],
)  # fmt: skip
def test_a_bad_intent_is_refused_by_name(
    shared: Sandbox, client: Any, changes: Any, param: str, code: str | None
) -> None:
    customer = customer_of(client)
    method = card(shared, customer)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(charging(customer, method) | changes)
    assert (caught.value.http_status, caught.value.param, caught.value.code) == (400, param, code)
    assert client.v1.payment_intents.list({"customer": customer}).data == []


def test_a_card_is_charged_for_its_customer_only(shared: Sandbox, client: Any) -> None:
    alice, bob = customer_of(client), customer_of(client)
    theirs = card(shared, bob)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(charging(alice, theirs))
    assert caught.value.param == "payment_method"
    nobody = charging(alice, theirs)
    del nobody["customer"]
    with pytest.raises(stripe.InvalidRequestError, match="belongs to the Customer"):
        client.v1.payment_intents.create(nobody)
    client.v1.payment_methods.detach(theirs)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(charging(bob, theirs))
    assert caught.value.code == "payment_method_unexpected_state"
    assert client.v1.charges.list({"customer": bob}).data == []


def test_the_intent_of_a_session_is_left_alone(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(payment())
    shared.command(f"sessions/{session.id}/pay", method="declined")
    intent = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    for verb in (client.v1.payment_intents.confirm, client.v1.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError, match="created by a Checkout Session"):
            verb(intent)


def test_a_payment_saves_its_card_for_later(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    data = {"setup_future_usage": "off_session"}
    session = client.v1.checkout.sessions.create(payment(customer=customer, payment_intent_data=data))
    shared.command(f"sessions/{session.id}/pay", method="card")
    [method] = client.v1.payment_methods.list({"customer": customer}).data
    assert told(client, customer).count("payment_method.attached") == 1
    assert client.v1.payment_intents.create(charging(customer, method.id)).status == "succeeded"
    plain = client.v1.checkout.sessions.create(payment(customer=customer))
    shared.command(f"sessions/{plain.id}/pay", method="card")
    assert len(client.v1.payment_methods.list({"customer": customer}).data) == 1
