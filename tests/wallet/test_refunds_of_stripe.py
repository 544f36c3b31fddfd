"""Refunds that nobody asked for here, and events about refunds in any order."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client

from tests.books import assert_books
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.refunding import at_stripe, house_cents, in_dashboard, move, only, paid
from tests.wallet.test_topups import pay, started
from wallet import events, invariants, ledger, refunds, stripe_api
from wallet.models import Code, Refund, StripeEvent, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.refunds import requests
from wallet.topups import crediting
from wallet.topups.verdicts import Parked, Verdict

State = Refund.State


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> Iterator[None]:
    yield
    assert_books()
    assert invariants.check() == []


def hear(kind: str, object_id: str, number: int = 1, **payload: Any) -> StripeEvent:
    """An event as the inbox handles it."""
    body = {"data": {"object": {"id": object_id, **payload}}}
    kept = StripeEvent.objects.create(
        id=f"evt_{kind}_{number}", type=kind, object_id=object_id, livemode=False, payload=body
    )
    assert events.handle(kept.pk)
    kept.refresh_from_db()
    return kept


def charge_of(sandbox: Sandbox, top_up: TopUp) -> str:
    query = f"payment_intent={top_up.payment_intent_id}"
    return str(sandbox.request("GET", f"/v1/charges?{query}").json["data"][0]["id"])


KINDS = ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]


def test_every_event_of_it_books_it_once(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    refund_id = in_dashboard(stripe_at_hand, top_up, 250)
    states = [hear(kind, refund_id).state for kind in KINDS]
    states.append(hear("charge.refunded", charge_of(stripe_at_hand, top_up)).state)
    assert states == ["handled"] * 5
    row = only(alices)
    assert (row.origin, row.state, row.amount_cents) == ("stripe", State.SUCCEEDED, 250)
    assert balance_cents(alices) == 750
    page = as_alice.get(f"/wallet/refunds/{row.request_id}/").content.decode()
    assert "We made this refund" in page
    assert f"/wallet/refunds/{row.request_id}/" in as_alice.get("/wallet/").content.decode()


def test_several_on_one_charge_are_each_booked(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """The charge says what is refunded in all; that is no amount to book."""
    top_up = paid(stripe_at_hand, alices)
    charge = charge_of(stripe_at_hand, top_up)
    for number, cents in enumerate((100, 200, 300)):
        in_dashboard(stripe_at_hand, top_up, cents)
        assert hear("charge.refunded", charge, number).state == "handled"
    assert sorted(Refund.objects.values_list("amount_cents", flat=True)) == [100, 200, 300]
    assert balance_cents(alices) == 400


def test_a_wallet_may_go_below_zero_by_it(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    with transaction.atomic():
        ledger.post(
            code=Code.CORRECTION,
            reference="used",
            debit=ledger.paid(alices),
            credit=ledger.house("adjustments"),
            amount_nanousd=900 * CENT,
        )
    hear("refund.created", in_dashboard(stripe_at_hand, top_up, 1000))
    assert balance_cents(alices) == -900


def test_one_that_failed_before_it_was_heard_of(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    refund_id = in_dashboard(stripe_at_hand, top_up, 400)
    move(stripe_at_hand, refund_id, "fail")
    for kind in KINDS:
        hear(kind, refund_id)
    row = only(alices)
    assert (row.state, row.left_wallet, balance_cents(alices)) == (State.FAILED, False, 1000)
    assert row.problem == "The bank could not take it. Nothing had left the wallet for it."
    assert not alices.transfers.exclude(code=Code.TOP_UP).exists()
    assert (house_cents("refunds_pending"), mail.outbox, requests.to_see(alices)) == (0, [], [])


def test_the_tax_of_it_is_its_share(alices: Wallet) -> None:
    """$10.00 and $1.90 tax. $3.57 in the dashboard are $3.00 and $0.57; the rest asked for here is $7.00 and $1.33."""
    top_up = taxed(alices, 1000, 190)
    told = stripe_refund(top_up, 357)
    refunds.record(told)
    refunds.record(told)
    row = only(alices)
    assert (row.amount_cents, row.tax_cents) == (300, 57)
    request_id = refunds.start(alices, 700)
    rest = Refund.objects.get(request_id=request_id)
    assert (rest.amount_cents, rest.tax_cents) == (700, 133)
    assert (balance_cents(alices), house_cents("tax_payable")) == (0, 0)
    refunds.give_up(rest.pk, "It came to nothing.")
    assert (balance_cents(alices), house_cents("tax_payable")) == (700, 133)


def test_a_refund_told_before_its_payment_finds_it(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe_at_hand, top_up)
    session = stripe_api.session(str(top_up.session_id))
    in_dashboard(stripe_at_hand, replace_payment(top_up, session.payment_intent_id), 300)
    refund_id = at_stripe(stripe_at_hand, top_up)[0]["id"]
    assert hear("refund.created", refund_id).state == "handled"
    assert balance_cents(alices) == 700


def test_of_an_unknown_payment_it_is_parked_and_picked_up_later(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    payment, session = top_up.payment_intent_id, top_up.session_id
    refund_id = in_dashboard(stripe_at_hand, top_up, 300)
    # As long as the order is nobody's here.
    TopUp.objects.filter(pk=top_up.pk).update(payment_intent_id=None, session_id="cs_other", state="open")
    event = hear("refund.created", refund_id, payment_intent=payment)
    assert event.state == "parked"
    assert refunds.UNKNOWN_PAYMENT in event.error
    assert refund_asking.hear_again() == 0
    TopUp.objects.filter(pk=top_up.pk).update(payment_intent_id=payment, session_id=session, state="paid")
    assert refund_asking.hear_again() == 1
    event.refresh_from_db()
    assert (event.state, event.handled_at) == ("pending", None)
    assert events.handle(event.pk)
    event.refresh_from_db()
    assert (event.state, balance_cents(alices)) == ("handled", 700)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"status": "reversed"}, "has the status reversed"),
        ({"status": None}, "has the status None"),
        ({"currency": "eur"}, "is of eur, not usd"),
        ({"payment_intent_id": "pi_other"}, "is of no payment that is known here"),
        ({"payment_intent_id": None, "charge_id": None}, "is of no payment that is known here"),
    ],
)
def test_what_is_not_understood_is_parked(alices: Wallet, change: dict[str, Any], sentence: str) -> None:
    told = replace(stripe_refund(taxed(alices, 1000, 0), 300), **change)
    with pytest.raises(Parked, match=sentence):
        refunds.record(told)
    assert balance_cents(alices) == 1000
    assert not Refund.objects.exists()


def test_a_status_that_nobody_knows_parks_its_event(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    refund_asking.settle_request(refunds.start(alices, 400))
    row = only(alices)
    move(stripe_at_hand, row.refund_id, "set", status="reversed")
    event = hear("refund.updated", str(row.refund_id))
    assert event.state == "parked"
    assert "reversed" in event.error
    assert (only(alices).state, balance_cents(alices)) == (State.SUCCEEDED, 600)


def test_of_another_livemode_it_is_parked(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    refund_id = in_dashboard(stripe_at_hand, paid(stripe_at_hand, alices), 300)
    kept = StripeEvent.objects.create(
        id="evt_live", type="refund.created", object_id=refund_id, livemode=True, payload={}
    )
    assert events.handle(kept.pk)
    kept.refresh_from_db()
    assert (kept.state, balance_cents(alices)) == ("parked", 1000)


def test_our_mark_on_another_refund_is_not_ours(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """Metadata can be copied by hand; what else does not fit is a refund of its own."""
    top_up = paid(stripe_at_hand, alices)
    ours = Refund.objects.get(request_id=refunds.start(alices, 400))
    copied = replace(stripe_refund(top_up, 100), row_id=str(ours.pk))
    refunds.record(copied)
    refund_asking.settle(ours.pk)
    assert sorted(Refund.objects.values_list("origin", "amount_cents", "state")) == [
        ("owner", 400, "succeeded"),
        ("stripe", 100, "succeeded"),
    ]
    assert balance_cents(alices) == 500


def test_one_that_comes_after_it_was_given_up_is_booked(alices: Wallet) -> None:
    top_up = taxed(alices, 1000, 0)
    ours = Refund.objects.get(request_id=refunds.start(alices, 400))
    refunds.give_up(ours.pk, "Stripe did not do it.")
    assert balance_cents(alices) == 1000
    refunds.record(replace(stripe_refund(top_up, 400), row_id=str(ours.pk)))
    assert balance_cents(alices) == 600


def test_what_staff_took_back_by_hand_is_not_taken_twice(alices: Wallet) -> None:
    top_up = taxed(alices, 1000, 0)
    with transaction.atomic():
        credit = alices.transfers.get(code="top_up")
        ledger.post(
            code=Code.CORRECTION,
            reference="correction:1",
            debit=credit.credit_account,
            credit=credit.debit_account,
            amount_nanousd=credit.amount_nanousd,
            corrects=credit,
        )
    assert refunds.overview(alices).payments == ()
    with pytest.raises(Parked, match="took back by a correction"):
        refunds.record(stripe_refund(top_up, 1000))
    assert balance_cents(alices) == 0
    # Of which nothing came after all.
    for status in ("failed", "canceled"):
        row = refunds.record(replace(stripe_refund(top_up, 1000), status=status))
        assert (row.state, row.left_wallet) == (State.FAILED, False)
    assert (Refund.objects.count(), balance_cents(alices)) == (1, 0)


def returned(top_up: TopUp, cents: int = 1000) -> stripe_api.StripeRefund:
    """A debit that a bank took back, of which Stripe's books tell."""
    return replace(stripe_refund(top_up, cents), id="txn_1", transaction_id="txn_1")


