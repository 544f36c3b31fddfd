"""From a recorded call back to the arithmetic of its price, for its page and as data.

The arithmetic is done again by `pricing.rating`, from the stored usage and the stored price version, whether that
version is still in force or not. It must give what was charged. Where it doesn't, the receipt says so to whoever looks
at it and an error is logged: a difference is never hidden.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from logs.models import Call, CallDetails
from pricing.models import GroupRate, PriceVersion
from pricing.money import per_million, usd, usd_from_pico
from pricing.publishing import rates_of
from pricing.rating import BASIS_POINTS, Line, PriceTable, RatingError, Receipt, rate
from pricing.units import UNITS, Family, Unit
from wallet.reconciliation import accepting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallReceipt:
    """A call and the arithmetic of its charge."""

    call: Call
    version: PriceVersion
    group_rate: GroupRate | None
    arithmetic: Receipt
    problem: str
    """Empty, or why the arithmetic doesn't give the charge: a sentence for people."""

    @cached_property
    def details(self) -> CallDetails | None:
        """What may identify a person in the call; None where nothing was reported or it was deleted."""
        return CallDetails.objects.filter(call_id=self.call.pk, wallet_id=self.call.wallet_id).first()

    @property
    def lines(self) -> list[tuple[Line, Unit]]:
        """The lines of the arithmetic, each with the unit that it counts."""
        return [(line, UNITS[line.unit]) for line in self.arithmetic.lines]

    @property
    def is_failed(self) -> bool:
        return self.call.status == Call.Status.FAILED

    @property
    def paid_nanousd(self) -> int:
        """The part of the charge that bought credit paid."""
        return self.call.charged_nanousd - self.call.promotional_nanousd

    @property
    def multiplier(self) -> str:
        """The multiplier as people write it, exact: "1.00", "1.2345"."""
        whole, rest = divmod(self.arithmetic.multiplier_bp, BASIS_POINTS)
        return f"{whole}.{str(rest).zfill(4).rstrip('0').ljust(2, '0')}"

    @property
    def multipliers(self) -> list[dict[str, object]]:
        """What the multiplier is made of, by name."""
        found: list[dict[str, object]] = [{"name": "price", "multiplier_bp": self.version.multiplier_bp}]
        if self.group_rate is not None:
            found.append({"name": self.group_rate.group.name, "multiplier_bp": self.group_rate.multiplier_bp})
        return found

    @property
    def has_named_multipliers(self) -> bool:
        """Whether there is more to say than the one number."""
        return self.group_rate is not None or self.version.multiplier_bp != BASIS_POINTS

    @property
    def formula(self) -> str:
        """The whole arithmetic in one line; a sentence for a call that failed or used nothing."""
        if self.is_failed:
            return "A failed call costs nothing: $0.00"
        if not self.lines:
            return "Nothing was used: $0.00"
        lines = " + ".join(map(_term, self.arithmetic.lines))
        exact = self.arithmetic.subtotal_picousd + self.arithmetic.adjustment_picousd
        total = usd(self.arithmetic.charged_nanousd)
        if self.arithmetic.rounding_picousd:
            total = f"{usd_from_pico(_shortest(exact))}, rounded to {total}"
        return f"({lines}) × {self.multiplier} = {total}"

    @property
    def rounding_picousd(self) -> Decimal:
        return _shortest(self.arithmetic.rounding_picousd)

    @property
    def adjustment_picousd(self) -> Decimal:
        return _shortest(self.arithmetic.adjustment_picousd)


