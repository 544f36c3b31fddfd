"""Writing down what Stripe told, for what the stand-in can't tell: coupons, tax, and payments that others have."""

from dataclasses import replace

import pytest
from django.db import OperationalError, transaction
from django.test import Client

from tests.books import assert_books
from tests.wallet.books import CENT, balance_cents
from tests.wallet.test_verdicts import PAID
from wallet import ledger, topups, transactions
from wallet.models import Code, TopUp, Transfer, Wallet
from wallet.stripe_api import Session


def opened(wallet: Wallet, session_id: str) -> tuple[TopUp, Session]:
    top_up = TopUp.objects.create(wallet=wallet, amount_cents=1000, session_id=session_id, state="open")
    order = str(top_up.pk)
    return top_up, replace(PAID, id=session_id, client_reference_id=order, top_up_id=order)


def test_a_coupon_over_all_of_it_is_paid_and_moves_nothing(alices: Wallet) -> None:
    opened(alices, "cs_other")  # without a payment, as this one
    top_up, session = opened(alices, "cs_free")
    free = replace(
        session,
        payment_status="no_payment_required",
        payment_intent_id=None,
        payment_intent_status=None,
        amount_discount=1000,
        amount_total=0,
    )
    assert topups.record(top_up.pk, free).top_up.state == TopUp.State.PAID
    assert not Transfer.objects.exists()
    assert_books()


def test_credit_and_tax_are_booked_both_or_neither(alices: Wallet) -> None:
    top_up, session = opened(alices, "cs_taxed")
    with transaction.atomic():
        ledger.post(
            code=Code.TAX,
            reference="tax:pi_1",
            debit=ledger.house("stripe_clearing"),
            credit=ledger.house("tax_payable"),
            amount_nanousd=1,
        )
    taxed = replace(session, amount_tax=190, amount_total=1190)
    assert topups.record(top_up.pk, taxed).top_up.state == TopUp.State.PARKED
    assert balance_cents(alices) == 0
    assert_books()


def test_one_payment_is_one_credit_whichever_top_up_names_it(alices: Wallet) -> None:
    first, session = opened(alices, "cs_1")
    second, same_payment = opened(alices, "cs_2")
    topups.record(first.pk, session)
    assert topups.record(second.pk, same_payment).top_up.state == TopUp.State.PARKED
    assert balance_cents(alices) == 1000
    assert_books()


def test_a_commit_that_got_lost_is_tried_once_more(alices: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    top_up, session = opened(alices, "cs_1")
    real, tries = topups.apply, []

    def lost_after_the_first(top_up_id: object, told: Session) -> TopUp:
        done = real(top_up.pk, told)
        tries.append(done.state)
        if len(tries) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return done

    monkeypatch.setattr(topups, "apply", lost_after_the_first)
    monkeypatch.setattr(transactions, "ATTEMPTS", 4)
    topups.record(top_up.pk, session)
    assert len(tries) == 2
    assert balance_cents(alices) == 1000
    assert Transfer.objects.filter(code="top_up").count() == 1
    assert_books()


def test_the_address_of_the_form_leads_to_the_wallet(as_alice: Client) -> None:
    response = as_alice.get("/wallet/top-ups/")
    assert (response.status_code, response["Location"]) == (302, "/wallet/")


def test_a_debit_that_the_bank_refused_stays_in_sight(alices: Wallet, as_alice: Client) -> None:
    TopUp.objects.create(wallet=alices, amount_cents=300, state="failed")
    for _ in range(25):
        TopUp.objects.create(wallet=alices, amount_cents=100, state="open", session_id=None)
    page = as_alice.get("/wallet/").content.decode()
    assert "Your bank did not pay" in page
    assert ledger.balances(alices).balance_nanousd == 0 * CENT
