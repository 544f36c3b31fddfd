"""Amounts as other services' clients count them: quota units of which 500,000 make a dollar, and dollars as JSON numbers.

Only for those APIs, at their edge: nothing is computed from what comes out of here.
"""

from decimal import Decimal

from pricing.money import NANO_PER_USD

UNITS_PER_USD = 500_000
NANO_PER_UNIT = NANO_PER_USD // UNITS_PER_USD


def units(nanousd: int) -> int:
    """Whole units, rounded down: what is left is never more than it is."""
    return nanousd // NANO_PER_UNIT


def used_units(nanousd: int) -> int:
    """Whole units, rounded up: what is used is never less than it is."""
    return -(-nanousd // NANO_PER_UNIT)


def dollars(nanousd: int) -> float:
    """Dollars for JSON, which has no other numbers: exact to the nano-dollar below a million dollars."""
    return float(Decimal(nanousd) / NANO_PER_USD)


def cents(nanousd: int) -> float:
    """Cents for JSON, as `dollars`."""
    return float(Decimal(nanousd) * 100 / NANO_PER_USD)
