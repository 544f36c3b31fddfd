"""Keys that somebody else than their owner stops: why, and the mail that tells the owner.

The only module that writes notices. A notice is written in the transaction that ends the key, so neither exists without
the other; the mail follows from the table, whatever else goes wrong. Locks the key's row.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from accounts.models import User
from tokens import keys, masking
from tokens.models import ApiKey, Notice
from wallet import rounds, unsent

PERMISSION = "tokens.revoke_apikey"
ACTION = "tokens.revoke"
Cause, Ended = Notice.Cause, Notice.Ended
SUBJECTS: Mapping[str, str] = {
    Cause.LEAK: "A key of yours was found in public",
    Cause.STAFF: "A key of yours was revoked",
}


def may_revoke(actor: User) -> bool:
    return audit.may(actor, PERMISSION)


def revoke(by: Instruction, key: ApiKey) -> None:
    """Staff revoke it; its owner reads the reason. Once per request id. Raises Refused, or PermissionDenied."""
    audit.allow(by.actor, PERMISSION)
    with transaction.atomic():
        # Named by its wallet, as everything that is done to what hangs off one.
        if not audit.record(by, ACTION, key.wallet, {"key": key.pk, "hint": key.hint}):
            return
        if not keys.revoke(key):
            raise Refused("This key is revoked already.")
        Notice.objects.create(key=key, cause=Cause.STAFF, ended=Ended.KEY, hint=key.hint, reason=by.reason)


def found_in_public(key: ApiKey, text: str, *, url: str, source: str) -> None:
    """End this text of the key: the key, or only the overlap where it is one from before a rotation.

    The same text at the same place again changes nothing.
    """
    digest = keys.digest(text)
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        is_current = bytes(locked.digest) == digest
        if not is_current and bytes(locked.previous_digest or b"") != digest:
            return  # Rotated away meanwhile.
        hint = locked.hint if is_current else locked.previous_hint
        url = masking.masked(url)
        if Notice.objects.filter(key=locked, cause=Cause.LEAK, hint=hint, url=url).exists():
            return
        ended = _end(locked, is_current=is_current)
        Notice.objects.create(
            key=locked,
            cause=Cause.LEAK,
            ended=ended,
            hint=hint,
            url=url,
            source=masking.masked(source),
            told_at=timezone.now() if ended == Ended.NOTHING else None,
        )


def _end(key: ApiKey, *, is_current: bool) -> Notice.Ended:
    if key.is_revoked:
        return Ended.NOTHING
    if is_current:
        keys.revoke(key)
        return Ended.KEY
    return Ended.PREVIOUS if keys.end_overlap(key) else Ended.NOTHING


def tell_owners(limit: int = 500) -> int:
    """One round of the periodic job: write to owners who were not told yet. Returns at how many notices it looked."""
    # In any order, so that those who can't be written to don't come first for ever.
    due = Notice.objects.filter(told_at=None).order_by("?").values_list("pk", flat=True)[:limit]
    return rounds.go_round("the mail about a key, notice", due, _tell)


def _tell(notice_id: int) -> None:
    # Whoever changes the mark writes. A kill between the two loses a mail; the key's page still tells.
    if not Notice.objects.filter(pk=notice_id, told_at=None).update(told_at=timezone.now()):
        return
    notice = Notice.objects.select_related("key__wallet__owner").get(pk=notice_id)
    wallet = notice.key.wallet
    is_done = wallet.owner.closed_at is not None
    try:
        is_done = is_done or unsent.send(f"notice of a key {notice_id}", wallet.pk, lambda: _send(notice))
    finally:
        if not is_done:
            Notice.objects.filter(pk=notice_id).update(told_at=None)


def _send(notice: Notice) -> None:
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{SUBJECTS[notice.cause]}",
        render_to_string("tokens/email/notice_message.txt", _context(notice)),
        None,
        [notice.key.wallet.owner.email],
    )


def _context(notice: Notice) -> dict[str, Any]:
    return {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "notice": notice,
        "page": settings.SITE_URL + reverse("token", args=[notice.key_id]),
        "tokens_page": settings.SITE_URL + reverse("tokens"),
        "logs_page": f"{settings.SITE_URL}{reverse('logs')}?token={notice.key_id}",
    }
