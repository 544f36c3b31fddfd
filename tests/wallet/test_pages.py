"""The wallet's pages, as a browser and as programs use them."""

import datetime
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from allauth.account.models import EmailAddress
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.identity import identity_hash
from accounts.models import User
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.test_topups import pay, started
from wallet import history, ledger
from wallet.models import Code, Hold, TopUp, Wallet
from wallet.wallets import wallet_of

TOP_UPS = "/wallet/top-ups/"


def move(wallet: Wallet, code: Code, cents: int, reference: str) -> None:
    """Credit where `cents` is positive, usage where it is negative."""
    credit = cents > 0
    house = ledger.house("promotions" if credit else "revenue")
    own = ledger.promotional(wallet)
    with transaction.atomic():
        ledger.post(
            code=code,
            reference=reference,
            debit=house if credit else own,
            credit=own if credit else house,
            amount_nanousd=abs(cents) * CENT,
        )


def shown_nanousd(client: Client) -> int:
    found = re.search(r'id="balance"\s+data-nanousd="(-?\d+)"', client.get("/wallet/").content.decode())
    assert found
    return int(found[1])


def test_pages_are_for_people_who_signed_in(alices: Wallet) -> None:
    for address in ("/wallet/", f"{TOP_UPS}{uuid4()}/"):
        assert Client().get(address).headers["Location"].startswith("/accounts/login/")
    assert Client().post(TOP_UPS, {"amount": "1"}).headers["Location"].startswith("/accounts/login/")
    assert not TopUp.objects.exists()


def test_the_balance_and_its_parts(alices: Wallet, as_alice: Client) -> None:
    assert shown_nanousd(as_alice) == 0
    move(alices, Code.GRANT, 10, "grant-1")
    assert shown_nanousd(as_alice) == 10 * CENT
    assert "negative" not in as_alice.get("/wallet/").content.decode()


def test_a_negative_balance_is_explained(alices: Wallet, as_alice: Client) -> None:
    move(alices, Code.USAGE, -3, "usage-1")
    assert shown_nanousd(as_alice) == -3 * CENT
    assert "Your balance is negative" in as_alice.get("/wallet/").content.decode()


def test_open_holds_are_listed(alices: Wallet, as_alice: Client) -> None:
    later = timezone.now() + datetime.timedelta(minutes=15)
    Hold.objects.create(
        id=uuid4(), wallet=alices, reference="1", memo="gpt-<b>", amount_nanousd=5 * CENT, expires_at=later
    )
    page = as_alice.get("/wallet/").content.decode()
    assert "gpt-&lt;b&gt;" in page
    assert "$0.05" in page
    Hold.objects.all().delete()


