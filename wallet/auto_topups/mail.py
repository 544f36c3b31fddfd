"""Writes to the owner of a wallet whose automatic top-up stopped by itself. The row says whether that was done."""

import logging

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from wallet.models import AutoTopUp

logger = logging.getLogger(__name__)


def tell_stopped(limit: int = 100) -> int:
    """One round of the periodic job; returns how many were written to. Once for a stop, unless the mail can't be sent."""
    told = 0
    untold = AutoTopUp.objects.filter(is_told=False).exclude(paused_for="")
    for wish in untold.select_related("wallet__owner")[:limit]:
        # Whoever changes it writes. A crash between the two loses a mail; the page still tells.
        if not AutoTopUp.objects.filter(pk=wish.pk, is_told=False).update(is_told=True):
            continue
        try:
            _tell(wish)
            told += 1
        except OSError:
            logger.exception("The owner of wallet %s could not be written to.", wish.wallet_id)
            AutoTopUp.objects.filter(pk=wish.pk).exclude(paused_for="").update(is_told=False)
    return told


def _tell(wish: AutoTopUp) -> None:
    owner = wish.wallet.owner
    if not owner.is_active:
        return
    context = {
        "reason": wish.paused_for,
        "wallet_url": settings.SITE_URL + reverse("wallet"),
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
    }
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}Automatic top-up stopped",
        render_to_string("wallet/email/auto_top_up_stopped_message.txt", context),
        None,
        [owner.email],
    )
