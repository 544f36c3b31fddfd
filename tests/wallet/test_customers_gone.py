"""A customer that is deleted at Stripe: the wallet gets another one within the same click, and keeps what was paid."""

from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.saved import automatic, opened_page, save_card, switched_on
from tests.wallet.test_auto_topups import unanswered
from tests.wallet.test_cards import CARD, PORTAL, handled
from tests.wallet.test_topups import pay, started
from wallet import auto_topups, cards, stripe_api, topups
from wallet.auto_topups import mail as auto_topup_mail
from wallet.models import AutoTopUp, CardSetup, SavedCard, StripeCustomer, TopUp, Wallet
from wallet.topups import customers, lookups
from wallet.transactions import again_if_lost

State = TopUp.State


def delete_customer(sandbox: Sandbox, wallet: Wallet) -> str:
    customer_id = customers.customer_of(wallet)
    assert sandbox.client().v1.customers.delete(customer_id).deleted
    return customer_id


def customer_of_session(sandbox: Sandbox, session_id: str | None) -> Any:
    return sandbox.client().v1.checkout.sessions.retrieve(str(session_id)).customer


@pytest.mark.parametrize("address", ["/wallet/top-ups/", CARD, PORTAL])
def test_the_click_that_finds_it_gone_goes_on(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, address: str
) -> None:
    before = delete_customer(stripe_at_hand, alices)
    answer = as_alice.post(address, {"amount": "5"})
    assert (answer.status_code, answer["Location"].startswith(stripe_at_hand.url)) == (303, True)
    now = StripeCustomer.objects.get(gone_at=None)
    assert now.customer_id != before
    assert customers.ids_of(alices.pk) == [now.customer_id, before]
    assert as_alice.post(address, {"amount": "5"}).status_code == 303
    assert StripeCustomer.objects.count() == 2


