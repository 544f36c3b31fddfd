"""Customer groups and the rates that their members pay. The only writer of rates.

A rate is written once and never changes; another rate is a new one. It takes effect at the earliest CHANGE_NOTICE after
it is written, for the reason that prices do (pricing/publishing.py): every process keeps the rates for some seconds. The
first one of a group may hold at once, since the group has no members yet.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from pricing.models import MAX_MULTIPLIER_BP, CustomerGroup, GroupRate
from pricing.publishing import CHANGE_NOTICE, PublishingError


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
    with transaction.atomic():
        locked = CustomerGroup.objects.select_for_update().get(pk=group.pk)
        if effective_from < timezone.now() + CHANGE_NOTICE:
            seconds = int(CHANGE_NOTICE.total_seconds())
            raise PublishingError(
                f"A rate takes effect at the earliest {seconds} seconds after it is written."
            )
        if locked.rates.filter(effective_from=effective_from).exists():
            raise PublishingError("There is a rate from that moment already; rates never change.")
        return locked.rates.create(effective_from=effective_from, multiplier_bp=multiplier_bp)


def _check(multiplier_bp: int) -> None:
    if not 1 <= multiplier_bp <= MAX_MULTIPLIER_BP:
        raise PublishingError(f"A multiplier lies between 0.0001 and {MAX_MULTIPLIER_BP // 10_000}.")
