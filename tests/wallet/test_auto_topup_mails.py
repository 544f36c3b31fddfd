"""What the owner of a wallet is written to about charges of the saved card: once each, found again by the job."""

from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.core import mail
from django.utils import timezone

from accounts import closing
from accounts.models import User
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.mailing import refusing
from tests.wallet.saved import automatic, save_card, switched_on
from tests.wallet.test_auto_topups import let_pass, unanswered, wish_of
from tests.wallet.test_topups import pay, started
from wallet import auto_topups, stripe_api, tasks, topups
from wallet.auto_topups import endings
from wallet.auto_topups import mail as auto_topup_mail
from wallet.models import SavedCard, TopUp, Wallet
from wallet.stripe_api import Payment, StripeFailed
from wallet.wallets import wallet_of


def letters(part: str) -> list[str]:
    """Bodies of those with this in their subject, each as one line."""
    return [" ".join(str(one.body).split()) for one in mail.outbox if part in one.subject]


def test_a_charge_is_told_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices)
    auto_topups.charge_due()
    assert not mail.outbox, "the mark is written with the credit, the mail is sent by the job"
    for _ in range(3):
        tasks.top_up_automatically()
    [letter] = mail.outbox
    assert letter.to == ["alice@example.com"]
    [body] = letters("Your card was charged")
    assert "$10.00 was charged to your Visa ending in 4242 and added to your wallet" in body
    assert "The balance is $10.00 now." in body
    assert f"/wallet/top-ups/{automatic(alices)[0].pk}/" in body
    assert "switch it off: http" in body
    assert body.count("/wallet/#auto-top-up") == 1


def test_a_charge_that_an_event_told_of_is_told_too(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="processing")
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    stripe_at_hand.command(f"payment_intents/{top_up.payment_intent_id}/settle", outcome="succeeds")
    SavedCard.objects.all().delete()
    topups.settle(top_up.pk)
    assert auto_topup_mail.tell_charges() == 1
    assert "was charged to your saved card and added" in letters("Your card was charged")[0]


def test_a_top_up_by_hand_is_not_written_about(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    save_card(stripe_at_hand, alices)
    top_up = started(alices)
    pay(stripe_at_hand, top_up)
    topups.settle(top_up.pk)
    assert auto_topup_mail.tell_charges() == 0


def test_the_mark_and_the_credit_are_one(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)

    def broken(*_: Any) -> None:
        raise RuntimeError("after the credit, before the end")

    monkeypatch.setattr(endings, "follow", broken)
    auto_topups.charge_due()
    [top_up] = automatic(alices)
    assert (top_up.state, top_up.is_told) == (TopUp.State.CREATED, True)
    monkeypatch.undo()
    auto_topups.settle(unanswered(top_up))
    [top_up] = automatic(alices)
    assert (top_up.state, top_up.is_told) == (TopUp.State.PAID, False)


def test_of_declines_in_a_row_the_first_is_told(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    for _ in range(4):
        tasks.top_up_automatically()
        tasks.top_up_automatically()
        let_pass(25)
    assert len(mail.outbox) == 2
    [body] = letters("Your card was declined")
    assert "your Visa ending in 0341 was to be charged $10.00" in body
    assert "was declined: Your card was declined. Nothing was charged. It is tried again after" in body
    assert "UTC" in body
    assert len(letters("Automatic top-up stopped")) == 1


def test_the_first_decline_after_a_success_is_told_again(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    saved = switched_on(stripe_at_hand, alices, card="declines_later")
    for outcome in ("declined", "succeeds", "declined"):
        stripe_at_hand.command(f"payment_methods/{saved.payment_method_id}/behave", outcome=outcome)
        TopUp.objects.filter(wallet=alices).update(created_at=timezone.now())
        let_pass(25)
        tasks.top_up_automatically()
        if outcome == "succeeds":
            auto_topups.switch_on(alices, auto_topups.Wish(1500, 1000, 5000))
    assert len(letters("Your card was declined")) == 2
    assert len(letters("Your card was charged")) == 1


def test_a_decline_that_is_over_when_its_turn_comes_is_not_told(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    auto_topups.switch_off(alices)
    assert [auto_topup_mail.tell_charges() for _ in range(2)] == [0, 0]
    assert not TopUp.objects.filter(is_told=False).exists()
    assert not mail.outbox


def test_an_error_of_stripes_own_is_not_written_about(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)

    def failing(**_: Any) -> Payment:
        raise StripeFailed("Bad gateway.")

    monkeypatch.setattr(stripe_api, "charge_card", failing)
    auto_topups.charge_due()
    auto_topups.settle(unanswered(automatic(alices)[0]))
    assert wish_of(alices).next_attempt_at
    tasks.top_up_automatically()
    assert not mail.outbox


def test_a_mail_that_can_not_be_sent_is_sent_later(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    auto_topups.charge_due()

    def refuse(*_: object) -> None:
        raise OSError("Connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(auto_topup_mail, "send_mail", refuse)
        assert auto_topup_mail.tell_charges() == 0
    assert [auto_topup_mail.tell_charges() for _ in range(2)] == [1, 0]


def test_a_mail_server_that_hangs_loses_no_mail_and_takes_little_time(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on(stripe_at_hand, alices)
    auto_topups.charge_due()
    for number in range(5):
        TopUp.objects.create(
            wallet=alices, amount_cents=100, state="paid", payment_intent_id=f"pi_{number}", is_told=False
        )
    now = [1000.0]
    errors = iter([TimeoutError(), TimeoutError(), SoftTimeLimitExceeded()])
    monkeypatch.setattr("wallet.rounds.time.monotonic", lambda: now[0])

    def hang(*_: object) -> None:
        now[0] += 10
        raise next(errors)

    with monkeypatch.context() as patch:
        patch.setattr(auto_topup_mail, "send_mail", hang)
        assert auto_topup_mail.tell_charges() == 0
        with pytest.raises(SoftTimeLimitExceeded):
            auto_topup_mail.tell_charges()
    assert auto_topup_mail.tell_charges() == 6


def test_mails_that_can_never_be_sent_hold_up_no_other(
    alices: Wallet, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, wallet in enumerate((alices, wallet_of(charlie))):
        TopUp.objects.create(
            wallet=wallet, amount_cents=100, state="paid", payment_intent_id=f"pi_{number}", is_told=False
        )
    monkeypatch.setattr(auto_topup_mail, "send_mail", refusing(alices))
    assert sum(auto_topup_mail.tell_charges(limit=1) for _ in range(64)) == 1
    assert [each.to for each in mail.outbox] == [[charlie.email]]


def test_nobody_is_written_to_about_a_closed_account(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices, card="declines_later")
    auto_topups.charge_due()
    closing.close_own(alice)
    mail.outbox.clear()
    assert auto_topup_mail.tell_charges() == 0
    assert not mail.outbox
