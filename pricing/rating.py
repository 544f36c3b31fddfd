"""From what a call used to what it costs. Pure: no Django, no clock, no database, integers only.

A line is quantity x unit price, exact. The sum of the lines times the multiplier is rounded once, half to
even, to nano-dollars. `Receipt` holds every step, and its parts add up to the charge with nothing left over:
subtotal + multiplier adjustment + rounding = charge. The same usage and table give the same receipt for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pricing.money import PICO_PER_NANO
from pricing.units import INPUT_UNITS, UNITS

BASIS_POINTS = 10_000
# A call above a million dollars is a mistake of whoever reported it. Below, every amount of a receipt,
# the pico-dollar ones too, fits a 64-bit column.
MAX_CHARGE_NANOUSD = 10**15
MAX_SUBTOTAL_PICOUSD = 10**18
_BOUNDS = {code: unit.bound for code, unit in UNITS.items()}

type Tier = tuple[int, Mapping[str, int]]
type Rates = tuple[Tier, ...]
"""Context tiers in rising order, the first one above 0 tokens; each maps a unit to pico-dollars."""


class RatingError(ValueError):
    """A call that can't be charged as it was reported; `code` is for machines, the text for people."""

    code = "not_ratable"

    def __init__(self, unit: str, message: str) -> None:
        super().__init__(message)
        self.unit = unit


class UnknownUnit(RatingError):
    """A unit that doesn't exist."""

    code = "unknown_unit"

    def __init__(self, unit: str) -> None:
        super().__init__(unit, f"{unit[:64]!r} is not a unit.")


class UnpricedUnit(RatingError):
    """A positive quantity of a unit that the model has no price for."""

    code = "unpriced_unit"

    def __init__(self, unit: str) -> None:
        super().__init__(unit, f"The model has no price for {unit}.")


class QuantityOutOfBounds(RatingError):
    """A quantity below zero, above its unit's bound, or no integer."""

    code = "quantity_out_of_bounds"

    def __init__(self, unit: str) -> None:
        super().__init__(unit, f"{unit} must be an integer from 0 to {UNITS[unit].bound:,}.")


class ChargeOutOfBounds(RatingError):
    """Quantities that are each possible but together cost more than any call can."""

    code = "charge_out_of_bounds"

    def __init__(self) -> None:
        super().__init__("", "The call would cost more than $1,000,000, which is taken for a mistake.")


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The unit prices of one price version."""

    version_id: int
    multiplier_bp: int
    rates: Rates

    def with_rate(self, group_multiplier_bp: int) -> "PriceTable":
        """These prices for the members of a group: both multipliers as one, in whole basis points, halves to the even."""
        both = multiplied(self.multiplier_bp, group_multiplier_bp)
        return PriceTable(self.version_id, both, self.rates)

    def tier_of(self, usage: Mapping[str, int]) -> Tier:
        """The tier that a call with this usage is rated by."""
        return self.rates[0] if len(self.rates) == 1 else self.tier_for(total_input_tokens(usage))

    def tier_for(self, input_tokens: int) -> Tier:
        """The tier whose prices all tokens of a call with this much input pay.

        Being exactly at a threshold is still below it, and no part of the call pays the lower tier: providers
        price long context so, and genai-prices computes it so (`TieredPrices`).
        """
        tier = self.rates[0]
        for candidate in self.rates[1:]:
            if input_tokens > candidate[0]:
                tier = candidate
        return tier

    def charged_picousd(self, price_picousd: int) -> Decimal:
        """What a unit of this price costs with the multiplier, exact: what price lists show."""
        return _ten_thousandths(price_picousd * self.multiplier_bp)


@dataclass(frozen=True, slots=True)
class Line:
    """One unit of a receipt: quantity x price = amount, exact."""

    unit: str
    quantity: int
    price_picousd_per_unit: int
    amount_picousd: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The arithmetic of one charge."""

    version_id: int
    above_input_tokens: int
    lines: tuple[Line, ...]
    subtotal_picousd: int
    multiplier_bp: int
    charged_nanousd: int

    @property
    def adjustment_picousd(self) -> Decimal:
        """What the multiplier adds (or takes) before rounding, exact to 1/10,000 of a pico-dollar."""
        return _ten_thousandths(self.subtotal_picousd * (self.multiplier_bp - BASIS_POINTS))

    @property
    def rounding_picousd(self) -> Decimal:
        """Charge minus exact price, exact; never more than half a nano-dollar either way."""
        exact = self.subtotal_picousd * self.multiplier_bp
        return _ten_thousandths(self.charged_nanousd * PICO_PER_NANO * BASIS_POINTS - exact)


