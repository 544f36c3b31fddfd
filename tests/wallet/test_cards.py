"""Saving a card on Stripe's page, following what becomes of it there, and the forms on the wallet."""

import datetime
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import closing
from accounts.audit import Refused
from accounts.models import User
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.saved import BELOW_5_ADD_10, opened_page, save_card, switched_on
from wallet import auto_topups, cards, events, stripe_api, topups
from wallet.models import (
    AutoTopUp,
    CardSetup,
    SavedCard,
    StripeCustomer,
    StripeEvent,
    TopUp,
    Transfer,
    Wallet,
)
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.wallets import wallet_of

CARD, PORTAL, AUTO = "/wallet/card/", "/wallet/portal/", "/wallet/auto-top-up/"
TERMS = {"below": "5", "add": "10", "monthly": "30"}


def shown(client: Client, **more: str) -> dict[str, str]:
    """What a tab that is opened now would send with these terms."""
    return TERMS | {"seen": client.get("/wallet/").context["auto_seen"]} | more


def handled(kind: str, object_id: str) -> StripeEvent:
    event = StripeEvent.objects.create(
        id=f"evt_{uuid4().hex}", type=kind, object_id=object_id, livemode=False, payload={}
    )
    events.handle(event.pk)
    event.refresh_from_db()
    return event


def test_the_form_leads_to_stripe_and_back_to_the_card(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    answer = as_alice.post(CARD)
    assert answer.status_code == 303
    assert answer["Location"].startswith(stripe_at_hand.url)
    setup = CardSetup.objects.get()
    session = stripe_at_hand.client().v1.checkout.sessions.retrieve(str(setup.session_id))
    assert (session.mode, session.payment_status) == ("setup", "no_payment_required")
    back = f"{CARD}{setup.pk}/"
    assert str(session.success_url).endswith(back)
    assert as_alice.get(back).status_code == 303
    assert not SavedCard.objects.exists(), "that somebody comes back says nothing"
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="mastercard")
    page = as_alice.get(back, follow=True).text
    assert "Your card is saved." in page
    assert "Mastercard ending in 4444" in page
    assert "12/2034" in page
    assert not TopUp.objects.exists()
    assert balance_cents(alices) == 0


@pytest.mark.parametrize("kind", ["completed", "expired"])
def test_a_session_in_setup_mode_is_never_money(alices: Wallet, stripe_at_hand: Sandbox, kind: str) -> None:
    setup = opened_page(alices)
    assert handled(f"checkout.session.{kind}", str(setup.session_id)).state == "handled"
    assert not SavedCard.objects.exists(), "the page is still open"
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    for _ in range(3):
        assert handled("checkout.session.completed", str(setup.session_id)).state == "handled"
    assert SavedCard.objects.get().last_four == "4242"
    assert not Transfer.objects.exists()


