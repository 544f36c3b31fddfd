"""Money as exact integers, and how people read and write it.

The ledger counts nano-dollars (10**-9 USD), prices count pico-dollars (10**-12 USD). Both are Python
integers; nothing here makes or takes a float. Text goes in by `cents_from_text` where money moves, and by
`nanousd_from_text` where it is looked for; it comes out by the other functions, which never round: what they print is
exactly what is counted.
"""

import re
from decimal import Decimal

NANO_PER_USD = 10**9
NANO_PER_CENT = 10**7
PICO_PER_NANO = 1000
PICO_PER_USD = NANO_PER_USD * PICO_PER_NANO

_CENTS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")
_FRACTION_OF_A_CENT = re.compile(r"[0-9]+\.[0-9]{3,}")
_NANO = re.compile(r"[0-9]{0,9}(\.[0-9]{0,9})?")
_TOO_LONG = re.compile(r"[0-9]{10,}(\.[0-9]*)?")


def usd(nanousd: int) -> str:
    """Nano-dollars as dollars, exact: "$1.234567", "$0.10", "-$0.05"; at least two decimals."""
    return _dollars(nanousd, places=9)


def usd_from_pico(picousd: int | Decimal) -> str:
    """Pico-dollars as dollars, exact; a rounding line may hold a fraction of a pico-dollar."""
    if isinstance(picousd, int):
        return _dollars(picousd, places=12)
    exponent = picousd.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("An amount is a finite number.")
    places = max(0, -exponent)
    return _dollars(int(picousd.scaleb(places)), places=12 + places)


def per_million(picousd: int | Decimal) -> str:
    """The price of a million units, given the price of one in pico-dollars: 2,500,000 is "$2.50"."""
    return usd_from_pico(picousd * 1_000_000)


def cents_from_text(text: str) -> int:
    """Whole cents from what a person typed: "10" is 1000, "10.01" is 1001.

    Digits are ASCII digits, the decimal mark is a point, and there is no sign, exponent or separator.
    Raises ValueError with a sentence to show beside the field. Limits are the caller's business.
    """
    text = text.strip()
    if not text:
        raise ValueError("Enter an amount.")
    if _CENTS.fullmatch(text):
        dollars, _, cents = text.partition(".")
        return int(dollars) * 100 + int(cents.ljust(2, "0"))
    if text.startswith("-"):
        raise ValueError("Enter an amount above zero.")
    if _TOO_LONG.fullmatch(text):
        raise ValueError("That amount is too large.")
    if _FRACTION_OF_A_CENT.fullmatch(text):
        raise ValueError("Enter whole cents, for example 10.50.")
    raise ValueError("Write the amount in digits, for example 10 or 10.50.")


def nanousd_from_text(text: str) -> int:
    """Nano-dollars from dollars with up to nine decimals: "0.006" and ".006" are 6,000,000.

    Raises ValueError with a sentence to show beside the field.
    """
    text = text.strip().removeprefix("$")
    if not _NANO.fullmatch(text) or not text.strip("."):
        raise ValueError(
            "Write an amount in dollars, for example 0.05: up to nine decimals, and nine digits before them."
        )
    dollars, _, fraction = text.partition(".")
    return int(dollars or 0) * NANO_PER_USD + int(fraction.ljust(9, "0"))


def _dollars(amount: int, *, places: int) -> str:
    whole, fraction = divmod(abs(amount), 10**places)
    digits = str(fraction).zfill(places).rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}${whole:,}.{digits}"
