"""Rises that are published: of a model's prices from one version to the next, and of the rates of customer groups.

A version that is followed by another one within CHANGE_NOTICE is one that publishing had to correct; people are told of what
follows it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from pricing import catalogue
from pricing.catalogue import DatedTable, SellableModel
from pricing.models import GroupRate
from pricing.publishing import CHANGE_NOTICE
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
    for before, after in pairwise(_lasting(model.versions)):
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


def _lasting(versions: Iterable[DatedTable]) -> list[DatedTable]:
    found: list[DatedTable] = []
    for version in versions:
        if found and version.effective_from - found[-1].effective_from < CHANGE_NOTICE:
            found.pop()
        found.append(version)
    return found
