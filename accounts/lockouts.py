"""Locking people out, and letting them in again. The only place where staff write `is_active`.

Who is locked out is out at once: sessions end, and authorize answers their keys account_suspended. What they own stays,
and calls in flight are charged. Nobody locks out themselves, and other staff are locked out by superusers alone.
"""

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import audit
from accounts.audit import Instruction, Refused
from accounts.models import User

PERMISSION = "accounts.lock_out_user"


def lock_out(by: Instruction, person: User) -> None:
    """Once per request id; locks the person's row. Raises Refused, or PermissionDenied."""
    _write(by, person, is_active=False)


def reinstate(by: Instruction, person: User) -> None:
    """Once per request id; locks the person's row. Raises Refused, or PermissionDenied."""
    _write(by, person, is_active=True)


def may_lock_out(actor: User, person: User) -> bool:
    """Superusers lock out anybody else; holders of the permission those who are not on the staff."""
    if not audit.may(actor, PERMISSION) or actor.pk == person.pk:
        return False
    return actor.is_superuser or not (person.is_staff or person.is_superuser)


def _write(by: Instruction, person: User, *, is_active: bool) -> None:
    with transaction.atomic():
        action = "accounts.reinstate" if is_active else "accounts.lock_out"
        is_new = audit.record(by, action, person)
        found = User.objects.select_for_update(no_key=True).get(pk=person.pk)
        if not may_lock_out(by.actor, found):
            raise PermissionDenied("Another superuser has to do this.")
        if not is_new:
            return
        if found.closed_at is not None:
            raise Refused("This account is closed, and stays closed.")
        if found.is_active == is_active:
            raise Refused(
                "This person is not locked out." if is_active else "This person is locked out already."
            )
        found.is_active = is_active
        found.save(update_fields=["is_active"])
