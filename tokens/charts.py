"""A chart of spending by day as rectangles and lines, for a template to draw as SVG. Pure arithmetic in whole units."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pricing.charts import rounded_up
from pricing.money import usd
from tokens.spending import Day

WIDTH, HEIGHT = 720, 200
# Room for the letters of a phone, which are larger, on all sides.
LEFT, RIGHT, TOP, BOTTOM = 100, 30, 24, 34
PLOT = HEIGHT - TOP - BOTTOM
LABEL_EVERY = 7
LEAST = 2  # So high is a day of any spending at all.


@dataclass(frozen=True, slots=True)
class Bar:
    day: Day
    x: int
    y: int
    width: int
    height: int
    label_x: int
    label: date | None


@dataclass(frozen=True, slots=True)
class Line:
    y: int
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: Sequence[Bar]
    lines: Sequence[Line]
    total_nanousd: int
    calls: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    baseline: int = TOP + PLOT

    @property
    def is_empty(self) -> bool:
        return not self.calls


def of_days(days: Sequence[Day]) -> Chart:
    """One bar a day, the newest at the right; the scale ends at a round amount."""
    top = rounded_up(max((day.spent_nanousd for day in days), default=0))
    step = (WIDTH - LEFT - RIGHT) // max(len(days), 1)
    gap = max(step // 5, 1)
    bars = []
    for number, day in enumerate(days):
        height = max(day.spent_nanousd * PLOT // top, LEAST) if day.spent_nanousd > 0 else 0
        x = LEFT + number * step + gap
        is_labelled = (len(days) - 1 - number) % LABEL_EVERY == 0
        bars.append(
            Bar(
                day, x, TOP + PLOT - height, step - 2 * gap, height, x + step // 2 - gap,
                day.day if is_labelled else None,
            )
        )  # fmt: skip
    lines = [Line(TOP + PLOT - PLOT * part // 2, usd(top * part // 2)) for part in (0, 1, 2)]
    return Chart(bars, lines, sum(day.spent_nanousd for day in days), sum(day.calls for day in days))
