"""The rule of what a session means, on sessions that the stand-in can't show."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from wallet.models import TopUp
from wallet.stripe_api import Session
from wallet.topups.verdicts import judge

State = TopUp.State

ORDER = UUID("0190a7e2-0000-7000-8000-000000000001")
PAID = Session(
    id="cs_1",
    status="complete",
    payment_status="paid",
    mode="payment",
    currency="usd",
    amount_subtotal=1000,
    amount_total=1000,
    amount_tax=0,
    amount_discount=0,
    livemode=False,
    client_reference_id=str(ORDER),
    top_up_id=str(ORDER),
    payment_intent_id="pi_1",
    payment_intent_status="succeeded",
    presentment_amount=None,
    presentment_currency=None,
    is_converted=False,
    url=None,
)


def verdict(**changes: Any) -> tuple[str, int | None, int | None]:
    top_up = TopUp(pk=ORDER, amount_cents=1000, session_id="cs_1")
    found = judge(replace(PAID, **changes), top_up, livemode=False)
    assert bool(found.problem) == (found.state == State.PARKED)
    return found.state, found.received_cents, found.tax_cents


PARKED = (State.PARKED, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (State.PAID, 1000, 0)),
        ({"presentment_amount": 900, "presentment_currency": "eur"}, (State.PAID, 1000, 0)),
        ({"amount_discount": 300, "amount_total": 700}, (State.PAID, 700, 0)),
        ({"amount_tax": 190, "amount_total": 1190}, (State.PAID, 1000, 190)),
        ({"amount_tax": 133, "amount_discount": 300, "amount_total": 833}, (State.PAID, 700, 133)),
    ],
)
def test_what_was_received_is_credited(changes: dict[str, Any], expected: Any) -> None:
    assert verdict(**changes) == expected


def test_a_coupon_over_all_of_it_brings_nothing() -> None:
    free = {"payment_status": "no_payment_required", "payment_intent_id": None, "payment_intent_status": None}
    assert verdict(**free, amount_discount=1000, amount_total=0) == (State.PAID, 0, 0)
    assert verdict(**free) == PARKED
    assert verdict(**free, status="open") == (State.OPEN, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_subtotal": 999},
        {"amount_subtotal": 1001},
        {"amount_subtotal": 10_000, "amount_total": 10_000},
        {"amount_subtotal": None},
        {"amount_total": 999},
        {"amount_total": 1001},
        {"amount_total": 0},
        {"amount_total": -1000},
        {"amount_total": None},
        {"amount_discount": 1200, "amount_total": -200},
        {"amount_discount": -100, "amount_total": 1100},
        {"amount_tax": -100, "amount_total": 900},
        {"currency": "jpy"},
        {"currency": "eur"},
        {"currency": "USD"},
        {"currency": None},
        {"is_converted": True},
        {"livemode": True},
        {"mode": "setup"},
        {"mode": "subscription"},
        {"client_reference_id": None},
        {"client_reference_id": "somebody else"},
        {"top_up_id": None},
        {"id": "cs_2"},
        {"payment_intent_id": None},
        {"status": "a status of the future"},
        {"status": None},
        {"payment_status": "partially_paid"},
        {"status": "open"},
        {"status": "expired"},
        {"payment_status": "unpaid", "payment_intent_status": "a status of the future"},
        {"payment_status": "unpaid", "payment_intent_status": "requires_capture"},
        {"payment_status": "unpaid", "payment_intent_status": None},
    ],
)
def test_what_does_not_add_up_is_parked(changes: dict[str, Any]) -> None:
    assert verdict(**changes) == PARKED


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"status": "open", "payment_status": "unpaid"}, State.OPEN),
        ({"status": "expired", "payment_status": "unpaid"}, State.EXPIRED),
        ({"payment_status": "unpaid", "payment_intent_status": "processing"}, State.PENDING),
        ({"payment_status": "unpaid", "payment_intent_status": "requires_action"}, State.PENDING),
        ({"payment_status": "unpaid", "payment_intent_status": "succeeded"}, State.PENDING),
        ({"payment_status": "unpaid", "payment_intent_status": "requires_payment_method"}, State.FAILED),
        ({"payment_status": "unpaid", "payment_intent_status": "canceled"}, State.FAILED),
    ],
)
def test_what_is_not_paid_moves_nothing(changes: dict[str, Any], state: State) -> None:
    to_come = (1000, 0) if state == State.PENDING else (None, None)
    assert verdict(**changes) == (state, *to_come)
