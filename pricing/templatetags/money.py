"""Template filters for amounts, prices and quantities. All of them print exactly what is counted."""

from decimal import Decimal

from django import template

from pricing import money
from pricing.rating import BASIS_POINTS
from pricing.units import UNITS

register = template.Library()


@register.filter
def usd(nanousd: int) -> str:
    """Nano-dollars: "$0.10"."""
    return money.usd(nanousd)


@register.filter
def usd_from_pico(picousd: int | Decimal) -> str:
    """Pico-dollars: "$0.0000025"."""
    return money.usd_from_pico(picousd)


@register.filter
def per_million(picousd: int | Decimal) -> str:
    """Pico-dollars per unit as dollars per million: "$2.50"."""
    return money.per_million(picousd)


@register.filter
def unit_price(picousd: int | Decimal, unit: str) -> str:
    """Pico-dollars per unit as people read it for that unit, without what it is for: "$2.50"."""
    return money.per_million(picousd) if UNITS[unit].is_per_million else money.usd_from_pico(picousd)


@register.filter
def unit_per(unit: str) -> str:
    """What the shown price of a unit is for: "1M tokens", "image"."""
    return UNITS[unit].per


@register.filter
def unit_label(unit: str) -> str:
    """The unit's name on price lists and receipts: "Cached prompt"."""
    return UNITS[unit].label


@register.filter
def unit_noun(quantity: int, unit: str) -> str:
    """The word after a quantity: "image", "prompt tokens"."""
    return UNITS[unit].noun(quantity)


@register.filter
def quantity(number: int | None) -> str:
    """A whole number with separators: "1,048,576"; nothing for None."""
    return "" if number is None else f"{number:,}"


@register.filter
def multiplier(basis_points: int) -> str:
    """A multiplier as people read it: "1.2" for 12,000."""
    return f"{basis_points / BASIS_POINTS:g}"