def test_a_top_up_of_the_new_one_is_credited(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    delete_customer(stripe_at_hand, alices)
    top_up = started(alices)
    assert customer_of_session(stripe_at_hand, top_up.session_id) == customers.customer_of(alices)
    pay(stripe_at_hand, top_up)
    assert topups.settle(top_up.pk).top_up.state == State.PAID
    assert balance_cents(alices) == 100


def test_many_that_find_it_gone_make_one_new_one(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    before = delete_customer(stripe_at_hand, alices)
    at_once(6, lambda _: started(alices))
    assert StripeCustomer.objects.count() == 2
    made = {customer_of_session(stripe_at_hand, one.session_id) for one in TopUp.objects.all()}
    assert made == {customers.customer_of(alices)} != {before}
    theirs = stripe_at_hand.client().v1.customers.list({"email": alices.owner.email, "limit": 100})
    mine = [each for each in theirs.data if each.id in customers.ids_of(alices.pk)]
    assert len(mine) == 1


def test_the_same_form_after_that_is_still_one_top_up(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """The key of a page that the old customer was given answers nothing to the new one."""
    form = str(uuid4())
    row = topups._row(alices, 500, form)
    delete_customer(stripe_at_hand, alices)
    pages = {topups.start(alices, 500, form).page_url for _ in range(3)}
    assert len(pages) == 1
    assert TopUp.objects.get() == row


def test_it_may_be_deleted_again(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    for _ in range(3):
        delete_customer(stripe_at_hand, alices)
        started(alices)
    assert StripeCustomer.objects.filter(wallet=alices).count() == 4


def test_its_event_takes_the_card_away_and_says_so(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices)
    before = delete_customer(stripe_at_hand, alices)
    for _ in range(3):
        assert handled("customer.deleted", before).state == "handled"
    assert StripeCustomer.objects.get().gone_at
    assert not SavedCard.objects.exists()
    assert cards.REMOVED in as_alice.get("/wallet/").text
    auto_topup_mail.tell_stopped()
    assert cards.REMOVED in mail.outbox[0].body
    saved = switched_on(stripe_at_hand, alices, card="mastercard")
    assert handled("customer.deleted", before).state == "handled"
    assert SavedCard.objects.get() == saved, "it is the new customer's"
    assert auto_topups.charge_due() == 1
    assert balance_cents(alices) == 1000


def test_who_comes_back_from_the_portal_finds_it_gone(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    save_card(stripe_at_hand, alices)
    delete_customer(stripe_at_hand, alices)
    assert "Your card is removed." in as_alice.get(CARD, follow=True).text
    assert StripeCustomer.objects.get().gone_at


def test_what_the_old_one_paid_is_credited(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    paid, late = started(alices), started(alices, 300)
    pay(stripe_at_hand, paid)
    pay(stripe_at_hand, late, "bank")
    delete_customer(stripe_at_hand, alices)
    started(alices)
    assert topups.settle(paid.pk).top_up.state == State.PAID
    assert topups.settle(late.pk).top_up.state == State.PENDING
    stripe_at_hand.command(f"sessions/{late.session_id}/settle", outcome="succeeds")
    found = {one.top_up.pk: one.outcome for one in lookups.look(alices)}
    assert found[late.pk] == lookups.Outcome.CREDITED
    assert balance_cents(alices) == 400


def test_a_paid_page_of_the_old_one_that_no_top_up_knows_is_found(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    TopUp.objects.all().delete()
    delete_customer(stripe_at_hand, alices)
    started(alices)
    outcomes = [one.outcome for one in lookups.look(alices)]
    assert sorted(outcomes) == [lookups.Outcome.OPEN, lookups.Outcome.PARKED]


def test_a_charge_of_the_old_one_is_still_this_wallets(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    delete_customer(stripe_at_hand, alices)
    started(alices)
    stripe_at_hand.command(f"payment_intents/{top_up.payment_intent_id}/settle", outcome="succeeds")
    assert topups.settle(top_up.pk).top_up.state == State.PAID
    assert balance_cents(alices) == 1000


def test_a_charge_whose_answer_got_lost_is_found_among_those_of_the_old_one(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    auto_topups.charge(top_up)
    TopUp.objects.filter(pk=top_up.pk).update(state=State.EXPIRED, payment_intent_id=None)
    balance = balance_cents(alices)
    TopUp.objects.filter(pk=top_up.pk).update(state=State.CREATED)
    delete_customer(stripe_at_hand, alices)
    started(alices)
    assert auto_topups.settle(unanswered(top_up)).state == State.PAID
    assert balance_cents(alices) == balance == 1000


def test_a_charge_that_finds_it_gone_ends_and_is_no_decline(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices)
    delete_customer(stripe_at_hand, alices)
    assert auto_topups.charge_due() == 1
    assert automatic(alices)[0].state == State.FAILED
    wish = AutoTopUp.objects.get()
    assert (wish.is_on, wish.paused_for, wish.declines) == (False, cards.REMOVED, 0)
    assert StripeCustomer.objects.get().gone_at
    assert auto_topups.charge_due() == 0


def test_a_card_that_the_old_one_saved_is_not_kept(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    told = stripe_api.setup_session(str(setup.session_id))
    delete_customer(stripe_at_hand, alices)
    # Read before it was deleted, and followed after that.
    again_if_lost(cards._what_follows(setup, told))
    assert StripeCustomer.objects.get().gone_at, "making the card its default found it gone"
    assert cards.settle(setup)
    started(alices)
    again = CardSetup.objects.create(wallet=alices)
    assert told.card
    with transaction.atomic():
        cards._save(again.pk, "cs_again", told.card)
    assert not SavedCard.objects.exists()


def test_the_database_keeps_one_at_a_time(alices: Wallet) -> None:
    StripeCustomer.objects.create(wallet=alices, customer_id="cus_1", gone_at=timezone.now())
    StripeCustomer.objects.create(wallet=alices, customer_id="cus_2")
    with pytest.raises(IntegrityError), transaction.atomic():
        StripeCustomer.objects.create(wallet=alices, customer_id="cus_3")
