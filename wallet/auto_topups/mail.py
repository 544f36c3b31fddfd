"""Writes to the owner of a wallet that is topped up by itself: what was charged, what was declined, and that it stopped.

The mark that a mail is due is written with what it tells, in one transaction; the rows say whether it was sent. They are
sent in any order, so that those that can never be sent hold up no other.
"""

from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Model, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse

from wallet import ledger, rounds, unsent
from wallet.models import AutoTopUp, SavedCard, TopUp, Wallet

# A mail server that hangs must not take the time of the job that charges.
MAIL_S = 15.0


def tell_charges(limit: int = 100) -> int:
    """One round of the periodic job; returns how many were written about. Once for a charge, unless it can't be sent: then
    again later, for a day.
    """
    untold = TopUp.objects.filter(is_told=False).select_related("wallet__owner").order_by("?")
    told = 0

    def look(top_up: TopUp) -> None:
        nonlocal told
        found = TopUp.objects.filter(pk=top_up.pk)
        letter = _of_charge(top_up)
        if letter is None:
            found.update(is_told=True)
        else:
            told += _tell(f"top-up {top_up.pk}", found, top_up.wallet, *letter)

    rounds.go_round("the mail about", untold[:limit], look, seconds=MAIL_S)
    return told


def tell_stopped(limit: int = 100) -> int:
    """The same of automatic top-ups that stopped. Once for a stop, unless the mail can't be sent."""
    untold = AutoTopUp.objects.filter(is_told=False).exclude(paused_for="")
    untold = untold.select_related("wallet__owner").order_by("?")
    told = 0

    def look(wish: AutoTopUp) -> None:
        nonlocal told
        found = AutoTopUp.objects.filter(pk=wish.pk)
        letter = "Automatic top-up stopped", "auto_top_up_stopped", {"reason": wish.paused_for}
        told += _tell(f"automatic top-ups of wallet {wish.pk}", found, wish.wallet, *letter)

    rounds.go_round("the mail about", untold[:limit], look, seconds=MAIL_S)
    return told


def _of_charge(top_up: TopUp) -> tuple[str, str, dict[str, Any]] | None:
    """Subject, template and what it says; None where there is nothing to say any more."""
    card = SavedCard.objects.filter(
        wallet=top_up.wallet_id, payment_method_id=top_up.payment_method_id
    ).first()
    context = {"top_up": top_up, "card": card, "page_url": _url("top_up", top_up.pk)}
    if top_up.state == TopUp.State.PAID:
        balance_nanousd = ledger.balances(top_up.wallet).balance_nanousd
        return "Your card was charged", "auto_top_up_charged", context | {"balance_nanousd": balance_nanousd}
    wish = AutoTopUp.objects.filter(wallet=top_up.wallet_id, is_on=True, paused_for="").first()
    if wish is None or wish.next_attempt_at is None:
        return None
    return "Your card was declined", "auto_top_up_declined", context | {"next_at": wish.next_attempt_at}


def _tell[R: Model](
    name: str, rows: QuerySet[R], wallet: Wallet, subject: str, template: str, context: dict[str, Any]
) -> bool:
    owner = wallet.owner
    # Whoever changes the mark writes. A crash between the two loses a mail; the page still tells.
    if not rows.filter(is_told=False).update(is_told=True) or not owner.is_active:
        return False
    context |= {
        "wallet_url": _url("wallet"),
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
    }

    def write() -> None:
        send_mail(
            f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}",
            render_to_string(f"wallet/email/{template}_message.txt", context),
            None,
            [owner.email],
        )

    is_done = False
    try:
        is_done = unsent.send(name, wallet.pk, write)
    finally:
        if not is_done:
            rows.update(is_told=False)
    return is_done


def _url(name: str, *args: Any) -> str:
    return settings.SITE_URL + reverse(name, args=args)
