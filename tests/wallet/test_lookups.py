"""“I paid and see nothing”: what the button finds at Stripe, over HTTP, while not a single event comes."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox, payment
from tests.wallet.books import balance_cents
from tests.wallet.test_topups import pay, started
from wallet import stripe_api, topups
from wallet.models import StripeCustomer, StripeEvent, TopUp, Transfer, Wallet
from wallet.topups import lookups
from wallet.topups.lookups import Outcome
from wallet.wallets import wallet_of

URL = "/wallet/top-ups/check/"
State = TopUp.State


def outcomes(wallet: Wallet) -> dict[Any, Outcome]:
    return {one.top_up.pk: one.outcome for one in lookups.look(wallet)}


def asked(client: Client) -> str:
    answer = client.post(URL)
    assert (answer.status_code, answer["Location"]) == (303, URL)
    return client.get(URL).content.decode()


def shown(page: str) -> list[str]:
    return re.findall(r'data-outcome="(\w+)"', page)


def test_the_button_stands_on_the_wallet_and_credits_what_was_paid(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    paid, unpaid = started(alices, 500), started(alices, 700)
    pay(stripe_at_hand, paid)
    assert f'action="{URL}"' in as_alice.get("/wallet/").content.decode()
    page = asked(as_alice)
    assert shown(page) == ["open", "credited"]  # newest first
    assert "Found: $5.00 is in your wallet now" in page
    assert balance_cents(alices) == 500
    assert shown(asked(as_alice)) == ["open"]
    assert balance_cents(alices) == 500
    unpaid.refresh_from_db()
    assert unpaid.state == State.OPEN
    assert not StripeEvent.objects.exists()


def test_every_end_is_told_in_plain_words(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    waiting, refused, expired, parked = (started(alices, cents) for cents in (100, 200, 300, 400))
    pay(stripe_at_hand, waiting, "bank")
    pay(stripe_at_hand, refused, "bank_fails")
    stripe_at_hand.command(f"sessions/{refused.session_id}/settle", outcome="fails")
    stripe_at_hand.client().v1.checkout.sessions.expire(str(expired.session_id))
    pay(stripe_at_hand, parked)
    TopUp.objects.filter(pk=parked.pk).update(state=State.PARKED, problem="It does not fit: secret words")
    TopUp.objects.create(wallet=alices, amount_cents=600)
    page = asked(as_alice)
    assert shown(page) == ["unpaid", "parked", "unpaid", "refused", "waiting"]
    assert "as soon as your bank has paid" in page
    assert "Being looked at" in page
    assert "secret words" not in page
    assert balance_cents(alices) == 0


@pytest.mark.parametrize("state", [State.OPEN, State.EXPIRED, State.FAILED, State.PENDING, State.CREATED])
def test_whatever_we_believed_what_was_paid_is_credited(
    alices: Wallet, stripe_at_hand: Sandbox, state: str
) -> None:
    top_up = started(alices, 900)
    pay(stripe_at_hand, top_up)
    lost = {"session_id": None} if state == State.CREATED else {}
    TopUp.objects.filter(pk=top_up.pk).update(state=state, **lost)
    assert outcomes(alices) == {top_up.pk: Outcome.CREDITED}
    assert balance_cents(alices) == 900


def test_ten_at_once_credit_once(alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: Any) -> None:
    monkeypatch.setattr(lookups, "PER_MINUTE", 100)
    top_up = started(alices, 900)
    pay(stripe_at_hand, top_up)
    found = at_once(10, lambda _: [one.outcome for one in lookups.look(alices)])
    assert all(one in ([], [Outcome.CREDITED]) for one in found)
    assert [Outcome.CREDITED] in found
    assert balance_cents(alices) == 900
    assert Transfer.objects.count() == 1


def test_a_paid_page_that_no_top_up_knows_is_kept_for_staff_once(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    started(alices)
    TopUp.objects.all().delete()
    customer = StripeCustomer.objects.get(wallet=alices).customer_id
    v1 = stripe_at_hand.client().v1
    unpaid = v1.checkout.sessions.create(payment(customer=customer))
    session = v1.checkout.sessions.create(payment(customer=customer))
    stripe_at_hand.command(f"sessions/{session.id}/pay", method="card")
    for _ in range(2):
        assert shown(asked(as_alice)) == ["parked"]
    [kept] = TopUp.objects.all()
    assert (kept.wallet, kept.state, kept.session_id, kept.amount_cents) == (
        alices,
        "parked",
        session.id,
        100,
    )
    assert "belongs to no top-up" in kept.problem
    assert kept.problem in caplog.text
    assert unpaid.id not in caplog.text
    assert balance_cents(alices) == 0


def test_nobody_elses_payments_are_asked_about(
    alices: Wallet, charlie: User, as_charlie: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    started(wallet_of(charlie))
    assert shown(asked(as_charlie)) == ["open"]
    top_up.refresh_from_db()
    assert (top_up.state, balance_cents(alices)) == (State.OPEN, 0)


def test_a_page_of_ours_that_names_the_order_of_another_credits_nobody(
    alices: Wallet, charlie: User, stripe_at_hand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    charlies = wallet_of(charlie)
    started(charlies)
    order = TopUp.objects.create(wallet=alices, amount_cents=100)
    customer = StripeCustomer.objects.get(wallet=charlies).customer_id
    named = {"client_reference_id": str(order.pk), "metadata": {"top_up_id": str(order.pk)}}
    session = stripe_at_hand.client().v1.checkout.sessions.create(payment(customer=customer, **named))
    stripe_at_hand.command(f"sessions/{session.id}/pay", method="card")
    assert order.pk not in outcomes(charlies)
    assert "names another's top-up" in caplog.text
    assert (balance_cents(alices), balance_cents(charlies)) == (0, 0)


def test_older_than_thirty_days_is_not_asked_about(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = started(alices)
    TopUp.objects.filter(pk=top_up.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert outcomes(alices) == {}


def test_a_page_of_another_customer_is_asked_about_by_itself(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """Where the customer was made anew at Stripe, its list does not hold the older pages."""
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    other = stripe_at_hand.client().v1.customers.create({})
    StripeCustomer.objects.filter(wallet=alices).update(customer_id=other.id)
    assert outcomes(alices) == {top_up.pk: Outcome.CREDITED}
    StripeCustomer.objects.filter(wallet=alices).update(customer_id="cus_deleted_at_stripe")
    assert outcomes(alices) == {}
    assert balance_cents(alices) == 100


def test_while_stripe_is_away_it_says_so(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any, caplog: Any
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    page = asked(as_alice)
    assert shown(page) == ["unknown"]
    assert "Stripe does not answer at the moment" in page
    assert "Stripe is away" in caplog.text
    settings.STRIPE_API_BASE = stripe_at_hand.url
    assert shown(asked(as_alice)) == ["credited"]


def test_one_that_stripe_refuses_to_tell_about_does_not_hide_the_others(
    alices: Wallet, stripe_at_hand: Sandbox, caplog: Any
) -> None:
    good = started(alices)
    pay(stripe_at_hand, good)
    bad = TopUp.objects.create(wallet=alices, amount_cents=100, session_id="cs_of_nobody", state=State.OPEN)
    assert outcomes(alices) == {good.pk: Outcome.CREDITED, bad.pk: Outcome.UNKNOWN}
    assert "refused" in caplog.text


def test_many_open_pages_take_one_list_and_no_more(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(8):
        started(alices)
    monkeypatch.setattr(stripe_api, "session", None)  # would fail, were one asked about by itself
    assert set(outcomes(alices).values()) == {Outcome.OPEN}


def test_of_thousands_that_were_left_a_hundred_are_told_and_what_was_paid_first(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    bought = started(alices, 700)
    pay(stripe_at_hand, bought)
    now = timezone.now()
    TopUp.objects.bulk_create(
        TopUp(wallet=alices, amount_cents=100, state=TopUp.State.EXPIRED, created_at=now) for _ in range(150)
    )
    page = as_alice.post("/wallet/top-ups/check/", follow=True)
    findings = page.context["findings"]
    assert len(findings) == 100
    assert (findings[0]["outcome"], findings[0]["top_up"]) == ("credited", bought.pk)


def test_nothing_missing_is_said_too(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    assert "Paid, and nothing arrived?" in as_alice.get(URL).content.decode()
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    topups.settle(top_up.pk)
    assert "Everything that you paid is in your wallet" in asked(as_alice)


def test_no_more_than_so_many_a_minute(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    for _ in range(lookups.PER_MINUTE):
        assert as_alice.post(URL).status_code == 303
    answer = as_alice.post(URL)
    assert answer.status_code == 429
    assert "Wait a minute" in answer.content.decode()


def test_a_counter_that_is_away_turns_nobody_away(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("Valkey is away")

    monkeypatch.setattr(cache, "add", broken)
    assert lookups.look(alices) == []
    assert "not counted" in caplog.text


def test_it_is_for_people_who_signed_in_and_carries_a_token(alices: Wallet, as_alice: Client) -> None:
    for answer in (Client().get(URL), Client().post(URL)):
        assert answer.headers["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    assert strict.post(URL).status_code == 403


def test_what_one_person_was_told_is_not_shown_to_the_next(
    alices: Wallet, alice: User, charlie: User, stripe_at_hand: Sandbox
) -> None:
    client = Client()
    client.force_login(alice)
    started(alices)
    assert shown(asked(client)) == ["open"]
    client.force_login(charlie)
    assert shown(client.get(URL).content.decode()) == []
