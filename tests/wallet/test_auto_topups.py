"""Automatic top-ups against the stand-in over HTTP: when one begins, and what comes of it."""

import datetime
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from cometsite.celery import app
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.saved import (
    BELOW_5_ADD_10,
    automatic,
    opened_page,
    payments_at_stripe,
    save_card,
    spend,
    switched_on,
)
from wallet import auto_topups, cards, events, stripe_api, tasks, topups
from wallet.auto_topups import mail as auto_topup_mail
from wallet.auto_topups.endings import DECLINED, DOES_NOT_FIT, STRIPE_FAILED, WAITS
from wallet.models import (
    AutoTopUp,
    Funds,
    Hold,
    SavedCard,
    StripeCustomer,
    StripeEvent,
    TopUp,
    Transfer,
    Wallet,
)
from wallet.stripe_api import Payment, StripeFailed, StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked, judge_payment
from wallet.wallets import Suspended, wallet_of

State = TopUp.State


def wish_of(wallet: Wallet) -> AutoTopUp:
    return AutoTopUp.objects.get(wallet=wallet)


def let_pass(hours: float) -> None:
    """The waits shorten by so much, as if that time had passed."""
    for wish in AutoTopUp.objects.exclude(next_attempt_at=None):
        assert wish.next_attempt_at
        wish.next_attempt_at -= datetime.timedelta(hours=hours)
        wish.save()


def unanswered(top_up: TopUp, hours: float = 0.1) -> TopUp:
    """The row as it lies there when nobody has heard from Stripe for so long."""
    before = timezone.now() - datetime.timedelta(hours=hours)
    TopUp.objects.filter(pk=top_up.pk).update(checked_at=before, created_at=before)
    return TopUp.objects.get(pk=top_up.pk)


