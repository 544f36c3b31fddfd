"""What becomes dearer between two price tables, with everything that they are multiplied by. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from pricing.rating import PriceTable
from pricing.units import UNITS


@dataclass(frozen=True, slots=True)
class Step:
    """The price of one unit before and after, from a context size on; in pico-dollars, exact."""

    unit: str
    above_input_tokens: int
    before_picousd: Decimal
    after_picousd: Decimal

    @property
    def is_rise(self) -> bool:
        return self.after_picousd > self.before_picousd


def steps(before: PriceTable, after: PriceTable) -> list[Step]:
    """Every price that differs, in the order of price lists. A unit that only one of them prices has no two prices."""
    sizes = sorted({above for table in (before, after) for above, _ in table.rates})
    found: list[Step] = []
    for unit in UNITS:
        last: tuple[Decimal, Decimal] | None = None
        for above in sizes:
            pair = _pair(unit, above, before, after)
            if pair and pair != last and pair[0] != pair[1]:
                found.append(Step(unit, above, *pair))
            last = pair
    return found


def is_dearer(before: PriceTable, after: PriceTable) -> bool:
    """Whether any price rises, whatever falls beside it."""
    return any(step.is_rise for step in steps(before, after))


def _pair(unit: str, above: int, before: PriceTable, after: PriceTable) -> tuple[Decimal, Decimal] | None:
    old, new = (table.tier_for(above + 1)[1].get(unit) for table in (before, after))
    if old is None or new is None:
        return None
    return before.charged_picousd(old), after.charged_picousd(new)
