"""Rises that are published: of a model's prices from one version to the next, and of the rates of customer groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from pricing import catalogue
from pricing.catalogue import DatedTable, SellableModel
from pricing.models import GroupRate
from pricing.rises import is_dearer


@dataclass(frozen=True, slots=True)
class Rise:
    """A version with a price that is higher than in the one before."""

    model: SellableModel
    before: DatedTable
    after: DatedTable


@dataclass(frozen=True, slots=True)
class RateRise:
    """A group's rate that is higher than the one before."""

    before: GroupRate
    after: GroupRate


def coming(now: datetime) -> list[Rise]:
    """Of all models for sale, those that take effect after `now`."""
    return [
        rise
        for model in catalogue.sellable(at=now)
        if model.versions[-1].effective_from > now
        for rise in rises_of(model)
        if rise.after.effective_from > now
    ]


def rises_of(model: SellableModel) -> Iterator[Rise]:
    """Past ones and those to come."""
    for before, after in pairwise(model.versions):
        if is_dearer(before.table, after.table):
            yield Rise(model, before, after)


def coming_rates(now: datetime) -> list[RateRise]:
    """Of all groups, those that take effect after `now`."""
    ahead = GroupRate.objects.filter(effective_from__gt=now).values("group_id")
    rows = GroupRate.objects.filter(group_id__in=ahead).select_related("group")
    return [
        RateRise(before, after)
        for before, after in pairwise(rows.order_by("group_id", "effective_from"))
        if before.group_id == after.group_id
        and after.effective_from > now
        and after.multiplier_bp > before.multiplier_bp
    ]
