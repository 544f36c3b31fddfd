"""Tells the owner of a wallet what became of a refund, in plain text."""

from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string

from wallet.models import Refund
from wallet.refunds import requests as refund_requests

State = Refund.State
SUBJECTS = {
    State.SUCCEEDED: "Your refund is on its way to you",
    State.DECLINED: "Your refund was declined",
    State.CANCELED: "Your refund was canceled",
    State.FAILED: "Your refund could not be paid out",
}


def send(request_id: UUID, only: UUID | None = None) -> None:
    """What became of a request, or of `only` one row of it, which changed after the request was told of.

    Nothing while a part is under way, or where the account is closed.
    """
    asked = refund_requests.find(request_id)
    if asked is not None and only is not None:
        asked = refund_requests.Request(request_id, [row for row in asked.rows if row.pk == only])
    if asked is None or not asked.is_settled:
        return
    owner = asked.rows[0].wallet.owner
    if owner.closed_at is not None:
        return
    context = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "asked": asked,
        "page": settings.SITE_URL + refund_requests.path(request_id),
    }
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{_subject(asked)}",
        render_to_string("wallet/email/refund_message.txt", context),
        None,
        [owner.email],
    )


def _subject(asked: refund_requests.Request) -> str:
    states = {State(row.state) for row in asked.rows}
    if len(states) == 1:
        return SUBJECTS[states.pop()]
    return "Your refund was partly given back" if State.SUCCEEDED in states else "Nothing came of your refund"
