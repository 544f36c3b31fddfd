"""Payments that are not simply a card and an amount: coupons, tax, other currencies, receipts and invoices, over HTTP."""

import re
import urllib.request
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.test_topups import started
from wallet import history, ledger, stripe_api, tasks, topups
from wallet.models import Code, TopUp, Transfer, Wallet
from wallet.stripe_api import StripeUnavailable
from wallet.topups import proofs
from wallet.topups.presentment import presented

State = TopUp.State


def paid(sandbox: Sandbox, wallet: Wallet, cents: int = 1000, method: str = "card", **chosen: str) -> TopUp:
    top_up = started(wallet, cents)
    sandbox.command(f"sessions/{top_up.session_id}/pay", method=method, **chosen)
    return topups.settle(top_up.pk).top_up


def page_of(client: Client, top_up: TopUp) -> str:
    return client.get(f"/wallet/top-ups/{top_up.pk}/").content.decode()


def test_a_promotion_code_lowers_the_credit_to_what_was_paid(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_PROMOTION_CODES = True
    top_up = paid(stripe_at_hand, alices, coupon="SAVE25")
    assert (top_up.state, top_up.received_cents, top_up.tax_cents) == (State.PAID, 750, 0)
    assert balance_cents(alices) == 750
    page = page_of(as_alice, top_up)
    sentence = "$10.00 less $2.50 by a promotion code: $7.50 paid, $7.50 added."
    assert sentence in page
    assert re.search(r'Added to your wallet</dt>\s*<dd class="num">\$7.50', page)
    assert sentence in as_alice.get("/wallet/").text, "the history says so too"


def test_a_code_over_all_of_it_ends_as_paid_and_moves_nothing(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_PROMOTION_CODES = True
    top_up = paid(stripe_at_hand, alices, coupon="FREE100")
    assert (top_up.state, top_up.received_cents, top_up.payment_intent_id) == (State.PAID, 0, None)
    assert not Transfer.objects.exists()
    assert balance_cents(alices) == 0
    page = page_of(as_alice, top_up)
    assert "Nothing to pay" in page
    assert "A promotion code covered the whole $10.00, so you paid nothing, and nothing was added" in page
    assert ">Paid</h1>" not in page
    assert tasks.settle_open_top_ups() is None  # nothing is looked for that can't be there


def test_the_form_says_beforehand_that_credit_is_what_is_paid(
    alices: Wallet, as_alice: Client, settings: Any
) -> None:
    sentence = "A promotion code lowers what you pay, and with it what is added"
    assert sentence not in as_alice.get("/wallet/").text
    settings.STRIPE_PROMOTION_CODES = True
    assert sentence in as_alice.get("/wallet/").text


def test_without_the_setting_no_code_is_taken(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    session = stripe_at_hand.client().v1.checkout.sessions.retrieve(str(started(alices).session_id))
    assert session.allow_promotion_codes is None
    assert session.automatic_tax.enabled is False
    assert session.invoice_creation is None or session.invoice_creation.enabled is False


def test_tax_comes_on_top_and_is_no_credit(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    assert "Tax may come on top" not in as_alice.get("/wallet/").text
    settings.STRIPE_TAX = True
    assert "Tax may come on top" in as_alice.get("/wallet/").text
    top_up = paid(stripe_at_hand, alices, country="DE")
    assert (top_up.received_cents, top_up.tax_cents) == (1000, 190)
    assert balance_cents(alices) == 1000
    tax = Transfer.objects.get(code=Code.TAX)
    assert tax.reference == f"tax:{top_up.payment_intent_id}"
    assert (tax.amount_nanousd, tax.credit_account) == (190 * CENT, ledger.house("tax_payable"))
    assert re.search(r'Tax, on top</dt>\s*<dd class="num">\$1.90', page_of(as_alice, top_up))
    assert re.search(r'You paid in all</dt>\s*<dd class="num">\$11.90', page_of(as_alice, top_up))
    session = stripe_at_hand.client().v1.checkout.sessions.retrieve(str(top_up.session_id))
    assert (session.amount_subtotal, session.amount_total) == (1000, 1190)


def test_tax_and_a_discount_at_once(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_TAX = settings.STRIPE_PROMOTION_CODES = True
    top_up = paid(stripe_at_hand, alices, country="DE", coupon="SAVE25")
    session = stripe_api.session(str(top_up.session_id))
    assert top_up.state == State.PAID
    assert top_up.received_cents == 750
    assert session.amount_total == 750 + session.amount_tax
    assert top_up.tax_cents == session.amount_tax > 0
    page, tax = page_of(as_alice, top_up), top_up.tax_cents
    assert re.search(r'Promotion code</dt>\s*<dd class="num">-\$2.50', page)
    assert f"code: ${7.5 + tax / 100:.2f} paid with ${tax / 100:.2f} of tax, $7.50 added." in page
    assert balance_cents(alices) == 750


def test_a_bank_that_pays_the_tax_too_days_later(
    alices: Wallet, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_TAX = True
    top_up = paid(stripe_at_hand, alices, method="bank", country="DE")
    assert (top_up.state, top_up.receipt_url, top_up.charge_id) == (State.PENDING, "", None)
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    top_up = topups.settle(top_up.pk).top_up
    assert (top_up.state, top_up.received_cents, top_up.tax_cents) == (State.PAID, 1000, 190)
    assert top_up.charge_id
    assert balance_cents(alices) == 1000


def test_who_pays_in_another_currency_is_credited_in_dollars_and_sees_what_they_paid(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices, currency="eur")
    assert (top_up.state, top_up.received_cents, top_up.presentment_currency) == (State.PAID, 1000, "eur")
    assert balance_cents(alices) == 1000
    words = presented(top_up.presentment_amount, "eur")
    assert re.fullmatch(r"€\d+\.\d\d", words)
    assert re.search(rf'You paid</dt>\s*<dd class="num">{re.escape(words)}<', page_of(as_alice, top_up))
    assert f"You paid {words}." in as_alice.get("/wallet/").content.decode()
    [movement] = history.page(alices).movements
    assert (movement.change_nanousd, movement.story.paid) == (1000 * CENT, words)


def test_the_receipt_and_the_invoice_are_linked_and_open(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_INVOICES = True
    top_up = paid(stripe_at_hand, alices)
    assert str(top_up.charge_id).startswith("ch_")
    links = proofs.links(top_up)
    assert [link.name for link in links] == ["Receipt", "Invoice"]
    for page in (page_of(as_alice, top_up), as_alice.get("/wallet/").content.decode()):
        for link in links:
            assert f'href="{link.url}" rel="noopener noreferrer"' in page
    for link in links:
        with urllib.request.urlopen(link.url, timeout=5) as answer:  # noqa: S310 - the stand-in's
            assert answer.status == 200


def lose_papers(top_up: TopUp, *, minutes_ago: int = 11) -> None:
    ago = timezone.now() - timedelta(minutes=minutes_ago)
    TopUp.objects.filter(pk=top_up.pk).update(
        charge_id=None, receipt_url="", invoice_url="", checked_at=ago, paid_at=ago
    )


def test_papers_that_came_later_are_filled_in_by_the_clock(
    alices: Wallet, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_INVOICES = True
    top_up = paid(stripe_at_hand, alices)
    papers = (top_up.charge_id, top_up.receipt_url, top_up.invoice_url)
    lose_papers(top_up, minutes_ago=5)
    assert proofs.fill_missing() == 0
    lose_papers(top_up)
    tasks.settle_open_top_ups()
    top_up.refresh_from_db()
    assert (top_up.charge_id, top_up.receipt_url, top_up.invoice_url) == papers
    assert proofs.fill_missing() == 0
    assert balance_cents(alices) == 1000


def test_papers_that_came_later_are_filled_in_by_whoever_looks_next(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    lose_papers(top_up)
    topups.record(top_up.pk, stripe_api.session(str(top_up.session_id)))
    top_up.refresh_from_db()
    assert top_up.charge_id
    lose_papers(top_up)
    assert ">At Stripe</a>" in page_of(as_alice, top_up)


def test_a_stripe_that_is_away_leaves_the_page_as_it_is(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any, caplog: Any
) -> None:
    top_up = paid(stripe_at_hand, alices)
    lose_papers(top_up)
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    assert proofs.fill_missing() == 0
    assert "the receipt of top-up" in caplog.text
    lose_papers(top_up)
    assert "<h1>Paid</h1>" in page_of(as_alice, top_up)
    with pytest.raises(StripeUnavailable):
        proofs.look_again(top_up.pk)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://pay.stripe.com/receipts/1",
        "https://stripe.com.example.com/receipts/1",
        "https://evilstripe.com/1",
        "https://pay.stripe.com@example.com/1",
        "https://pay.stripe.com:8443/1",
        "https://example.com\\.stripe.com/1",
        "https://example.com\\@pay.stripe.com/1",
        "//pay.stripe.com/1",
        "https://pay.stripe.com:x/1",
        "https://[::1",
        "https://pay.strіpe.com/1",
        "https://pay.stripe.com/ 1",
        "data:text/html,1",
        "https://",
        "",
    ],
)
def test_only_links_to_stripe_are_links(url: str) -> None:
    top_up = TopUp(receipt_url=url, invoice_url=url)
    assert proofs.links(top_up) == []
    proofs.note(other := TopUp(), None, url, url)
    assert (other.receipt_url, other.invoice_url) == ("", "")


@pytest.mark.parametrize(
    "url",
    ["https://pay.stripe.com/receipts/payment/CAcQARoXChV", "https://invoice.stripe.com/i/acct_1/test_2"],
)
def test_links_to_stripe_are_links(url: str, settings: Any) -> None:
    assert [link.url for link in proofs.links(TopUp(receipt_url=url))] == [url]
    other = "http://127.0.0.1:8001/receipts/1"
    settings.STRIPE_API_BASE = "http://127.0.0.1:8001"
    assert proofs.leads_to_stripe(other)
    settings.STRIPE_API_BASE = "https://api.stripe.com"
    assert not proofs.leads_to_stripe(other)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (931, "eur", "€9.31"),
        (5, "gbp", "£0.05"),
        (1450, "jpy", "¥1,450"),
        (123_456, "chf", "1,234.56 CHF"),
        (9_310, "kwd", "9.310 KWD"),
        (0, "eur", "€0.00"),
        (None, "eur", ""),
        (931, "", ""),
    ],
)
def test_what_was_paid_is_written_as_its_currency_is_counted(
    amount: int | None, currency: str, words: str
) -> None:
    assert presented(amount, currency) == words


def test_what_was_given_back_since_is_said_and_leads_to_the_refund(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    page = page_of(as_alice, top_up)
    assert "given back" not in page.lower()
    refund = as_alice.post("/wallet/refunds/", {"amount": "3.50"})["Location"]
    page = page_of(as_alice, top_up)
    assert "Of that, $3.50 left your wallet again" in page
    assert re.search(rf'Given back</dt>\s*<dd class="num"><a href="{refund}">\$3.50</a>', page)
    as_alice.post("/wallet/refunds/", {"amount": "6.50"})
    assert "<h1>Paid, and given back</h1>" in page_of(as_alice, top_up)


def test_a_receipt_that_can_not_be_kept_holds_up_no_other(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (paid(stripe_at_hand, alices, cents) for cents in (500, 600))
    TopUp.objects.update(charge_id=None, receipt_url="", checked_at=None)
    real = proofs.look_again

    def broken(top_up_id: Any) -> TopUp:
        if top_up_id == bad.pk:
            raise RuntimeError("broken")
        return real(top_up_id)

    monkeypatch.setattr(proofs, "look_again", broken)
    assert proofs.fill_missing() == 2
    good.refresh_from_db()
    assert good.receipt_url