def test_a_top_up_leads_to_stripe_with_the_amount_alone(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    answer = as_alice.post(TOP_UPS, {"amount": "10.01", "price": "1", "currency": "jpy"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{stripe_at_hand.url}/c/pay/cs_test_")
    assert TopUp.objects.get().amount_cents == 1001


def test_the_form_on_the_page_works_and_needs_its_token(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    page = strict.get("/wallet/").content.decode()
    assert strict.post(TOP_UPS, {"amount": "1"}).status_code == 403
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
    assert set(fields) == {"csrfmiddlewaretoken", "form_id"}
    first = strict.post(TOP_UPS, {**fields, "amount": "5.00"})
    again = strict.post(TOP_UPS, {**fields, "amount": "5.00"})
    assert (first.status_code, first.headers["Location"]) == (303, again.headers["Location"])
    assert TopUp.objects.count() == 1


BAD_AMOUNTS = {
    "": "Enter an amount.",
    "   ": "Enter an amount.",
    "-5": "Enter an amount above zero.",
    "0": "The smallest top-up is $1.00.",
    "0.99": "The smallest top-up is $1.00.",
    "0.001": "Enter whole cents",
    "10.005": "Enter whole cents",
    "1e3": "Write the amount in digits",
    "１": "Write the amount in digits",
    "NaN": "Write the amount in digits",
    "1_000": "Write the amount in digits",
    "1,000": "Write the amount in digits",
    "+5": "Write the amount in digits",
    "5\x00": "",
    "500.01": "The largest top-up is $500.00.",
    "1000000000": "That amount is too large.",
    "9" * 5000: "That amount is too large.",
    '"><script>': "Write the amount in digits",
}


@pytest.mark.parametrize("text", BAD_AMOUNTS)
def test_a_bad_amount_is_named_beside_the_field(alices: Wallet, as_alice: Client, text: str) -> None:
    answer = as_alice.post(TOP_UPS, {"amount": text})
    page = answer.content.decode()
    assert answer.status_code == 422
    error = re.search(r'<p class="error"\s+id="id_amount_error" role="alert">([^<]+)</p>', page)
    assert error
    assert BAD_AMOUNTS[text] in error[1]
    assert 'aria-invalid="true"' in page
    assert "<script>" not in page
    if text.strip() and text.isascii() and text.isprintable() and '"' not in text:
        assert f'value="{text}"' in page
    assert not TopUp.objects.exists()


@pytest.mark.parametrize("fields", [{"amount": ["5", "10"]}, {"amount[]": "5"}, {"amount[0]": "5"}, {}])
def test_no_amount_and_two_amounts_are_refused(
    alices: Wallet, as_alice: Client, fields: dict[str, Any]
) -> None:
    assert as_alice.post(TOP_UPS, fields).status_code == 422
    assert not TopUp.objects.exists()


def test_a_form_id_that_does_not_fit_is_no_form_id(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    for form_id in ("x" * 100, "", "\x00"):
        assert as_alice.post(TOP_UPS, {"amount": "1", "form_id": form_id}).status_code == 303
    assert TopUp.objects.count() == 3


def test_too_many_top_ups(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any) -> None:
    settings.TOP_UPS_PER_HOUR = 1
    assert as_alice.post(TOP_UPS, {"amount": "1"}).status_code == 303
    answer = as_alice.post(TOP_UPS, {"amount": "1"})
    assert answer.status_code == 429
    assert "within an hour" in answer.content.decode()


def test_stripe_is_away_when_a_top_up_starts(
    alices: Wallet,
    as_alice: Client,
    stripe_at_hand: Sandbox,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    answer = as_alice.post(TOP_UPS, {"amount": "7"})
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "Nothing was charged" in page
    assert 'value="7"' in page
    assert "Stripe is away" in caplog.text
    top_up = TopUp.objects.get()
    page = as_alice.get(f"{TOP_UPS}{top_up.pk}/").content.decode()
    assert "Stripe does not answer" in page
    settings.STRIPE_API_BASE = stripe_at_hand.url
    page = as_alice.get(f"{TOP_UPS}{top_up.pk}/").content.decode()
    assert f"{stripe_at_hand.url}/c/pay/" in page


def top_up_page(client: Client, top_up: TopUp, query: str = "", headers: dict[str, str] | None = None) -> Any:
    return client.get(f"{TOP_UPS}{top_up.pk}/{query}", headers=headers)


def test_the_return_page_credits_by_itself(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices, 500)
    page = top_up_page(as_alice, top_up, "?cancelled=1").content.decode()
    assert "You left the payment page" in page
    assert "Continue to payment" in page
    assert 'hx-trigger="every 2s"' in page
    pay(stripe_at_hand, top_up)
    page = top_up_page(as_alice, top_up).content.decode()
    assert "<h1>Paid</h1>" in page
    assert "hx-trigger" not in page
    assert balance_cents(alices) == 500
    assert shown_nanousd(as_alice) == 500 * CENT


def test_the_page_asks_again_by_itself_until_it_is_over(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up, "bank")
    poll = top_up_page(as_alice, top_up, headers={"HX-Request": "true"})
    assert (poll.status_code, "<html" in poll.content.decode()) == (200, False)
    assert "Waiting for your bank" in poll.content.decode()
    assert "hx-trigger" in poll.content.decode()
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    poll = top_up_page(as_alice, top_up, headers={"HX-Request": "true"})
    assert poll.status_code == 200  # Stripe was asked a moment ago.
    TopUp.objects.update(checked_at=timezone.now() - timedelta(seconds=6))
    poll = top_up_page(as_alice, top_up, headers={"HX-Request": "true"})
    assert (poll.status_code, poll.headers["HX-Refresh"]) == (286, "true")
    assert "<h1>Paid</h1>" in poll.content.decode()
    assert balance_cents(alices) == 100


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("failed", "Your bank did not pay"),
        ("expired", "This payment page is closed"),
        ("parked", "We are looking at it"),
    ],
)
def test_what_the_other_ends_say(alices: Wallet, as_alice: Client, state: str, words: str) -> None:
    top_up = TopUp.objects.create(wallet=alices, amount_cents=100, state=state)
    assert words in top_up_page(as_alice, top_up).content.decode()


def test_somebody_elses_top_up_does_not_exist(
    alices: Wallet, as_charlie: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    for address in (f"{TOP_UPS}{top_up.pk}/", f"{TOP_UPS}{uuid4()}/"):
        assert as_charlie.get(address).status_code == 404
    assert as_charlie.get(f"{TOP_UPS}{top_up.session_id}/").status_code == 404
    assert balance_cents(alices) == 0
    assert shown_nanousd(as_charlie) == 0


def test_an_unpaid_top_up_is_not_credited_by_opening_its_page(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    assert "Not paid yet" in top_up_page(as_alice, top_up, "?session=cs_test_forged&paid=1").content.decode()
    assert balance_cents(alices) == 0


def test_the_history_adds_up_row_by_row(alices: Wallet) -> None:
    move(alices, Code.GRANT, 1000, "grant-1")
    for number in range(3):
        move(alices, Code.USAGE, -10, f"usage-{number}")
    move(alices, Code.GRANT, 50, "grant-2")
    move(alices, Code.USAGE, -7, "usage-9")
    found = history.page(alices).movements
    cents = [(m.code, m.change_nanousd // CENT, m.balance_after_nanousd // CENT) for m in found]
    assert cents == [
        ("usage", -7, 1013),
        ("grant", 50, 1020),
        ("usage", -30, 970),
        ("grant", 1000, 1000),
    ]
    assert found[0].url == f"/logs/?from={found[0].day}&to={found[0].day}"


def test_the_history_pages_without_gaps(
    alices: Wallet, as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        move(alices, Code.GRANT, number + 1, f"grant-{number}")
        move(alices, Code.USAGE, -1, f"usage-{number}")
    found, before = [], None
    while True:
        page = history.page(alices, before)
        found += page.movements
        before = page.next_before
        if before is None:
            break
    assert len(found) == 120
    balance = 0
    for movement in reversed(found):
        balance += movement.change_nanousd
        assert movement.balance_after_nanousd == balance
    assert balance == ledger.balances(alices).balance_nanousd
    text = as_alice.get("/wallet/").content.decode()
    assert "?before=" in text
    for odd in ("0", "x", "-1", "9" * 30, "１", "1.5"):
        assert as_alice.get("/wallet/", {"before": odd}).status_code == 200


def test_a_day_with_very_much_usage_still_adds_up(alices: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "WINDOW", 10)
    for number in range(25):
        move(alices, Code.USAGE, -1, f"usage-{number}")
    first = history.page(alices)
    second = history.page(alices, first.next_before)
    assert [m.change_nanousd // CENT for m in first.movements + second.movements] == [-10, -10]
    assert second.movements[0].balance_after_nanousd == -15 * CENT
    assert second.next_before is not None


def test_starter_credit_is_announced_until_it_came(alices: Wallet, as_alice: Client, settings: Any) -> None:
    settings.EMAIL_VERIFICATION_REQUIRED, settings.STARTER_CREDIT_NANOUSD = True, 10 * CENT
    assert "Starter credit arrives when" in as_alice.get("/wallet/").content.decode()
    move(alices, Code.STARTER_GRANT, 10, "starter:1")
    assert "Starter credit arrives when" not in as_alice.get("/wallet/").content.decode()


def test_an_inbox_that_had_its_starter_credit_is_told_so_once_it_is_verified(
    alices: Wallet, as_alice: Client, charlie: User, settings: Any
) -> None:
    settings.EMAIL_VERIFICATION_REQUIRED, settings.STARTER_CREDIT_NANOUSD = True, 10 * CENT
    owner, sentence = alices.owner, "This inbox had its starter credit before."
    verified = EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    assert sentence not in as_alice.get("/wallet/").text
    move(wallet_of(charlie), Code.STARTER_GRANT, 10, f"starter:{identity_hash(owner.email)}")
    page = as_alice.get("/wallet/").text
    assert sentence in page
    assert "Starter credit arrives when" not in page
    verified.verified = False
    verified.save()
    for is_required in (True, False):
        settings.EMAIL_VERIFICATION_REQUIRED = is_required
        assert sentence not in as_alice.get("/wallet/").text


def test_who_has_starter_credit_is_not_told_that_the_inbox_had_it(
    alices: Wallet, as_alice: Client, settings: Any
) -> None:
    settings.EMAIL_VERIFICATION_REQUIRED, settings.STARTER_CREDIT_NANOUSD = True, 10 * CENT
    owner = alices.owner
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    move(alices, Code.STARTER_GRANT, 10, f"starter:{identity_hash(owner.email)}")
    assert "had its starter credit" not in as_alice.get("/wallet/").text