def of(call: Call) -> CallReceipt:
    """The receipt of a call. A difference from what was charged is logged as an error and told in `problem`."""
    version = PriceVersion.objects.prefetch_related("unit_prices").get(pk=call.price_version_id)
    table = PriceTable(version.pk, version.multiplier_bp, rates_of(version))
    group_rate = call.group_rate
    if group_rate is not None:
        table = table.with_rate(group_rate.multiplier_bp)
    try:
        arithmetic = rate(call.usage if call.status == Call.Status.SUCCEEDED else {}, table)
    except RatingError as error:
        arithmetic, problem = rate({}, table), f"The stored usage can't be priced: {error}"
    else:
        problem = _difference(arithmetic, call)
    if problem:
        log.error("The receipt of call %s does not add up. %s", call.pk, problem)
    return CallReceipt(call, version, group_rate, arithmetic, problem)


def check(call: Call) -> CallReceipt:
    """The same, and staff read of a difference in the panel, once for each, however often it is checked."""
    receipt = of(call)
    if receipt.problem:
        accepting.note(f"call {call.pk}", f"Its receipt does not add up. {receipt.problem}")
    return receipt


def as_json(receipt: CallReceipt) -> str:
    """The receipt as data: amounts are integers, only rounding may have a fraction."""
    call, arithmetic, details = receipt.call, receipt.arithmetic, receipt.details
    data: dict[str, Any] = {
        "call_id": str(call.pk),
        "model": call.model.name,
        "token_id": call.key_id,
        "token": call.key.name,
        "status": call.status,
        "started_at": _rfc3339(call.started_at),
        "endpoint": call.endpoint,
        "stream": call.stream,
        "latency_ms": call.latency_ms,
        "first_token_ms": call.first_token_ms,
        "upstream_id": call.upstream_id,
        "client_ip": details.client_ip if details else None,
        "error": details.error if details else "",
        "lines": [_line(line) for line in arithmetic.lines],
        "subtotal_picousd": arithmetic.subtotal_picousd,
        "multiplier_bp": arithmetic.multiplier_bp,
        "multipliers": receipt.multipliers,
        "charged_nanousd": call.charged_nanousd,
        "promotional_nanousd": call.promotional_nanousd,
        "paid_nanousd": receipt.paid_nanousd,
        "balance_after_nanousd": call.balance_after_nanousd,
        "held_nanousd": call.held_nanousd,
        "price_version": receipt.version.pk,
        "price_version_effective_from": _rfc3339(receipt.version.effective_from),
        "above_input_tokens": arithmetic.above_input_tokens,
        "formula": receipt.formula,
        "is_estimated": call.is_estimated,
    }
    if receipt.problem:
        data |= {"problem": receipt.problem, "recomputed_nanousd": arithmetic.charged_nanousd}
    # json writes fractions from floats only, and no float may touch money; so this number is written here.
    return f'{json.dumps(data)[:-1]}, "rounding_picousd": {receipt.rounding_picousd:f}}}'


def _difference(arithmetic: Receipt, call: Call) -> str:
    if arithmetic.charged_nanousd == call.charged_nanousd:
        return ""
    return f"{usd(call.charged_nanousd)} was charged, but the arithmetic gives {usd(arithmetic.charged_nanousd)}."


def _line(line: Line) -> dict[str, object]:
    return {
        "unit": line.unit,
        "quantity": line.quantity,
        "price_picousd_per_unit": line.price_picousd_per_unit,
        "amount_picousd": line.amount_picousd,
    }


def _term(line: Line) -> str:
    """A line in a formula: "1,200 prompt × $2.50/M", "2 images × $0.04"."""
    unit = UNITS[line.unit]
    # The word "tokens" goes without saying; what is counted otherwise is named.
    word = (
        unit.noun(line.quantity) if unit.family is not Family.TOKENS else unit.singular.removesuffix(" token")
    )
    if unit.is_per_million:
        return f"{line.quantity:,} {word} × {per_million(line.price_picousd_per_unit)}/M"
    return f"{line.quantity:,} {word} × {usd_from_pico(line.price_picousd_per_unit)}"


def _shortest(number: Decimal) -> Decimal:
    """The same number without zeros at its end, and never with an exponent."""
    return number.to_integral_value() if number == number.to_integral_value() else number.normalize()


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
