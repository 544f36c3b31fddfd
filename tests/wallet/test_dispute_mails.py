"""What the owner of a wallet is told about disputes by mail: each once, whatever the order and whoever dies."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.test_disputes import disputed, hear, move, paid, told
from tests.wallet.test_events import handled
from wallet import dispute_mail, disputes
from wallet.models import Dispute, TopUp, UnsentMail, Wallet


@pytest.fixture(autouse=True)
def _support(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SUPPORT_EMAIL", "help@example.com")
    monkeypatch.setattr("wallet.tasks.hint", lambda event_id: None)


def subjects() -> list[str]:
    return [each.subject.removeprefix(settings.ACCOUNT_EMAIL_SUBJECT_PREFIX) for each in mail.outbox]


def body() -> str:
    return str(mail.outbox[-1].body)


OPENED = "A bank disputes your payment"
ASKED = "A bank asks about your payment"
WON = "The dispute of your payment was decided for you"
LOST = "The dispute of your payment was decided against you"


def test_opened_and_won(alices: Wallet, alice: User, stripe_at_hand: Sandbox) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    for _ in range(3):
        hear(dispute_id)
    assert (subjects(), mail.outbox[0].to) == ([OPENED], [alice.email])
    assert "your payment of $10.00 of " in body()
    assert "$10.00 left your wallet for that; where nothing is left, your keys stop." in body()
    assert "write to help@example.com" in body()
    assert "/wallet/#disputes" in body()
    move(stripe_at_hand, dispute_id, "win")
    for _ in range(3):
        hear(dispute_id)
    assert subjects() == [OPENED, WON]
    assert "All that it took is in your wallet again." in body()
    assert disputes.look_again() == 0
    assert len(mail.outbox) == 2


def test_lost(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices), amount=300)
    hear(dispute_id)
    move(stripe_at_hand, dispute_id, "lose")
    hear(dispute_id)
    assert subjects() == [OPENED, LOST]
    assert "It keeps $3.00, which had left your wallet." in body()


def test_an_inquiry_that_becomes_a_dispute(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices), inquiry="true")
    hear(dispute_id)
    assert (subjects(), "Nothing was taken from your wallet." in body()) == ([ASKED], True)
    move(stripe_at_hand, dispute_id, "escalate")
    hear(dispute_id)
    assert subjects() == [ASKED, OPENED]


def test_one_that_came_to_nothing(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices), inquiry="true")
    hear(dispute_id)
    move(stripe_at_hand, dispute_id, "close")
    hear(dispute_id)
    assert subjects() == [ASKED, "The question about your payment is settled"]
    assert "Nothing is missing in your wallet for it." in body()


def test_what_was_over_before_it_was_heard_of(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    """A decision is told alone; an inquiry that nobody knew of is not told at all."""
    decided = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    move(stripe_at_hand, decided, "lose")
    hear(decided)
    asked = disputed(stripe_at_hand, paid(stripe_at_hand, alices), inquiry="true")
    move(stripe_at_hand, asked, "close")
    hear(asked)
    assert subjects() == [LOST]
    assert list(Dispute.objects.values_list("told", flat=True)) == ["decided"] * 2


@pytest.mark.parametrize("is_reversed", [False, True])
def test_events_in_any_order(alices: Wallet, stripe_at_hand: Sandbox, is_reversed: bool) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    move(stripe_at_hand, dispute_id, "win")
    events = told(stripe_at_hand, dispute_id)
    for event in reversed(events) if is_reversed else events:
        handled(event)
    assert subjects() == [WON]


def test_many_at_once_write_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    at_once(8, lambda number: hear(dispute_id) if number % 2 else dispute_mail.tell_due())
    dispute_mail.tell_due()
    assert subjects() == [OPENED]


def test_a_mail_that_was_not_sent_is_found_again(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever should have sent it died before it began, then one that had begun."""
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    with monkeypatch.context() as dies:
        dies.setattr(dispute_mail, "_tell", lambda dispute_id: None)
        hear(dispute_id)
    assert mail.outbox == []
    Dispute.objects.update(mail_begun_at=timezone.now())
    disputes.look_again()
    assert mail.outbox == []
    Dispute.objects.update(mail_begun_at=timezone.now() - timedelta(minutes=11))
    disputes.look_again()
    disputes.look_again()
    assert subjects() == [OPENED]


def test_where_mail_can_not_be_sent_it_is_tried_again(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> None:
        raise OSError("no such host")

    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    with monkeypatch.context() as away:
        away.setattr(dispute_mail, "send_mail", refuses)
        assert hear(dispute_id).withdrawn_cents == 1000
        Dispute.objects.update(mail_begun_at=None)
        dispute_mail.tell_due()
    # As if it had waited long enough.
    UnsentMail.objects.update(since=F("tried_at"))
    Dispute.objects.update(mail_begun_at=None)
    dispute_mail.tell_due()
    assert subjects() == [OPENED]


def test_whoever_has_left_is_not_written_to(alices: Wallet, alice: User, stripe_at_hand: Sandbox) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    User.objects.filter(pk=alice.pk).update(closed_at=timezone.now(), is_active=False)
    hear(dispute_id)
    dispute_mail.tell_due()
    assert (mail.outbox, Dispute.objects.get().told) == ([], "opened")


def test_nobody_is_written_to_about_a_payment_of_nobody(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    TopUp.objects.update(payment_intent_id="pi_other", charge_id="ch_other", session_id="cs_other")
    hear(dispute_id)
    dispute_mail.tell_due()
    assert mail.outbox == []
