"""Writes to the owner of a wallet about disputes of its payments: that a bank asks, that it disputes, how it ended.

Once for each of these, in whatever order Stripe tells them, and not about what is over by the next. The dispute's row says
what its owner was told last; so a mail that is due is found again, whoever should have sent it.
"""

import datetime
from functools import partial

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from wallet import rounds, unsent
from wallet.models import Dispute

Told = Dispute.Told
ORDER = ["", Told.ASKED, Told.OPENED, Told.DECIDED]
# Who began to send a mail and says nothing for this long has died over it.
GIVEN_UP = datetime.timedelta(minutes=10)


def tell_on_commit(dispute: Dispute) -> None:
    """Send what became due in this transaction, once it is committed."""
    if dispute.top_up_id is not None and ORDER.index(_stage(dispute)) > ORDER.index(dispute.told):
        transaction.on_commit(partial(_tell, dispute.pk), robust=True)


def tell_due(limit: int = 50) -> int:
    """One round of the periodic job: send what nobody has sent. Returns how many were looked at."""
    due = Dispute.objects.filter(_is_due()).values_list("pk", flat=True)
    return rounds.go_round("the mail about dispute", due[:limit], _tell)


def _is_due() -> Q:
    """Disputes of a wallet whose owner does not know yet how they stand, and whom nobody writes to at this moment."""
    asks, is_over = Q(status__in=Dispute.INQUIRIES), Q(status__in=Dispute.CLOSED)
    untold = Q(told="") | Q(told=Told.ASKED) & ~asks | Q(told=Told.OPENED) & is_over
    is_free = Q(mail_begun_at=None) | Q(mail_begun_at__lt=timezone.now() - GIVEN_UP)
    return untold & is_free & Q(top_up__isnull=False)


def _stage(dispute: Dispute) -> Dispute.Told:
    if dispute.status in Dispute.CLOSED:
        return Told.DECIDED
    return Told.ASKED if dispute.status in Dispute.INQUIRIES else Told.OPENED


def _tell(dispute_id: str) -> None:
    """Whoever takes it writes; nobody else does, unless that one dies."""
    if not Dispute.objects.filter(_is_due(), pk=dispute_id).update(mail_begun_at=timezone.now()):
        return
    dispute = Dispute.objects.select_related("top_up__wallet__owner").get(pk=dispute_id)
    if _concerns_owner(dispute):
        assert dispute.top_up is not None
        if not unsent.send(f"dispute {dispute_id}", dispute.top_up.wallet_id, lambda: _send(dispute)):
            return
    Dispute.objects.filter(pk=dispute_id, told=dispute.told).update(told=_stage(dispute), mail_begun_at=None)


def _concerns_owner(dispute: Dispute) -> bool:
    """Not who has closed the account, nor what was over before anything was said of it or taken."""
    assert dispute.top_up is not None
    is_news = bool(dispute.told) or dispute.withdrawn_cents > 0 or dispute.is_open
    return is_news and dispute.top_up.wallet.owner.closed_at is None


def _send(dispute: Dispute) -> None:
    assert dispute.top_up is not None
    context = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "dispute": dispute,
        "stage": _stage(dispute),
        "page": settings.SITE_URL + reverse("wallet") + "#disputes",
    }
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{_subject(dispute)}",
        render_to_string("wallet/email/dispute_message.txt", context),
        None,
        [dispute.top_up.wallet.owner.email],
    )


def _subject(dispute: Dispute) -> str:
    match dispute.status:
        case Dispute.Status.WON:
            return "The dispute of your payment was decided for you"
        case Dispute.Status.LOST:
            return "The dispute of your payment was decided against you"
    if _stage(dispute) == Told.DECIDED:
        return "The question about your payment is settled"
    return (
        "A bank asks about your payment" if _stage(dispute) == Told.ASKED else "A bank disputes your payment"
    )
