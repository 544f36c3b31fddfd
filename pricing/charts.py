"""A model's price history as steps and lines, for a template to draw as SVG. Pure arithmetic; what it shows is exact."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pricing.catalogue import DatedTable
from pricing.listings import UNDATED_FROM
from pricing.money import per_million, usd_from_pico
from pricing.units import UNITS

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 100, 16, 30, 34
PLOT = HEIGHT - TOP - BOTTOM
_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Dot:
    """A price that a version brought."""

    x: int
    y: int
    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class Series:
    """The base price of a unit over time, as SVG paths: until now, and from now on."""

    unit: str
    past: str
    future: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on an axis, and what is written there."""

    at: int
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    series: tuple[Series, ...]
    scale: tuple[Mark, ...]
    days: tuple[tuple[int, str, datetime], ...]
    """Place, SVG text-anchor, and the day."""
    now: int | None
    """Where the present stands, if prices are to come."""
    per: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    baseline: int = TOP + PLOT


@dataclass(frozen=True, slots=True)
class _Axes:
    """From moments and prices to places."""

    begin: datetime
    end: datetime
    top: int
    now: datetime

    def x(self, moment: datetime) -> int:
        share = (max(moment, self.begin) - self.begin) / (self.end - self.begin)
        return LEFT + int(share * (WIDTH - RIGHT - LEFT))

    def y(self, picousd: Decimal) -> int:
        return TOP + PLOT - int(picousd * PLOT / self.top)


def of_history(versions: Sequence[DatedTable], *, now: datetime) -> Chart | None:
    """The steps of a model's main prices, which are read on one scale; None while its price has never changed."""
    if len(versions) < 2:
        return None
    units = _units_of(versions)
    prices = {unit: [_price(version, unit) for version in versions] for unit in units}
    highest = max(price for each in prices.values() for price in each if price is not None)
    axes = _axes(versions, now, rounded_up(math.ceil(highest)))
    middle = axes.begin + (axes.end - axes.begin) / 2
    has_coming = versions[-1].effective_from > now
    return Chart(
        series=tuple(_series(unit, versions, prices[unit], axes) for unit in units),
        scale=tuple(
            Mark(TOP + PLOT - PLOT * part // 2, _in_words(Decimal(axes.top * part) / 2, units[0]))
            for part in (0, 1, 2)
        ),
        days=(
            (LEFT, "start", axes.begin),
            ((LEFT + WIDTH - RIGHT) // 2, "middle", middle),
            (WIDTH - RIGHT, "end", axes.end),
        ),
        now=axes.x(now) if has_coming else None,
        per=UNITS[units[0]].per,
    )


def rounded_up(amount: int) -> int:
    """The next of 2, 4, 10, 20, 40, 100, … that is not below; all of them can be halved."""
    power = 1
    while True:
        for factor in (2, 4, 10):
            if amount <= factor * power:
                return factor * power
        power *= 10


def _units_of(versions: Sequence[DatedTable]) -> list[str]:
    """Prompt, cached and answer tokens; of a model without them, what it is charged by. One scale holds them."""
    priced = {unit for version in versions for unit in version.table.rates[0][1]}
    tokens = [unit for unit in _TOKENS if unit in priced]
    return tokens or [next(unit for unit in UNITS if unit in priced)]


def _price(version: DatedTable, unit: str) -> Decimal | None:
    price = version.table.rates[0][1].get(unit)
    return None if price is None else version.table.charged_picousd(price)


def _axes(versions: Sequence[DatedTable], now: datetime, top: int) -> _Axes:
    """From a little before now, or before the first change that has a date; until now, or the last change to come."""
    is_undated = versions[0].effective_from == UNDATED_FROM
    begin = min(versions[is_undated].effective_from, now)
    end = max(now, versions[-1].effective_from)
    margin = max((end - begin) / 10, timedelta(days=1))
    return _Axes(begin - margin if is_undated else begin, end + margin, top, now)


def _series(
    unit: str, versions: Sequence[DatedTable], prices: Sequence[Decimal | None], axes: _Axes
) -> Series:
    past: list[str] = []
    future: list[str] = []
    dots = []
    before: int | None = None
    for number, (version, price) in enumerate(zip(versions, prices, strict=True)):
        if price is None:
            before = None
            continue
        until = versions[number + 1].effective_from if number + 1 < len(versions) else axes.end
        y = axes.y(price)
        for begin, end, is_future in _split(version.effective_from, until, axes.now):
            step = f"M{axes.x(begin)} {y if before is None else before}V{y}H{axes.x(end)}"
            (future if is_future else past).append(step)
            before = y
        if version.effective_from >= axes.begin and (number == 0 or price != prices[number - 1]):
            dots.append(Dot(axes.x(version.effective_from), y, version.effective_from, price))
    return Series(unit, "".join(past), "".join(future), tuple(dots))


def _split(begin: datetime, end: datetime, now: datetime) -> Iterator[tuple[datetime, datetime, bool]]:
    """The parts of a time before and after now, and whether each lies in the future."""
    if begin < now:
        yield begin, min(end, now), False
    if end > now:
        yield max(begin, now), end, True


def _in_words(picousd: Decimal, unit: str) -> str:
    exact = int(picousd) if picousd == int(picousd) else picousd
    return per_million(exact) if UNITS[unit].is_per_million else usd_from_pico(exact)