def test_the_job_finds_a_card_that_neither_event_nor_person_told_of(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    setup = opened_page(alices)
    assert cards.settle_unfinished() == 1
    assert not SavedCard.objects.exists()
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    CardSetup.objects.update(checked_at=None)
    assert [cards.settle_unfinished() for _ in range(2)] == [1, 0]
    assert SavedCard.objects.get().expires == datetime.date(2034, 12, 31)


def test_a_page_that_is_left_open_is_asked_about_ever_more_rarely(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that comes every half a minute for two hours would ask 240 times."""
    setup = opened_page(alices)
    asked: list[int] = []
    monkeypatch.setattr(cards, "settle", lambda one: asked.append(one.pk))
    for age_s in range(0, 7200, 30):
        begun = timezone.now() - datetime.timedelta(seconds=age_s)
        looked_at = setup.checked_at and begun + (setup.checked_at - setup.created_at)
        CardSetup.objects.filter(pk=setup.pk).update(created_at=begun, checked_at=looked_at)
        if cards.settle_unfinished():
            CardSetup.objects.filter(pk=setup.pk).update(checked_at=timezone.now())
        setup.refresh_from_db()
    assert 7 <= len(asked) <= 12


def test_a_page_that_expired_is_not_asked_about_again(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    setup = opened_page(alices)
    stripe_at_hand.client().v1.checkout.sessions.expire(str(setup.session_id))
    assert not cards.settle(setup)
    setup.refresh_from_db()
    assert (setup.is_over, setup.is_done) == (True, False)
    CardSetup.objects.update(checked_at=None)
    assert cards.settle_unfinished() == 0


def test_the_same_form_sent_twice_leads_to_the_same_page(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    form = str(uuid4())
    assert cards.start(alices, form) == cards.start(alices, form)
    assert CardSetup.objects.count() == 1
    assert cards.start(alices, str(uuid4())) != cards.start(alices, form)


def test_a_card_that_the_bank_refuses_is_not_saved(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="declined")
    assert not cards.settle(setup)
    assert not SavedCard.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": "cus_of_somebody_else"},
        {"customer_id": None},
        {"client_reference_id": str(uuid4())},
        {"card_setup_id": None},
        {"livemode": True},
        {"mode": "payment"},
        {"id": "cs_other"},
    ],
)
def test_only_what_the_wallets_own_customer_saved_for_this_wallet_is_kept(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    told = replace(stripe_api.setup_session(str(setup.session_id)), **change)
    monkeypatch.setattr(stripe_api, "setup_session", lambda *_, **__: told)
    with pytest.raises(Parked):
        cards.settle(setup)
    assert not SavedCard.objects.exists()


def test_a_card_of_another_customers_is_not_kept(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    told = stripe_api.setup_session(str(setup.session_id))
    assert told.card
    theirs = replace(told, card=replace(told.card, customer_id="cus_of_somebody_else"))
    monkeypatch.setattr(stripe_api, "setup_session", lambda *_, **__: theirs)
    with pytest.raises(Parked):
        cards.settle(setup)
    assert not SavedCard.objects.exists()


def test_a_session_of_nobody_is_parked(transactional_db: None, stripe_at_hand: Sandbox) -> None:
    made = stripe_at_hand.client().v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "success_url": "https://example.com/"}
    )
    event = handled("checkout.session.completed", made.id)
    assert event.state == "parked"
    assert "for no wallet of ours" in event.error


def test_an_older_page_does_not_replace_a_newer_card(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    old = opened_page(alices)
    stripe_at_hand.command(f"sessions/{old.session_id}/setup", card="visa")
    save_card(stripe_at_hand, alices, "mastercard")
    assert cards.settle(old)
    assert SavedCard.objects.get().last_four == "4444"


def test_somebody_elses_page_is_not_found(
    alices: Wallet, as_charlie: Client, stripe_at_hand: Sandbox
) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    assert as_charlie.get(f"{CARD}{setup.pk}/").status_code == 404
    assert not SavedCard.objects.exists()


def test_pages_are_for_people_who_signed_in(alices: Wallet) -> None:
    for address in (CARD, PORTAL, AUTO):
        assert Client().post(address).headers["Location"].startswith("/accounts/login/")
    assert not CardSetup.objects.exists()


@pytest.mark.parametrize(("error", "status"), [(StripeUnavailable("away"), 503), (StripeRefused("no"), 502)])
def test_when_stripe_does_not_open_its_pages_the_wallet_says_so(
    alices: Wallet, as_alice: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    StripeCustomer.objects.create(wallet=alices, customer_id="cus_1")

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(stripe_api, "create_setup_session", fail)
    monkeypatch.setattr(stripe_api, "create_portal_session", fail)
    for address in (CARD, PORTAL):
        answer = as_alice.post(address)
        assert answer.status_code == status
        assert 'role="alert"' in answer.text


def test_too_many_pages_within_an_hour(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.TOP_UPS_PER_HOUR = 2
    assert [as_alice.post(CARD).status_code for _ in range(3)] == [303, 303, 429]
    assert [as_alice.post(PORTAL).status_code for _ in range(3)] == [303, 303, 429]
    assert "That were many tries within an hour." in as_alice.post(PORTAL).text


def test_a_suspended_wallet_saves_no_card_but_removes_one(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    save_card(stripe_at_hand, alices)
    Wallet.objects.update(suspended_at=timezone.now())
    assert as_alice.post(CARD).status_code == 403
    assert as_alice.post(AUTO, TERMS).status_code == 403
    assert as_alice.post(PORTAL).status_code == 303
    assert not AutoTopUp.objects.exists()


def test_a_card_that_was_removed_in_the_portal_switches_it_off(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    saved = switched_on(stripe_at_hand, alices)
    assert as_alice.post(PORTAL)["Location"].startswith(stripe_at_hand.url)
    stripe_at_hand.client().v1.payment_methods.detach(saved.payment_method_id)
    page = as_alice.get(CARD, follow=True).text
    assert "Your card is removed." in page
    assert cards.REMOVED in page
    assert not SavedCard.objects.exists()
    assert not AutoTopUp.objects.get().is_on


@pytest.mark.parametrize("kind", ["payment_method.detached", "customer.updated"])
def test_the_events_of_a_removed_card_do_the_same_in_any_number(
    alices: Wallet, stripe_at_hand: Sandbox, kind: str
) -> None:
    saved = switched_on(stripe_at_hand, alices)
    customer = StripeCustomer.objects.get().customer_id
    stripe_at_hand.client().v1.payment_methods.detach(saved.payment_method_id)
    for _ in range(3):
        object_id = customer if kind == "customer.updated" else saved.payment_method_id
        assert handled(kind, object_id).state == "handled"
    assert not SavedCard.objects.exists()
    assert AutoTopUp.objects.get().paused_for == cards.REMOVED


def test_a_deleted_customer_has_no_card(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = switched_on(stripe_at_hand, alices)
    stripe_at_hand.client().v1.payment_methods.detach(saved.payment_method_id)
    StripeCustomer.objects.update(customer_id="cus_that_is_gone")
    assert handled("customer.deleted", "cus_that_is_gone").state == "handled"
    assert not SavedCard.objects.exists()


def test_the_card_that_the_portal_makes_the_default_is_the_one_that_is_charged(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices)
    customer = StripeCustomer.objects.get().customer_id
    stripe_at_hand.command(f"customers/{customer}/cards", card="amex", default="yes")
    assert handled("customer.updated", customer).state == "handled"
    assert SavedCard.objects.get().last_four == "8431"
    assert AutoTopUp.objects.get().is_on


def test_a_renewed_card_shows_its_new_number(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = save_card(stripe_at_hand, alices)
    stripe_at_hand.command(f"payment_methods/{saved.payment_method_id}/renew", last4="5555", exp_year=2041)
    assert handled("payment_method.automatically_updated", saved.payment_method_id).state == "handled"
    saved.refresh_from_db()
    assert (saved.last_four, saved.expires) == ("5555", datetime.date(2041, 12, 31))


def test_cards_and_customers_of_others_are_none_of_ours(
    transactional_db: None, stripe_at_hand: Sandbox
) -> None:
    for kind in ("payment_method.detached", "customer.updated"):
        assert handled(kind, "pm_or_cus_of_another").state == "handled"


def test_a_new_card_forgets_the_declines_of_the_old_one(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    assert AutoTopUp.objects.get().declines == 1
    save_card(stripe_at_hand, alices, "visa")
    assert AutoTopUp.objects.get().declines == 0
    assert auto_topups.charge_due() == 1
    assert balance_cents(alices) == 1000


def test_the_form_switches_it_on_and_off_and_the_page_says_so(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    assert "Save a card, then choose" in as_alice.get("/wallet/").text
    save_card(stripe_at_hand, alices)
    page = as_alice.get("/wallet/").text
    assert 'id="auto-consent"' in page
    assert 'data-state="off"' in page
    assert as_alice.post(AUTO, shown(as_alice, switch="on")).status_code == 303
    wish = AutoTopUp.objects.get()
    assert (wish.below_cents, wish.add_cents, wish.monthly_cents) == (500, 1000, 3000)
    assert wish.agreed_at
    auto_topups.charge_due()
    page = as_alice.get("/wallet/").text
    assert 'data-state="on"' in page
    assert "$10.00 of $30.00" in page
    answer = as_alice.post(AUTO, {"switch": "off"}, follow=True)
    assert "Automatic top-up is off. Your card is not charged any more." in answer.text
    assert 'data-state="off"' in answer.text


@pytest.mark.parametrize("switch", [{}, {"switch": "on"}])
def test_a_tab_from_before_it_was_switched_off_never_switches_it_on(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, switch: dict[str, str]
) -> None:
    switched_on(stripe_at_hand, alices)
    stale = shown(as_alice, below="6") | switch
    as_alice.post(AUTO, {"switch": "off"})
    for sent in (stale, stale | {"below": "5"}):
        answer = as_alice.post(AUTO, sent)
        assert answer.status_code == 409
        assert (
            "Automatic top-up is off. It, or its card, was changed after you opened this page" in answer.text
        )
        assert 'data-state="off"' in answer.text
    assert auto_topups.charge_due() == 0


def test_saving_changes_alone_never_switches_it_on(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    save_card(stripe_at_hand, alices)
    assert as_alice.post(AUTO, shown(as_alice)).status_code == 409
    assert not AutoTopUp.objects.exists()
    auto_topups.switch_on(alices, BELOW_5_ADD_10)
    AutoTopUp.objects.update(paused_for="The bank wants you.")
    answer = as_alice.post(AUTO, shown(as_alice))
    assert (answer.status_code, "Automatic top-up is paused. It" in answer.text) == (409, True)
    assert auto_topups.charge_due() == 0


def test_a_tab_from_before_raises_no_limit_that_was_lowered(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices)
    stale = shown(as_alice, below="6")
    lowered = shown(as_alice, monthly="10")
    for _ in range(2):
        # Sent twice, as by a double click, it is saved and says so.
        assert as_alice.post(AUTO, lowered).status_code == 303
    answer = as_alice.post(AUTO, stale)
    assert "Automatic top-up is on, with $10.00 a charge. It, or its card, was changed" in answer.text
    assert AutoTopUp.objects.get().monthly_cents == 1000
    assert 'value="10.00"' in answer.text
    assert as_alice.post(AUTO, shown(as_alice, below="6")).status_code == 303
    assert AutoTopUp.objects.get().below_cents == 600


def test_a_tab_that_names_another_card_agrees_to_nothing(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    save_card(stripe_at_hand, alices)
    stale = shown(as_alice, switch="on")
    save_card(stripe_at_hand, alices)
    assert as_alice.post(AUTO, stale).status_code == 409
    assert not AutoTopUp.objects.exists()


def test_a_charge_that_is_under_way_is_said(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    auto_topups.charge_due()
    assert "A charge of $10.00 is under way." in as_alice.get("/wallet/").text
    page = as_alice.post(AUTO, {"switch": "off"}, follow=True).text
    assert "A charge of $10.00 is under way at Stripe already" in page


def test_a_decline_is_of_the_card_that_is_saved_now(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    assert 'id="auto-last"' in as_alice.get("/wallet/").text
    declined = TopUp.objects.get(wallet=alices)
    page = as_alice.get(f"/wallet/top-ups/{declined.pk}/").text
    assert "to your saved card did not go through: Your card was declined." in page
    assert "Your bank did not pay" not in page
    saved = save_card(stripe_at_hand, alices)
    assert 'id="auto-last"' not in as_alice.get("/wallet/").text
    with transaction.atomic():
        cards.removed(alices.pk, saved.payment_method_id)
    assert 'id="auto-last"' not in as_alice.get("/wallet/").text


def test_what_the_month_still_allows_is_said(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    wish = replace(BELOW_5_ADD_10, add_cents=300, monthly_cents=800)
    switched_on(stripe_at_hand, alices, wish=wish)
    auto_topups.charge_due()
    auto_topups.charge_due()
    page = as_alice.get("/wallet/").text
    assert ">Automatic top-up</a>" in page
    assert "$6.00 of $8.00" in page
    assert ">$2.00 left this month, less than one charge of $3.00" in page
    auto_topups.switch_on(alices, replace(wish, monthly_cents=600))
    assert "On, the month is used up" in as_alice.get("/wallet/").text


def test_a_decline_and_a_pause_are_explained(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    saved = switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    page = as_alice.get("/wallet/").text
    assert "did not go through: Your card was declined." in page
    assert "Next try:" in page
    stripe_at_hand.command(f"payment_methods/{saved.payment_method_id}/behave", outcome="authentication")
    AutoTopUp.objects.update(next_attempt_at=None)
    auto_topups.charge_due()
    page = as_alice.get("/wallet/").text
    assert 'data-state="paused"' in page
    assert "confirm the payment yourself" in page
    assert "Agree and switch on" in page


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("below", "", "Enter the balance below which to charge."),
        ("below", "0", "Enter an amount above zero."),
        ("below", "500.01", "At most $500.00."),
        ("below", "-5", "Enter an amount above zero."),
        ("add", "0.99", "The smallest top-up is $1.00."),
        ("add", "500.01", "The largest top-up is $500.00."),
        ("add", "1e2", "Write the amount in digits"),
        ("add", "٣", "Write the amount in digits"),
        ("monthly", "9.99", "The most for a month has to allow one top-up."),
        ("monthly", "50000.01", "At most $50,000.00."),
        ("monthly", "9" * 41, "That amount is too large."),
    ],
)
def test_amounts_that_are_refused_come_back_with_a_sentence(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, field: str, value: str, sentence: str
) -> None:
    save_card(stripe_at_hand, alices)
    answer = as_alice.post(AUTO, {**TERMS, field: value})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert not AutoTopUp.objects.exists()


def test_two_amounts_in_one_field_are_refused(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    save_card(stripe_at_hand, alices)
    answer = as_alice.post(AUTO, {**TERMS, "add": ["10", "100"]})
    assert (answer.status_code, "Send one amount." in answer.text) == (422, True)


def test_without_a_card_it_can_not_be_switched_on(alices: Wallet, as_alice: Client) -> None:
    answer = as_alice.post(AUTO, TERMS)
    assert answer.status_code == 422
    assert "Save a card first" in answer.text


def test_a_closed_account_has_no_card_and_no_automatic_top_up(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices)
    late = opened_page(alices)
    closing.close_own(alice)
    assert not SavedCard.objects.exists()
    assert not AutoTopUp.objects.get().is_on
    assert auto_topups.begin(alices.pk) is None
    stripe_at_hand.command(f"sessions/{late.session_id}/setup", card="visa")
    assert handled("checkout.session.completed", str(late.session_id)).state == "handled"
    assert not SavedCard.objects.exists(), "saved too late"


def test_a_charge_that_is_under_way_stands_in_the_way_of_closing(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    auto_topups.charge_due()
    with pytest.raises(Refused, match="Your saved card is being charged"):
        closing.close_own(alice)
    assert AutoTopUp.objects.get().is_on


def test_the_page_of_an_automatic_top_up_opens_no_page_to_pay_on(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    monkeypatch.setattr(stripe_api, "create_session", None)
    assert as_alice.get(topups.path(top_up)).status_code == 200
    TopUp.objects.update(checked_at=timezone.now() - datetime.timedelta(minutes=5))
    page = as_alice.get(topups.path(top_up)).text
    assert "$10.00 arrived" in page
    assert "Automatic top-up" in page
    assert balance_cents(alices) == 1000


def test_a_wallet_without_a_wish_is_left_alone(
    alices: Wallet, charlie: User, stripe_at_hand: Sandbox
) -> None:
    save_card(stripe_at_hand, alices)
    with transaction.atomic():
        cards.removed(wallet_of(charlie).pk, SavedCard.objects.get().payment_method_id)
    assert SavedCard.objects.exists(), "it is alice's"
    assert auto_topups.charge_due() == 0
    auto_topups.switch_on(alices, BELOW_5_ADD_10)
    assert auto_topups.charge_due() == 1
