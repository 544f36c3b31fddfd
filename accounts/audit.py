"""The audit trail: what staff did, to what, and why. The only module that writes it.

Never: changes or removes an entry (the database refuses it), keeps key material, or stands alone: an entry is written in
the transaction of what it tells about, so neither exists without the other. Invariant: a request id has one entry, and
therefore one effect, however often and however parallel its form is sent.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Model

from accounts.models import AuditEntry, User

SHORTEST_REASON = 5
LONGEST_REASON = 500
# API keys, Stripe's keys, and any run of letters and digits that is as long as a key and no id of Stripe's.
_KEYS = re.compile(r"sk-\w{8}|[srp]k_(?:live|test)_\w|whsec_\w|\b(?!(?:cs|pi|evt|ch|re)_)[A-Za-z0-9_-]{40,}")
# The trail outlives accounts, so it names people by their ids.
_ADDRESS = re.compile(r"[^\s@<>]@[^\s@<>]+\.[^\s@<>.]{2}")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Refused(Exception):
    """It can't be done; nothing was. The text is a sentence for whoever asked."""


class AlreadySent(Refused):
    """The request id was used before, for something else."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """Who wants it (staff, or somebody of their own account), why, and the id of the form that says so.

    A bad reason raises Refused.
    """

    actor: User
    reason: str
    request_id: uuid.UUID

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", checked_reason(self.reason))


def allow(actor: User, permission: str) -> None:
    """Raises PermissionDenied unless this person is on the staff, active, and holds the permission."""
    if not may(actor, permission):
        raise PermissionDenied(f"{permission} is not yours.")


def may(actor: User, permission: str) -> bool:
    return actor.is_active and actor.is_staff and actor.has_perm(permission)


def record(
    by: Instruction, action: str, target: Model, details: Mapping[str, str | int | None] | None = None
) -> bool:
    """Write the entry; True if it is new, False if this very request was carried out before.

    Must run first in the transaction that has the effect: a second sender of the same request waits here until the
    first has committed, and is then told False. The same id with other content raises AlreadySent.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("audit.record belongs inside the transaction of what it records")
    content = (by.actor.pk, action, target._meta.label_lower, str(target.pk), by.reason, dict(details or {}))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (actor_id, action, target_type, target_id, reason, details, request_id)"
            " VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s) ON CONFLICT (request_id) DO NOTHING RETURNING id",
            [*content[:-1], json.dumps(content[-1]), by.request_id],
        )
        if cursor.fetchone():
            return True
    found = AuditEntry.objects.get(request_id=by.request_id)
    earlier = (found.actor_id, found.action, found.target_type, found.target_id, found.reason, found.details)
    if earlier != content:
        raise AlreadySent("This form was sent before with other content. Open it again to do something else.")
    return False


def checked_reason(reason: str) -> str:
    """The reason without spaces around it; raises Refused where it is too short, too long, or holds a key or an address."""
    reason = reason.strip()
    if len(reason) < SHORTEST_REASON:
        raise Refused(f"Write why, in {SHORTEST_REASON} characters at least.")
    if len(reason) > LONGEST_REASON:
        raise Refused(f"Write why in {LONGEST_REASON} characters at most.")
    if _CONTROLS.search(reason):
        raise Refused("The reason holds characters that can't be shown.")
    if _KEYS.search(reason):
        raise Refused(
            "The reason seems to hold a key. The audit trail is never erased; name the key's prefix."
        )
    if _ADDRESS.search(reason):
        raise Refused(
            "The reason seems to hold an e-mail address. The audit trail is never erased; name the person's number."
        )
    return reason
