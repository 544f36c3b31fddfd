"""Models side by side: a row for each thing to compare, a cell for each model."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing import history
from pricing.estimating import Estimate, Offer
from pricing.units import UNITS


@dataclass(frozen=True, slots=True)
class UnitRow:
    """What a unit costs at each model, in each of its context tiers; nothing where it has no price."""

    unit: str
    cells: tuple[tuple[Offer, tuple[tuple[int, Decimal], ...]], ...]


def unit_rows(offers: Sequence[Offer]) -> list[UnitRow]:
    """A row for each unit that any of the models has a price for."""
    priced = {unit for offer in offers for unit in offer.table.rates[0][1]}
    return [
        UnitRow(unit, tuple((offer, tuple(history.tiers_of(unit, offer.table))) for offer in offers))
        for unit in UNITS
        if unit in priced
    ]


def cheapest(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Those with the lowest price; none unless all of them could be rated, and by the same quantities."""
    prices = [each.receipt.charged_nanousd for each in estimates if each.receipt is not None]
    is_alike = len(prices) == len(estimates) > 1 and not any(each.left_out for each in estimates)
    if not is_alike or min(prices) == max(prices):
        return []
    lowest = min(prices)
    return [each for each in estimates if each.receipt and each.receipt.charged_nanousd == lowest]
