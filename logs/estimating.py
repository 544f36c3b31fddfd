"""What a call is expected to cost, before it is made: the amount of its hold.

From the request where it says (input size, most output), else from that model's calls of the last week, else from the
defaults below. Never above what the request's `max_output_tokens` allows. An estimate need not be right: the call is
charged for what it used. It decides how many calls a small balance lets in at once.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, Q, Sum
from django.utils import timezone

from pricing import rating
from pricing.rating import PriceTable
from pricing.units import UNITS, Family
from tokens.models import DailyUsage

REFRESH_SECONDS = 60.0
DAYS = 7
TYPICAL_INPUT_TOKENS = 1000
TYPICAL_OUTPUT_TOKENS = 500
# What a call of a per-use model takes where nothing else is known.
TYPICAL_USE = {
    Family.IMAGES: 1,
    Family.CALLS: 1,
    Family.SECONDS: 10,
    Family.CHARACTERS: 1000,
    Family.PAGES: 1,
}


@dataclass(frozen=True, slots=True)
class Typical:
    """Averages of a model's recent calls that succeeded."""

    input_tokens: int
    output_tokens: int
    charged_nanousd: int | None
    """Of those that paid the list's prices: a group's rate is applied to what is held. None where there were none."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a call will probably cost, and how many tokens it takes, input and output."""

    cost_nanousd: int
    tokens: int = 0


NOTHING = Expected(0)

_lock = threading.Lock()
_read_at = float("-inf")
_recent: dict[int, Typical] = {}


def expect(
    model_id: int, table: PriceTable, input_tokens: int | None, max_output_tokens: int | None
) -> Expected:
    """What to hold for a call of this model."""
    typical = _typical().get(model_id)
    prices = table.rates[0][1]
    if "input_tokens" not in prices:
        charged = typical.charged_nanousd if typical else None
        return Expected(_rated(_typical_use(table), table) if charged is None else charged)
    known_input = typical.input_tokens if typical else TYPICAL_INPUT_TOKENS
    output = typical.output_tokens if typical else TYPICAL_OUTPUT_TOKENS
    if max_output_tokens is not None:
        output = min(output, max_output_tokens)
    usage = {"input_tokens": known_input if input_tokens is None else input_tokens}
    if "output_tokens" in prices:
        usage["output_tokens"] = output
    return Expected(_rated(usage, table), sum(usage.values()))


def forget() -> None:
    """Look at the recent calls again at the next estimate."""
    global _read_at
    _read_at = float("-inf")


def _rated(usage: dict[str, int], table: PriceTable) -> int:
    try:
        return rating.charge(usage, table)
    except rating.ChargeOutOfBounds:
        return rating.MAX_CHARGE_NANOUSD


def _typical_use(table: PriceTable) -> dict[str, int]:
    """The first per-use unit that the model is priced by."""
    for unit in table.rates[0][1]:
        quantity = TYPICAL_USE.get(UNITS[unit].family)
        if quantity:
            return {unit: quantity}
    return {}


def _typical() -> dict[int, Typical]:
    """Read at most once a minute; while one thread reads, the others go on with what there is."""
    global _read_at, _recent
    if time.monotonic() - _read_at > REFRESH_SECONDS and _lock.acquire(blocking=False):
        try:
            _recent = _read()
            _read_at = time.monotonic()
        finally:
            _lock.release()
    return _recent


def _read() -> dict[int, Typical]:
    since = timezone.now().date() - timedelta(days=DAYS)
    of_list = Q(wallet__customer_group=None)
    sums = (
        DailyUsage.objects.filter(day__gte=since)
        .values("model_id")
        .annotate(
            done=Sum(F("calls") - F("failed")),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
            done_at_list=Sum(F("calls") - F("failed"), filter=of_list),
            charged_at_list=Sum("charged_nanousd", filter=of_list),
        )
    )
    return {row["model_id"]: _typical_of(row) for row in sums if row["done"]}


def _typical_of(sums: Mapping[str, Any]) -> Typical:
    done, at_list = int(sums["done"]), int(sums["done_at_list"] or 0)
    charged = int(sums["charged_at_list"]) // at_list if at_list else None
    return Typical(int(sums["input"]) // done, int(sums["output"]) // done, charged)
