"""A model's price versions as people read them: what each unit cost, and by how much that was more or less than before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pricing.catalogue import DatedTable, SellableModel
from pricing.rating import PriceTable
from pricing.units import UNITS

_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit costs in a context tier, multiplier included, and the change against the version before in words."""

    above_input_tokens: int
    picousd: Decimal
    change: str
    direction: str
    """"rise", "fall", or empty."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A unit's prices in a version: the base one, and those of tiers where they differ. None: it has no price."""

    unit: str
    prices: tuple[Price, ...]
    is_dropped: bool
    """The version before had a price for it."""


@dataclass(frozen=True, slots=True)
class Version:
    """A row of the history."""

    id: int
    effective_from: datetime
    multiplier_bp: int
    state: str
    """"coming", "now", or empty."""
    cells: tuple[Cell, ...]


def of(model: SellableModel, *, at: datetime) -> list[Version]:
    """The versions of `model`, newest first, each with a cell for every unit that any of them has a price for."""
    units = units_of(model.versions)
    current = model.version_at(at)
    found: list[Version] = []
    before: PriceTable | None = None
    for version in model.versions:
        state = "now" if version is current else "coming" if version.effective_from > at else ""
        cells = tuple(_cell(unit, version.table, before) for unit in units)
        found.append(
            Version(
                version.table.version_id, version.effective_from, version.table.multiplier_bp, state, cells
            )
        )
        before = version.table
    return found[::-1]


def units_of(versions: Sequence[DatedTable]) -> list[str]:
    """Every unit that any of the versions has a price for, in the order of price lists."""
    priced = {unit for version in versions for unit in version.table.rates[0][1]}
    return [unit for unit in UNITS if unit in priced]


def tiers_of(unit: str, table: PriceTable) -> Iterator[tuple[int, Decimal]]:
    """The unit's base price and those of the tiers that differ from the tier below; nothing where it has none."""
    before: int | None = None
    for above, prices in table.rates:
        price = prices.get(unit)
        if price is not None and price != before:
            yield above, table.charged_picousd(price)
        before = price


def change(before: Decimal, after: Decimal) -> str:
    """A change as "+12.5 %" or "−20 %", to a tenth; empty where nothing changed."""
    if before == after:
        return ""
    if before == 0:
        return "was free"
    percent = (after - before) * 100 / before
    sign = "+" if percent > 0 else "−"
    rounded = abs(percent).quantize(_TENTH)
    if rounded == 0:
        return f"{sign}<0.1 %"
    return f"{sign}{rounded.normalize():,f} %"


def _cell(unit: str, table: PriceTable, before: PriceTable | None) -> Cell:
    prices = tuple(
        _price(above, picousd, None if before is None else _cost(unit, above, before))
        for above, picousd in tiers_of(unit, table)
    )
    was_priced = before is not None and unit in before.rates[0][1]
    # The first version changed nothing; a unit that a later one brings is new.
    if before is not None and not was_priced:
        prices = tuple(Price(each.above_input_tokens, each.picousd, "new", "") for each in prices)
    return Cell(unit, prices, is_dropped=was_priced and not prices)


def _cost(unit: str, above: int, table: PriceTable) -> Decimal | None:
    """What the unit cost in a call of the size that the tier above `above` is for."""
    price = table.tier_for(above + 1)[1].get(unit)
    return None if price is None else table.charged_picousd(price)


def _price(above: int, picousd: Decimal, before: Decimal | None) -> Price:
    if before is None:
        return Price(above, picousd, "", "")
    direction = "rise" if picousd > before else "fall" if picousd < before else ""
    return Price(above, picousd, change(before, picousd), direction)
