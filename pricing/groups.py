"""Customer groups and the rates that their members pay. The only writer of rates.

A rate is written once and never changes; another rate is a new one. It takes effect at the earliest CHANGE_NOTICE after
it is written, and one that is higher after the notice of a rise, for the reasons that prices do (pricing/publishing.py).
The first one of a group may hold at once, since the group has no members yet.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from pricing import catalogue
from pricing.models import MAX_MULTIPLIER_BP, CustomerGroup, GroupRate
from pricing.publishing import (
    CHANGE_NOTICE,
    PublishingError,
    check_zone,
    notice_in_words,
    rise_notice,
)
from pricing.rating import BASIS_POINTS


@dataclass(frozen=True, slots=True)
class Membership:
    """What somebody pays, times the list's prices. Without a group its name is empty, and they pay those."""

    name: str = ""
    multiplier_bp: int = BASIS_POINTS


def create(name: str, multiplier_bp: int) -> CustomerGroup:
    """A new group with the rate that its members pay from the start. Raises PublishingError."""
    name = name.strip()
    if not name:
        raise PublishingError("A group has a name.")
    _check(multiplier_bp)
    with transaction.atomic():
        group, is_new = CustomerGroup.objects.get_or_create(name=name)
        if not is_new:
            raise PublishingError(f"There is a group named {name} already.")
        # From before anything: a call that is under way while its wallet joins has a rate.
        GroupRate.objects.create(
            group=group,
            effective_from=datetime.fromtimestamp(0, tz=timezone.get_default_timezone()),
            multiplier_bp=multiplier_bp,
        )
    return group


def change_rate(group: CustomerGroup, multiplier_bp: int, *, effective_from: datetime) -> GroupRate:
    """The rate of the group from this moment on. Raises PublishingError for one on short notice, and out of bounds."""
    _check(multiplier_bp)
    check_zone(effective_from)
    with transaction.atomic():
        locked = CustomerGroup.objects.select_for_update().get(pk=group.pk)
        now = timezone.now()
        if effective_from < now + CHANGE_NOTICE:
            seconds = int(CHANGE_NOTICE.total_seconds())
            raise PublishingError(
                f"A rate takes effect at the earliest {seconds} seconds after it is written."
            )
        if locked.rates.filter(effective_from=effective_from).exists():
            raise PublishingError("There is a rate from that moment already; rates never change.")
        if multiplier_bp > multiplier_at(locked, effective_from) and effective_from < now + rise_notice():
            raise PublishingError(
                f"A rate rises at the earliest {notice_in_words()} after it is written, so that people can be told."
            )
        return locked.rates.create(effective_from=effective_from, multiplier_bp=multiplier_bp)


def multiplier_at(group: CustomerGroup | None, moment: datetime) -> int:
    """What the members of this group pay at that moment, in basis points; without a group the list's prices."""
    if group is None:
        return BASIS_POINTS
    begun = group.rates.filter(effective_from__lte=moment).order_by("-effective_from")
    return begun.values_list("multiplier_bp", flat=True)[0]


def membership(user_id: int | None, *, at: datetime) -> Membership:
    """The group of the wallet that this person owns, with the rate that calls of that moment are charged at.

    Nobody in particular is no member.
    """
    if user_id is None:
        return Membership()
    group = CustomerGroup.objects.filter(wallets__owner_id=user_id).first()
    rate = catalogue.rate_of(group.pk if group else None, at=at)
    return Membership(group.name, rate.multiplier_bp) if group and rate else Membership()


def _check(multiplier_bp: int) -> None:
    if not 1 <= multiplier_bp <= MAX_MULTIPLIER_BP:
        raise PublishingError(f"A multiplier lies between 0.0001 and {MAX_MULTIPLIER_BP // 10_000}.")
