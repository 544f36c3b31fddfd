"""Closing an account, for good: who the person was is deleted, what they paid and used stays in the books.

Owns `closed_at`. Never: removes the row, which the ledger hangs off; closes an account that staff rights or somebody's
money hang on; reads or writes another app's tables, which answer the signals instead. Invariants: all of it is one
transaction; the database lets nobody write a closed account again, so that no stale copy brings a name back.

Locks the person's row first, then what `account_closing` locks. Calls are admitted and recorded without either.
"""

import datetime
import functools
import secrets
import uuid
from collections.abc import Sequence

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from accounts.models import Session, User
from accounts.signals import Standing, account_closed, account_closing

PERMISSION = "accounts.close_user"
ACTION = "accounts.close"
OWN_REASON = "Closed by its owner, on the account's page."
# Calls are charged for 35 days after they were let in, and each may bring an address or an error text along.
LATE = datetime.timedelta(days=36)


def standing(person: User, *, lock: bool = False) -> Standing:
    """What is left on the account and stands in the way. With `lock`, inside a transaction, it stays so until that ends."""
    answers: Sequence[tuple[object, object]] = account_closing.send(sender=User, person=person, lock=lock)
    found = [answer for _, answer in answers if isinstance(answer, Standing)]
    return Standing(
        tuple(fact for each in found for fact in each.facts),
        tuple(obstacle for each in found for obstacle in each.obstacles),
    )


def close_own(person: User) -> None:
    """The owner closes it, having just shown who they are. Twice is fine. Raises Refused, with every reason."""
    with transaction.atomic():
        found = _locked(person)
        if found.closed_at is not None:
            return
        if not found.is_active:
            raise PermissionDenied("Who is locked out asks staff.")
        if found.is_staff or found.is_superuser:
            raise Refused("You are on the staff. A superuser has to take your rights away first.")
        audit.record(Instruction(found, OWN_REASON, uuid.uuid4()), ACTION, found)
        _carry_out(found)


def close(by: Instruction, person: User) -> None:
    """Staff close it, because the person asked for it. Once per request id. Raises Refused, or PermissionDenied."""
    with transaction.atomic():
        # The row before the entry: the entry refers to people, and two that wait for one another would never end.
        found = _locked(person)
        is_new = audit.record(by, ACTION, found)
        if not may_close(by.actor, found):
            raise PermissionDenied("This account is not yours to close.")
        if not is_new:
            return
        if found.closed_at is not None:
            raise Refused("This account is closed already.")
        _carry_out(found)


def may_close(actor: User, person: User) -> bool:
    """Nobody's own, and none that has staff rights: those are taken away first."""
    is_one_of_us = person.is_staff or person.is_superuser
    return audit.may(actor, PERMISSION) and actor.pk != person.pk and not is_one_of_us


def forget_late() -> int:
    """Delete what came in after accounts were closed: late calls tell where they came from. Returns how many there are."""
    late = User.objects.filter(closed_at__gte=timezone.now() - LATE)
    for person in late:
        with transaction.atomic():
            _forget(person)
            account_closed.send(sender=User, person=person, addresses=())
    return len(late)


def _locked(person: User) -> User:
    return User.objects.select_for_update().get(pk=person.pk)


def _carry_out(person: User) -> None:
    """The row is locked, and the audit entry is written."""
    obstacles = standing(person, lock=True).obstacles
    if obstacles:
        raise Refused(" ".join(obstacles))
    addresses = _addresses(person)
    person.closed_at = timezone.now()
    person.is_active = False
    # Names that nobody can receive mail under (RFC 2606), nor guess and sign up with before.
    person.email = f"closed-{person.pk}-{secrets.token_hex(8)}@account.invalid"
    person.name = ""
    person.last_login = None
    person.set_unusable_password()
    person.save()
    _forget(person)
    account_closed.send(sender=User, person=person, addresses=addresses)
    transaction.on_commit(functools.partial(_tell, addresses[0]), robust=True)


def _addresses(person: User) -> tuple[str, ...]:
    """The one they signed in with first, then all others."""
    known = EmailAddress.objects.filter(user=person).exclude(email__iexact=person.email)
    others = known.values_list("email", flat=True)
    return (person.email, *others)


def _forget(person: User) -> None:
    """What lies outside the row: sessions, rights, allauth's tables (whichever are installed), the admin's history."""
    Session.objects.filter(user_id=person.pk).delete()
    person.groups.clear()
    person.user_permissions.clear()
    for relation in User._meta.related_objects:
        if relation.related_model.__module__.startswith("allauth."):
            relation.related_model._default_manager.filter(**{relation.field.name: person}).delete()
    LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(person.pk)
    ).update(object_repr=str(person), change_message="")


def _tell(address: str) -> None:
    context = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
    }
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}Your account is closed",
        render_to_string("account/email/account_closed_message.txt", context),
        None,
        [address],
    )
