"""Mails that a server never takes: tried ever more rarely, given up after a day, and shown to staff."""

import datetime
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core import mail
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts.models import User
from wallet import dispute_mail
from wallet.auto_topups import mail as auto_topup_mail
from wallet.models import AutoTopUp, Dispute, Refund, TopUp, UnsentMail, Wallet
from wallet.refunds import mail as refund_mail

MODULES = [auto_topup_mail, refund_mail, dispute_mail]
HOUR = datetime.timedelta(hours=1)


class Server:
    """Counts what it is asked to send, and refuses it for good."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, subject: str, text: str, sender: None, to: list[str]) -> int:
        self.asked += 1
        raise SMTPRecipientsRefused({to[0]: (550, f"No such person: {to[0]}".encode())})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    refusing = Server()
    for module in MODULES:
        monkeypatch.setattr(module, "send_mail", refusing)
    return refusing


def due(wallet: Wallet) -> None:
    """A charge, a stop, the end of a refund and a dispute, of which nobody was told."""
    top_up = TopUp.objects.create(
        wallet=wallet, amount_cents=100, state="paid", payment_intent_id="pi_1", is_told=False
    )
    AutoTopUp.objects.create(
        wallet=wallet, below_cents=1, add_cents=1, monthly_cents=1, paused_for="Gone.", is_told=False
    )
    Refund.objects.create(
        wallet=wallet, top_up=top_up, request_id=top_up.pk, amount_cents=1, state="failed", is_told=False
    )
    Dispute.objects.create(
        id="du_1", top_up=top_up, amount_cents=1, status="needs_response", opened_at=timezone.now()
    )


def rounds() -> None:
    auto_topup_mail.tell_charges()
    auto_topup_mail.tell_stopped()
    refund_mail.tell_due()
    dispute_mail.tell_due()


def let_pass(time: datetime.timedelta) -> None:
    UnsentMail.objects.update(since=F("since") - time, tried_at=F("tried_at") - time)
    Dispute.objects.update(mail_begun_at=F("mail_begun_at") - time)


def test_what_no_server_takes_is_tried_ever_more_rarely_and_given_up(
    alices: Wallet, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    due(alices)
    # One round after the other for two days, half a minute apart at first.
    for _ in range(20):
        rounds()
        let_pass(datetime.timedelta(seconds=30))
    assert 12 <= server.asked <= 30
    for _ in range(48):
        rounds()
        let_pass(HOUR)
    assert server.asked <= 56
    assert set(UnsentMail.objects.values_list("is_given_up", "problem")) == {
        (True, "SMTPRecipientsRefused 550")
    }
    asked = server.asked
    for _ in range(48):
        rounds()
        let_pass(HOUR)
    assert server.asked == asked
    assert not TopUp.objects.filter(is_told=False)
    assert not Refund.objects.filter(is_told=False)
    assert not AutoTopUp.objects.filter(is_told=False)
    assert not Dispute.objects.filter(told="")
    assert "Traceback" not in caplog.text
    assert "alice@" not in caplog.text


def test_one_that_is_sent_in_the_end_leaves_nothing_behind(
    alices: Wallet, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    due(alices)
    rounds()
    assert UnsentMail.objects.count() == 4
    monkeypatch.undo()
    let_pass(HOUR)
    rounds()
    assert (len(mail.outbox), UnsentMail.objects.count()) == (4, 0)
    rounds()
    assert len(mail.outbox) == 4


def test_the_end_of_a_task_is_no_failure_of_a_mail(alices: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: Any) -> int:
        raise SoftTimeLimitExceeded

    due(alices)
    for module in MODULES:
        monkeypatch.setattr(module, "send_mail", end)
    for tell in (
        auto_topup_mail.tell_charges,
        auto_topup_mail.tell_stopped,
        refund_mail.tell_due,
        dispute_mail.tell_due,
    ):
        with pytest.raises(SoftTimeLimitExceeded):
            tell()
    assert not UnsentMail.objects.exists()
    assert Refund.objects.filter(is_told=False).count() == TopUp.objects.filter(is_told=False).count() == 1


def test_staff_see_them(alices: Wallet, staff: User, server: Server) -> None:
    due(alices)
    rounds()
    UnsentMail.objects.filter(name__startswith="refund").update(is_given_up=True)
    desk = Client()
    desk.force_login(staff)
    page = desk.get("/admin/wallet/unsentmail/").text
    assert "SMTPRecipientsRefused 550" in page
    assert "given up" in page
    assert (
        desk.get("/admin/wallet/unsentmail/?q=alice@example.com").text.count("SMTPRecipientsRefused 550") == 4
    )
    assert (
        desk.get("/admin/wallet/unsentmail/?is_given_up__exact=1").text.count("SMTPRecipientsRefused 550")
        == 1
    )