def test_below_five_add_ten_once_for_each_crossing(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = switched_on(stripe_at_hand, alices)
    assert [auto_topups.charge_due() for _ in range(3)] == [1, 0, 0]
    [top_up] = automatic(alices)
    assert (top_up.state, top_up.received_cents, top_up.tax_cents) == (State.PAID, 1000, 0)
    assert top_up.payment_method_id == saved.payment_method_id
    assert top_up.session_id is None
    assert top_up.charge_id
    assert top_up.receipt_url.startswith(stripe_at_hand.url)
    assert balance_cents(alices) == 1000
    spend(alices, 500, "spent-1")
    assert auto_topups.charge_due() == 0, "five is not below five"
    spend(alices, 1, "spent-2")
    assert auto_topups.charge_due() == 1
    assert balance_cents(alices) == 1499
    assert Transfer.objects.filter(code="top_up").count() == 2


def test_the_payment_names_our_row_and_asks_nobody(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = switched_on(stripe_at_hand, alices)
    auto_topups.charge_due()
    [payment] = payments_at_stripe(stripe_at_hand, alices)
    [top_up] = automatic(alices)
    assert payment.id == top_up.payment_intent_id
    assert payment.metadata["top_up_id"] == str(top_up.pk)
    assert payment.payment_method == saved.payment_method_id
    assert (payment.amount, payment.currency) == (1000, "usd")
    assert Transfer.objects.get().reference == f"top_up:{payment.id}"


def test_holds_are_no_reason_to_charge(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices)
    auto_topups.charge_due()
    later = timezone.now() + datetime.timedelta(minutes=15)
    Hold.objects.create(
        id=uuid4(), wallet=alices, reference="1", memo="gpt", amount_nanousd=900 * CENT, expires_at=later
    )
    Funds.objects.filter(wallet=alices).update(held_nanousd=900 * CENT)
    assert auto_topups.charge_due() == 0
    assert balance_cents(alices) == 1000


def test_at_most_so_much_in_a_month(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, wish=replace(BELOW_5_ADD_10, monthly_cents=2500))
    for number in range(4):
        auto_topups.charge_due()
        spend(alices, 1000, f"spent-{number}")
    assert auto_topups.charged_this_month_cents(alices.pk) == 2000
    assert len(automatic(alices)) == 2
    waits_for = wish_of(alices).next_attempt_at
    assert waits_for is not None
    assert (waits_for.day, waits_for.hour) == (1, 0)
    assert waits_for > timezone.now()
    # Those of last month don't count.
    TopUp.objects.update(created_at=timezone.now().replace(day=1) - datetime.timedelta(days=2))
    let_pass(24 * 40)
    assert auto_topups.charge_due() == 1


@pytest.mark.parametrize("state", [State.PENDING, State.PAID, State.PARKED])
def test_what_may_have_been_charged_counts_for_the_month(alices: Wallet, state: str) -> None:
    TopUp.objects.create(wallet=alices, amount_cents=700, state=state, is_automatic=True)
    TopUp.objects.create(wallet=alices, amount_cents=100, state=State.FAILED, is_automatic=True)
    TopUp.objects.create(wallet=alices, amount_cents=100, state=State.EXPIRED, is_automatic=True)
    TopUp.objects.create(wallet=alices, amount_cents=100, state=State.PAID)
    assert auto_topups.charged_this_month_cents(alices.pk) == 700


def test_after_declines_it_waits_longer_and_longer_then_pauses_and_writes(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    for hours in (1, 6, 24):
        assert auto_topups.charge_due() == 1
        assert auto_topups.charge_due() == 0
        waits = wish_of(alices).next_attempt_at
        assert waits is not None
        assert abs(waits - timezone.now() - datetime.timedelta(hours=hours)) < datetime.timedelta(minutes=1)
        let_pass(hours - 0.1)
        assert auto_topups.charge_due() == 0
        let_pass(0.2)
    assert auto_topups.charge_due() == 1
    assert wish_of(alices).paused_for == DECLINED
    let_pass(1000)
    assert auto_topups.charge_due() == 0
    attempts = automatic(alices)
    assert [attempt.state for attempt in attempts] == [State.FAILED] * 4
    assert {attempt.problem for attempt in attempts} == {"Your card was declined."}
    assert len({attempt.payment_intent_id for attempt in attempts}) == 4, (
        "each attempt is a question of its own"
    )
    assert [auto_topup_mail.tell_stopped() for _ in range(2)] == [1, 0]
    [letter] = mail.outbox
    assert letter.to == ["alice@example.com"]
    assert DECLINED in letter.body
    assert "/wallet/" in letter.body
    assert balance_cents(alices) == 0


def test_the_job_saves_charges_and_writes(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="authenticates")
    tasks.top_up_automatically()
    auto_topups.switch_on(alices, BELOW_5_ADD_10)
    tasks.top_up_automatically()
    assert [top_up.state for top_up in automatic(alices)] == [State.FAILED]
    assert len(mail.outbox) == 1
    entries = app.conf.beat_schedule.values()
    assert [entry["schedule"] for entry in entries if entry["task"] == tasks.top_up_automatically.name] == [
        30.0
    ]


def test_a_success_forgets_declines(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    assert wish_of(alices).declines == 1
    stripe_at_hand.command(f"payment_methods/{saved.payment_method_id}/behave", outcome="succeeds")
    let_pass(1.1)
    auto_topups.charge_due()
    assert (wish_of(alices).declines, wish_of(alices).next_attempt_at) == (0, None)
    assert balance_cents(alices) == 1000


def test_a_bank_that_wants_the_person_pauses_it_at_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="authenticates")
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert top_up.state == State.FAILED
    assert "confirm the payment yourself" in wish_of(alices).paused_for
    auto_topup_mail.tell_stopped()
    assert "confirm the payment yourself" in mail.outbox[0].body
    assert auto_topups.charge_due() == 0
    auto_topups.switch_on(alices, BELOW_5_ADD_10)
    assert auto_topups.charge_due() == 1


def test_a_mail_that_can_not_be_sent_is_sent_later(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices, card="authenticates")
    auto_topups.charge_due()

    def refuse(*_: object) -> None:
        raise OSError("Connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(auto_topup_mail, "send_mail", refuse)
        assert auto_topup_mail.tell_stopped() == 0
    assert auto_topup_mail.tell_stopped() == 1
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(("outcome", "state", "cents"), [("succeeds", "paid", 1000), ("fails", "failed", 0)])
def test_a_payment_that_takes_its_time(
    alices: Wallet, stripe_at_hand: Sandbox, outcome: str, state: str, cents: int
) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert top_up.state == State.PENDING
    assert auto_topups.charge_due() == 0, "one at a time"
    topups.settle_unfinished()
    assert automatic(alices)[0].state == State.PENDING
    stripe_at_hand.command(f"payment_intents/{top_up.payment_intent_id}/settle", outcome=outcome)
    topups.settle_unfinished()
    assert automatic(alices)[0].state == state
    assert wish_of(alices).declines == (0 if cents else 1)
    assert balance_cents(alices) == cents


def test_the_events_of_a_payment_in_any_order_and_number_are_one_credit(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    charged = stripe_api.charge_card(
        customer_id=StripeCustomer.objects.get(wallet=alices).customer_id,
        payment_method_id=top_up.payment_method_id,
        amount_cents=1000,
        top_up_id=str(top_up.pk),
        idempotency_key=f"auto-top-up-{top_up.pk}",
    )
    stripe_at_hand.command(f"payment_intents/{charged.id}/settle", outcome="succeeds")
    for number, kind in enumerate(["succeeded", "processing", "payment_failed", "canceled", "succeeded"]):
        event = StripeEvent.objects.create(
            id=f"evt_{number}",
            type=f"payment_intent.{kind}",
            object_id=charged.id,
            livemode=False,
            payload={},
        )
        assert events.handle(event.pk)
        event.refresh_from_db()
        assert event.state == "handled", event.error
    auto_topups.charge(top_up)
    assert automatic(alices)[0].state == State.PAID
    assert balance_cents(alices) == 1000
    assert len(payments_at_stripe(stripe_at_hand, alices)) == 1


def test_a_decline_that_its_event_told_first_counts_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    for _ in range(3):
        follow = topups.heard_of_payment(str(top_up.payment_intent_id))
        with transaction.atomic():
            follow()
    assert wish_of(alices).declines == 1


def test_an_answer_that_got_lost_is_found_at_stripe(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    real = stripe_api.charge_card

    def lost(**question: Any) -> Payment:
        real(**question)
        raise StripeUnavailable("Read timed out.")

    with monkeypatch.context() as patch:
        patch.setattr(stripe_api, "charge_card", lost)
        auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert top_up.state == State.CREATED
    assert auto_topups.charge_due() == 0, "one at a time"
    assert auto_topups.settle(top_up).state == State.CREATED, "it was asked a moment ago"
    monkeypatch.setattr(stripe_api, "charge_card", None)  # Never asked for again.
    assert auto_topups.settle(unanswered(top_up, hours=30)).state == State.PAID
    assert balance_cents(alices) == 1000


def test_a_question_that_got_lost_is_asked_again_under_its_key(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    asked: list[str] = []

    def away(**question: Any) -> Payment:
        asked.append(question["idempotency_key"])
        raise StripeUnavailable("Connection refused.")

    with monkeypatch.context() as patch:
        patch.setattr(stripe_api, "charge_card", away)
        auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert asked == [f"auto-top-up-{top_up.pk}"]
    assert auto_topups.settle(unanswered(top_up)).state == State.PAID
    assert balance_cents(alices) == 1000


@pytest.mark.parametrize("why", ["too old", "off", "suspended", "removed", "paused"])
def test_what_stripe_never_heard_of_is_given_up_when_it_is_too_old_or_not_wanted(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    switched_on(stripe_at_hand, alices)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    match why:
        case "off":
            assert auto_topups.switch_off(alices) == top_up, "it is said to be under way"
        case "suspended":
            Wallet.objects.update(suspended_at=timezone.now())
        case "removed":
            SavedCard.objects.all().delete()
        case "paused":
            AutoTopUp.objects.update(paused_for="Something.")
    monkeypatch.setattr(stripe_api, "charge_card", None)
    old = unanswered(top_up, hours=21 if why == "too old" else 0.1)
    assert auto_topups.settle(old).state == State.EXPIRED
    assert payments_at_stripe(stripe_at_hand, alices) == []
    assert balance_cents(alices) == 0


def test_an_error_of_stripes_own_is_not_repeated_for_ever(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)

    def failing(**_: Any) -> Payment:
        raise StripeFailed("Something went wrong on Stripe's end.")

    monkeypatch.setattr(stripe_api, "charge_card", failing)
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert top_up.state == State.CREATED
    for number in range(len(WAITS) + 1):
        [top_up] = TopUp.objects.filter(state=State.CREATED)
        ended = auto_topups.settle(unanswered(top_up))
        assert (ended.state, ended.problem) == (State.FAILED, STRIPE_FAILED)
        wish = wish_of(alices)
        assert (wish.declines, wish.paused_for, wish.is_on) == (0, "", True), "the card was not declined"
        assert auto_topups.charge_due() == 0, "not at once"
        let_pass(1.1)
        if number < len(WAITS):
            assert auto_topups.charge_due() == 1
    monkeypatch.undo()
    assert auto_topups.charge_due() == 1
    assert balance_cents(alices) == 1000
    assert len(payments_at_stripe(stripe_at_hand, alices)) == 1


def test_a_refusal_is_looked_behind_first(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the parameters of a release differ: Stripe refuses the key, and the charge was made."""
    switched_on(stripe_at_hand, alices)
    real = stripe_api.charge_card

    def refused(**question: Any) -> Payment:
        real(**question)
        raise StripeRefused("Keys for idempotent requests can only be used with the same parameters.")

    monkeypatch.setattr(stripe_api, "charge_card", refused)
    auto_topups.charge_due()
    assert automatic(alices)[0].state == State.PAID
    assert balance_cents(alices) == 1000


def test_a_card_that_is_gone_switches_it_off(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = switched_on(stripe_at_hand, alices)
    stripe_at_hand.client().v1.payment_methods.detach(saved.payment_method_id)
    auto_topups.charge_due()
    assert automatic(alices)[0].state == State.FAILED
    assert not SavedCard.objects.exists()
    wish = wish_of(alices)
    assert (wish.is_on, wish.paused_for) == (False, cards.REMOVED)
    auto_topup_mail.tell_stopped()
    assert cards.REMOVED in mail.outbox[0].body


def test_no_card_or_a_suspended_wallet_can_not_be_switched_on(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    with pytest.raises(auto_topups.NoCard):
        auto_topups.switch_on(alices, BELOW_5_ADD_10)
    save_card(stripe_at_hand, alices)
    Wallet.objects.update(suspended_at=timezone.now())
    with pytest.raises(Suspended):
        auto_topups.switch_on(alices, BELOW_5_ADD_10)
    assert not AutoTopUp.objects.exists()


@pytest.mark.parametrize("why", ["off", "suspended", "locked out", "paused", "waiting", "no card"])
def test_no_charge_begins_without_a_standing_wish(alices: Wallet, stripe_at_hand: Sandbox, why: str) -> None:
    switched_on(stripe_at_hand, alices)
    match why:
        case "off":
            assert auto_topups.switch_off(alices) is None
        case "suspended":
            Wallet.objects.update(suspended_at=timezone.now())
        case "locked out":
            type(alices.owner).objects.update(is_active=False)
        case "paused":
            AutoTopUp.objects.update(paused_for="Something.")
        case "waiting":
            AutoTopUp.objects.update(next_attempt_at=timezone.now() + datetime.timedelta(hours=1))
        case "no card":
            SavedCard.objects.all().delete()
    assert list(auto_topups.due(10)) == []
    assert auto_topups.begin(alices.pk) is None, "looked at again under the locks"
    assert not automatic(alices)


def test_the_database_refuses_a_second_one(alices: Wallet) -> None:
    TopUp.objects.create(wallet=alices, amount_cents=100, is_automatic=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        TopUp.objects.create(wallet=alices, amount_cents=100, is_automatic=True, state=State.PENDING)


def test_what_does_not_fit_is_parked_and_pauses_it(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    real = stripe_api.charge_card
    monkeypatch.setattr(stripe_api, "charge_card", lambda **asked: replace(real(**asked), amount=999))
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert top_up.state == State.PARKED
    assert wish_of(alices).paused_for == DOES_NOT_FIT
    assert balance_cents(alices) == 0


def test_a_payment_of_nobody_is_parked(transactional_db: None, stripe_at_hand: Sandbox) -> None:
    made = stripe_at_hand.client().v1.payment_intents.create({"amount": 500, "currency": "usd"})
    with pytest.raises(Parked, match="nor for an automatic top-up"):
        topups.heard_of_payment(made.id)


def test_one_wallet_that_fails_holds_up_no_other(
    alices: Wallet, stripe_at_hand: Sandbox, charlie: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = wallet_of(charlie)
    switched_on(stripe_at_hand, alices)
    switched_on(stripe_at_hand, other)
    real = auto_topups.begin

    def broken(wallet_id: int) -> TopUp | None:
        if wallet_id == alices.pk:
            raise RuntimeError("broken")
        return real(wallet_id)

    monkeypatch.setattr(auto_topups, "begin", broken)
    assert auto_topups.charge_due() == 1
    assert balance_cents(other) == 1000


ROW = TopUp(amount_cents=1000)
FITS = Payment(
    id="pi_1",
    status="succeeded",
    amount=1000,
    amount_received=1000,
    currency="usd",
    livemode=False,
    customer_id="cus_1",
    top_up_id=str(ROW.pk),
    charge_id="ch_1",
    receipt_url=None,
)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, State.PAID),
        ({"status": "processing"}, State.PENDING),
        ({"status": "requires_confirmation"}, State.PENDING),
        ({"status": "requires_payment_method"}, State.FAILED),
        ({"status": "requires_action"}, State.FAILED),
        ({"status": "canceled"}, State.FAILED),
        ({"status": "requires_capture"}, State.PARKED),
        ({"status": "of_the_future"}, State.PARKED),
        ({"amount_received": 999}, State.PARKED),
        ({"amount": 999, "amount_received": 999}, State.PARKED),
        ({"currency": "eur"}, State.PARKED),
        ({"currency": "USD"}, State.PARKED),
        ({"livemode": True}, State.PARKED),
        ({"customer_id": "cus_2"}, State.PARKED),
        ({"customer_id": None}, State.PARKED),
        ({"top_up_id": None}, State.PARKED),
    ],
)
def test_what_a_payment_means(change: dict[str, Any], state: str) -> None:
    verdict = judge_payment(replace(FITS, **change), ROW, customers=["cus_1", "cus_before"], livemode=False)
    assert verdict.state == state
    assert verdict.received_cents == (1000 if state == State.PAID else None)
    assert bool(verdict.problem) == (state in (State.PARKED, State.FAILED))


def test_another_payment_for_the_same_row_is_parked() -> None:
    row = TopUp(pk=ROW.pk, amount_cents=1000, payment_intent_id="pi_other")
    assert judge_payment(FITS, row, customers=["cus_1", "cus_before"], livemode=False).state == State.PARKED