def rate(usage: Mapping[str, int], table: PriceTable) -> Receipt:
    """The receipt of `usage` at `table`'s prices.

    A quantity of zero makes no line and needs no price. Raises UnknownUnit, QuantityOutOfBounds,
    UnpricedUnit or ChargeOutOfBounds (all RatingError).
    """
    for unit, quantity in usage.items():
        check_quantity(unit, quantity)
    above, prices = table.tier_of(usage)
    subtotal, charged = _total(usage, prices, table.multiplier_bp)
    lines = tuple(
        Line(unit, quantity, prices[unit], quantity * prices[unit])
        for unit in UNITS
        if (quantity := usage.get(unit, 0))
    )
    return Receipt(table.version_id, above, lines, subtotal, table.multiplier_bp, charged)


def charge(usage: Mapping[str, int], table: PriceTable) -> int:
    """Nano-dollars that `rate` charges, without its receipt: for recording many calls at once.

    Every quantity must have passed `check_quantity`. Raises UnpricedUnit or ChargeOutOfBounds.
    """
    return _total(usage, table.tier_of(usage)[1], table.multiplier_bp)[1]


def total_input_tokens(usage: Mapping[str, int]) -> int:
    """All input of a call, which decides its tier: uncached, cached, cache writes, audio and images."""
    return sum(quantity for unit, quantity in usage.items() if unit in INPUT_UNITS)


def check_quantity(unit: str, quantity: object) -> None:
    """Raise UnknownUnit or QuantityOutOfBounds for what can't be a quantity of `unit`. True is no 1."""
    bound = _BOUNDS.get(unit)
    if bound is None:
        raise UnknownUnit(unit)
    if type(quantity) is not int or not 0 <= quantity <= bound:
        raise QuantityOutOfBounds(unit)


def resolve(rates: Rates) -> Rates:
    """Rates with every tier complete: what a tier doesn't price costs as in the tier below."""
    resolved: list[Tier] = []
    prices: dict[str, int] = {}
    for above, own in sorted(rates, key=lambda tier: tier[0]):
        prices = {**prices, **own}
        resolved.append((above, prices))
    return tuple(resolved)


def is_complete(rates: Rates, *, is_embedding: bool = False) -> bool:
    """Whether a model with these rates may be sold: input and output prices, or one per-use unit.

    An embedding model answers with vectors, so its input price alone is complete; a text model that has only
    an input price would give its answers away, and is not.
    """
    if not rates:
        return False
    base = rates[0][1]
    if any(UNITS[unit].is_per_use for unit in base):
        return True
    return "input_tokens" in base and (is_embedding or "output_tokens" in base)


def multiplied(first_bp: int, second_bp: int) -> int:
    """Two multipliers as one, in whole basis points, halves to the even one, and never less than one."""
    return max(_half_even(first_bp * second_bp, BASIS_POINTS), 1)


def _total(usage: Mapping[str, int], prices: Mapping[str, int], multiplier_bp: int) -> tuple[int, int]:
    """Subtotal in pico-dollars and charge in nano-dollars."""
    subtotal = 0
    for unit, quantity in usage.items():
        if quantity:
            price = prices.get(unit)
            if price is None:
                raise UnpricedUnit(unit)
            subtotal += quantity * price
    charged = _half_even(subtotal * multiplier_bp, BASIS_POINTS * PICO_PER_NANO)
    if subtotal > MAX_SUBTOTAL_PICOUSD or charged > MAX_CHARGE_NANOUSD:
        raise ChargeOutOfBounds
    return subtotal, charged


def _half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded to the nearest integer, halves to the even one. Both are positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (twice > denominator or (twice == denominator and quotient % 2 == 1))


def _ten_thousandths(count: int) -> Decimal:
    """count / 10,000 without a division, so that no decimal context can round it."""
    sign, digits = int(count < 0), tuple(map(int, str(abs(count))))
    exact = Decimal((sign, digits, -4))
    return Decimal(count // BASIS_POINTS) if count % BASIS_POINTS == 0 else exact
