"""Tells the owner of a wallet what became of a refund, in plain text.

The mark that a mail is due is written with the end of a refund, in one transaction; what could not be sent is found again.
"""

from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Exists, OuterRef
from django.template.loader import render_to_string

from wallet import rounds, unsent
from wallet.models import Refund
from wallet.refunds import requests as refund_requests
from wallet.refunds.requests import NEWEST, Request
from wallet.transactions import rows

State = Refund.State
SUBJECTS = {
    State.SUCCEEDED: "Your refund is on its way to you",
    State.DECLINED: "Your refund was declined",
    State.CANCELED: "Your refund was canceled",
    State.FAILED: "Your refund could not be paid out",
}


def tell(request_id: UUID) -> None:
    """Write about what has ended of a request, once nothing of it is under way: all of it, or what changed after that."""
    of_request = Refund.objects.filter(request_id=request_id)
    if of_request.filter(state__in=Refund.UNFINISHED).exists():
        return
    # Whoever changes the marks writes. A crash between the two loses a mail; the page still tells.
    taken = {
        row[0]
        for row in rows(
            "UPDATE wallet_refund SET is_told = true WHERE request_id = %s AND NOT is_told RETURNING id",
            [request_id],
        )
    }
    asked = Request(
        request_id,
        list(of_request.filter(pk__in=taken).select_related("top_up", "wallet__owner").order_by(*NEWEST)),
    )
    if not taken or asked.rows[0].wallet.owner.closed_at is not None:
        return
    is_done = False
    try:
        is_done = unsent.send(f"refund {request_id}", asked.rows[0].wallet_id, lambda: _send(asked))
    finally:
        if not is_done:
            of_request.filter(pk__in=taken).update(is_told=False)


def tell_due(limit: int = 50) -> int:
    """One round of the periodic job: send what nobody has sent. Returns how many were looked at."""
    under_way = Refund.objects.filter(state__in=Refund.UNFINISHED, request_id=OuterRef("request_id"))
    # In any order, so that those that can never be sent hold up no other.
    due = Refund.objects.filter(~Exists(under_way), is_told=False).order_by("?")
    return rounds.go_round(
        "the mail about refund request",
        dict.fromkeys(due.values_list("request_id", flat=True)[:limit]),
        tell,
    )


def _send(asked: Request) -> None:
    context = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "asked": asked,
        "page": settings.SITE_URL + refund_requests.path(asked.id),
    }
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{_subject(asked)}",
        render_to_string("wallet/email/refund_message.txt", context),
        None,
        [asked.rows[0].wallet.owner.email],
    )


def _subject(asked: Request) -> str:
    states = {State(row.state) for row in asked.rows}
    if len(states) == 1:
        return SUBJECTS[states.pop()]
    return "Your refund was partly given back" if State.SUCCEEDED in states else "Nothing came of your refund"
