"""Somebody whose wallet is suspended is told so, and can't start to pay; what they paid before is credited."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.test_topups import pay, started
from wallet import stripe_api, topups
from wallet.models import StripeCustomer, TopUp, Wallet
from wallet.wallets import Suspended

TOP_UPS = "/wallet/top-ups/"
NOTICE = "Your wallet is suspended."
FORM = f'action="{TOP_UPS}"'


def suspend(wallet: Wallet) -> None:
    Wallet.objects.filter(pk=wallet.pk).update(suspended_at=timezone.now())


@pytest.mark.parametrize("address", ["/wallet/", "/tokens/"])
def test_the_pages_say_so_and_whom_to_ask(
    alices: Wallet, as_alice: Client, settings: Any, address: str
) -> None:
    settings.SUPPORT_EMAIL = "desk@example.com"
    before = as_alice.get(address).text
    assert NOTICE not in before
    assert "desk@example.com" not in before
    suspend(alices)
    page = as_alice.get(address).text
    assert NOTICE in page
    assert "Calls with your keys are refused" in page
    assert 'href="mailto:desk@example.com"' in page


def test_the_form_to_top_up_is_gone(alices: Wallet, as_alice: Client) -> None:
    assert FORM in as_alice.get("/wallet/").text
    suspend(alices)
    assert FORM not in as_alice.get("/wallet/").text


def test_a_form_that_was_open_is_refused_and_stripe_hears_nothing(
    alices: Wallet, as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    for question in ("create_session", "create_customer", "session"):
        monkeypatch.setattr(stripe_api, question, lambda *_, **more: asked.append(more))
    suspend(alices)
    answer = as_alice.post(TOP_UPS, {"amount": "10", "form_id": str(uuid4())})
    assert answer.status_code == 403
    assert "no payment was started. Nothing was charged." in answer.text
    assert (asked, TopUp.objects.count(), StripeCustomer.objects.count()) == ([], 0, 0)


def test_the_same_form_sent_again_leads_to_no_page(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    form = str(uuid4())
    assert topups.start(alices, 100, form).page_url
    suspend(alices)
    with pytest.raises(Suspended):
        topups.start(alices, 100, form)


def test_a_page_that_was_open_is_offered_no_more_but_what_was_paid_on_it_is_credited(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices, 250)
    address = f"{TOP_UPS}{top_up.pk}/"
    assert "Continue to payment" in as_alice.get(address).text
    suspend(alices)
    page = as_alice.get(address).text
    assert "Continue to payment" not in page
    assert "so this payment can't be made now" in page
    pay(stripe_at_hand, top_up)
    assert "$2.50 arrived" in as_alice.get(address).text
    assert balance_cents(alices) == 250


def test_a_reinstated_wallet_takes_money_again(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    suspend(alices)
    Wallet.objects.update(suspended_at=None)
    assert as_alice.post(TOP_UPS, {"amount": "10"}).status_code == 303
