"""The price of a call as clients compute it: by ratios, of which 1 is $2 per million tokens.

    quota = ((prompt − cached) + cached × cache_ratio + completion × completion_ratio) × model_ratio × group_ratio

where all is by tokens, else quota = model_price × 500,000 × group_ratio. The ratios are of what this call paid on average
for a token of each sort, so that the formula gives our charge (before it is rounded) also where a sort had several prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from logs.models import Call
from pricing import catalogue
from pricing.publishing import rates_of
from pricing.rating import BASIS_POINTS, PriceTable
from pricing.units import CACHED_UNITS, INPUT_UNITS, OUTPUT_UNITS, TOKEN_UNITS

PICO_PER_RATIO = 2_000_000  # a ratio of 1 for one token
PICO_PER_USD = 10**12


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of a call; those from a cache are a part of the prompt."""

    prompt: int
    cached: int
    completion: int


def counts(usage: dict[str, int]) -> Counts:
    return Counts(*(_sum(usage, sort) for sort in (INPUT_UNITS, CACHED_UNITS, OUTPUT_UNITS)))


def _sum(usage: dict[str, int], sort: frozenset[str]) -> int:
    return sum(count for unit, count in usage.items() if unit in sort)


def of(call: Call) -> dict[str, Any]:
    """The ratios of a call, with its model and its customer group's rate at hand; `model_price` is −1 where they hold."""
    table = _table(call)
    multiplier = Fraction(table.multiplier_bp, BASIS_POINTS)
    both = table.with_rate(call.group_rate.multiplier_bp) if call.group_rate else table
    found = {"group_ratio": float(Fraction(both.multiplier_bp, table.multiplier_bp))}
    is_free = call.status == Call.Status.FAILED
    used = {} if is_free else {unit: count for unit, count in call.usage.items() if count}
    prices = table.tier_of(used)[1]
    plain = _average(used, prices, INPUT_UNITS - CACHED_UNITS, "input_tokens")
    if not plain or not used.keys() <= TOKEN_UNITS:
        return {**found, **_fixed(used, prices, multiplier)}
    cached = _average(used, prices, CACHED_UNITS, "cached_input_tokens")
    completion = _average(used, prices, OUTPUT_UNITS, "output_tokens")
    return {
        **found,
        "model_ratio": float(plain * multiplier / PICO_PER_RATIO),
        "completion_ratio": float((completion or 0) / plain),
        "cache_ratio": float((plain if cached is None else cached) / plain),
        "model_price": -1,
    }


def _fixed(used: dict[str, int], prices: Mapping[str, int], multiplier: Fraction) -> dict[str, Any]:
    """All of the call at one price: it was not by tokens alone, or its prompt is free."""
    picousd = sum(count * prices[unit] for unit, count in used.items())
    return {
        "model_ratio": 0,
        "completion_ratio": 0,
        "cache_ratio": 0,
        "model_price": float(picousd * multiplier / PICO_PER_USD),
    }


def _average(
    used: dict[str, int], prices: Mapping[str, int], sort: frozenset[str], usual: str
) -> Fraction | None:
    """Pico-dollars that a token of this sort cost; the usual one's price where none was used, None without any."""
    counted = {unit: count for unit, count in used.items() if unit in sort}
    if not counted:
        return Fraction(prices[usual]) if usual in prices else None
    return Fraction(sum(count * prices[unit] for unit, count in counted.items()), sum(counted.values()))


def _table(call: Call) -> PriceTable:
    """The prices in force when the call started, from memory where this process has them."""
    model = catalogue.priced(call.model.name)
    for version in reversed(model.versions if model else ()):
        if version.table.version_id == call.price_version_id:
            return version.table
    found = call.price_version
    return PriceTable(found.pk, found.multiplier_bp, rates_of(found))