@pytest.mark.parametrize("named", ["txn_1", None])
def test_a_returned_debit_of_which_stripe_makes_a_refund_later_is_booked_once(
    alices: Wallet, named: str | None
) -> None:
    top_up = taxed(alices, 1000, 0)
    row = refunds.record(returned(top_up))
    told = replace(stripe_refund(top_up, 1000), transaction_id=named)
    assert refunds.record(told).pk == refunds.record(told).pk == row.pk
    row = only(alices)
    assert (row.refund_id, row.transaction_id, balance_cents(alices)) == ("re_1", "txn_1", 0)
    # Should its return be told once more, or come to nothing.
    assert refunds.record(returned(top_up)).pk == row.pk
    refunds.record(replace(told, status="failed", transaction_id="txn_1"))
    assert (only(alices).refund_id, balance_cents(alices)) == ("re_1", 1000)


def test_a_refund_that_stripe_made_of_a_returned_debit_before_is_booked_once(alices: Wallet) -> None:
    top_up = taxed(alices, 1000, 0)
    row = refunds.record(replace(stripe_refund(top_up, 1000), transaction_id="txn_1"))
    assert refunds.record(returned(top_up)).pk == row.pk
    assert balance_cents(alices) == 0


def test_another_movement_is_another_refund(alices: Wallet) -> None:
    top_up = taxed(alices, 1000, 0)
    refunds.record(returned(top_up, 400))
    refunds.record(replace(stripe_refund(top_up, 400), transaction_id="txn_2"))
    assert balance_cents(alices) == 200


def taxed(wallet: Wallet, received: int, tax: int) -> TopUp:
    """A payment in the books, as its credit is posted."""
    top_up = TopUp.objects.create(
        wallet=wallet,
        amount_cents=received,
        session_id="cs_1",
        payment_intent_id="pi_1",
        charge_id="ch_1",
        state="paid",
        received_cents=received,
        tax_cents=tax,
    )
    with transaction.atomic():
        verdict = Verdict(TopUp.State.PAID, received_cents=received, tax_cents=tax)
        crediting.credit(top_up, verdict, payment_intent_id="pi_1", charge_id=None, session_id="cs_1")
    return top_up


def stripe_refund(top_up: TopUp, cents: int) -> stripe_api.StripeRefund:
    return stripe_api.StripeRefund(
        "re_1", "succeeded", cents, "usd", top_up.charge_id, top_up.payment_intent_id
    )


def replace_payment(top_up: TopUp, payment: str | None) -> TopUp:
    """The row as it would be, were its payment known; not saved."""
    top_up.payment_intent_id = payment
    return top_up
