"""What a wallet used in a time: by hour, day or month, by model and by key. Read from the roll-ups, never from calls.

One statement reads all of it, so that its parts add up to the same whatever is recorded meanwhile. Everything is in UTC,
and tokens are those of calls that succeeded.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection

from logs.sums import Span, midnight
from tokens.models import DailyUsage

# A longer time is shown by month.
MOST_DAYS = 366
# Hours are kept for somewhat longer (tokens/spending.py), and deleted at night.
HOURS_REACH = timedelta(days=60)
MOST_HOURS = timedelta(days=7)
# So short a time is shown by hour unless days are wished for.
SHORT = timedelta(days=2)
DRAWN = 5


class Step(StrEnum):
    """What one bar of the chart stands for."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Measure(StrEnum):
    """What the chart draws."""

    SPEND = "spend"
    CALLS = "calls"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums of some calls."""

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    charged_nanousd: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls,
            self.failed + other.failed,
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.output_tokens + other.output_tokens,
            self.charged_nanousd + other.charged_nanousd,
        )

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def succeeded_percent(self) -> str | None:
        """Rounded down, so that 100.0 means all of them; None without a call."""
        return percent(self.calls - self.failed, self.calls)

    @property
    def cached_percent(self) -> str | None:
        """How much of the input was read from caches; None without input."""
        return percent(self.cached_input_tokens, self.input_tokens)

    def of(self, measure: Measure) -> int:
        """Nano-dollars, calls or tokens."""
        if measure is Measure.SPEND:
            return self.charged_nanousd
        return self.calls if measure is Measure.CALLS else self.tokens


def percent(part: int, whole: int) -> str | None:
    """ "99.9" of a hundred, rounded down; None of nothing."""
    return f"{part * 1000 // whole / 10:.1f}" if whole else None


@dataclass(frozen=True, slots=True)
class Period:
    """Whole steps: from `start` on and before `end`. Nothing is in it where they are the same."""

    start: datetime
    end: datetime
    step: Step

    @property
    def last(self) -> datetime:
        """The last step's beginning; `start` where there is none."""
        return max(self.start, floor(self.end - timedelta(microseconds=1), self.step))

    def starts(self) -> list[datetime]:
        """Each step's beginning, the oldest first."""
        found, at = [], self.start
        while at < self.end:
            found.append(at)
            at = following(floor(at, self.step), self.step)
        return found


def floor(at: datetime, step: Step) -> datetime:
    """The beginning of the hour, day or month that a moment lies in."""
    if step is Step.HOUR:
        return at.replace(minute=0, second=0, microsecond=0)
    return midnight(at.date().replace(day=1) if step is Step.MONTH else at.date())


def following(start: datetime, step: Step) -> datetime:
    """The beginning of the step after the one that begins at `start`."""
    if step is Step.MONTH:
        return floor(start + timedelta(days=31), Step.MONTH)
    return start + (timedelta(hours=1) if step is Step.HOUR else timedelta(days=1))


def period(span: Span, by: str, *, first_used: date, now: datetime) -> Period:
    """The whole steps that a time touches, until now. `by` is the step that is wished for, or empty.

    Hours are for a short time that is not long gone; more than a year is shown by month. An open beginning, and one that
    is longer than a year ago, is the first day that anything was used on.
    """
    end = min(span.end or now, now)
    start = span.start or midnight(first_used)
    if end - start > timedelta(days=MOST_DAYS):
        start = max(start, midnight(first_used))
    if start >= end:
        return Period(start, start, Step.DAY)
    has_hours = end - start <= MOST_HOURS and start >= midnight(now.date()) - HOURS_REACH
    if has_hours and (by == Step.HOUR or (not by and end - start <= SHORT)):
        step = Step.HOUR
    else:
        step = Step.DAY if end - start <= timedelta(days=MOST_DAYS) else Step.MONTH
    inner = Step.HOUR if step is Step.HOUR else Step.DAY
    return Period(floor(start, inner), following(floor(end - timedelta(microseconds=1), inner), inner), step)


def first_day(wallet_id: int) -> date | None:
    """The first day on which the wallet was used."""
    days = DailyUsage.objects.filter(wallet=wallet_id).order_by("day").values_list("day", flat=True)
    return days.first()


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums of a period: by model, by key, and what is drawn of it."""

    period: Period
    measure: Measure
    by_model: Mapping[int, Usage]
    by_key: Mapping[int, Usage]
    by_step: Mapping[datetime, Mapping[int | None, int]]
    """Of each step with a call, by the time it begins at: the measure of the models that are drawn, and under None that
    of all others together."""

    @property
    def total(self) -> Usage:
        return added(self.by_key.values())

    @property
    def drawn(self) -> list[int]:
        """The models that are largest by the measure."""
        ordered = sorted(self.by_model.items(), key=lambda item: (-item[1].of(self.measure), item[0]))
        return [model_id for model_id, _ in ordered[:DRAWN]]

    def at(self, start: datetime) -> Mapping[int | None, int]:
        """One of the period's steps. A month that the period begins within is still that month."""
        return self.by_step.get(floor(start, self.period.step), {})


def added(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())


_NAMES = tuple(Usage.__slots__)
_OF_DAYS = "day >= %s AND day < %s"
_PLACES = {
    # Their key begins with the hour, so each is looked up for the wallet: between two hours lie those of all wallets.
    Step.HOUR: ("tokens_hourlyusage", "hour = ANY(%s)", "hour"),
    Step.DAY: ("tokens_dailyusage", _OF_DAYS, "day"),
    Step.MONTH: ("tokens_dailyusage", _OF_DAYS, "date_trunc('month', day::timestamp)::date"),
}
_MEASURES = {
    Measure.SPEND: "charged_nanousd",
    Measure.CALLS: "calls",
    Measure.TOKENS: "input_tokens + output_tokens",
}


def of(
    wallet_id: int,
    period: Period,
    measure: Measure,
    *,
    model_id: int | None = None,
    key_id: int | None = None,
) -> Statistics:
    """The sums of a wallet's calls in a period, or of those with a model or key of it."""
    by_model: dict[int, Usage] = defaultdict(Usage)
    by_key: dict[int, Usage] = defaultdict(Usage)
    by_step: dict[datetime, dict[int | None, int]] = defaultdict(dict)
    query, parameters = _query(wallet_id, period, measure, {"model_id": model_id, "key_id": key_id})
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        for step, model, key, value, *sums in cursor.fetchall():
            if step is None:
                usage = Usage(*sums)
                by_model[model] += usage
                by_key[key] += usage
            else:
                by_step[step if isinstance(step, datetime) else midnight(step)][model] = value
    return Statistics(period, measure, by_model, by_key, by_step)


def _query(
    wallet_id: int, period: Period, measure: Measure, chosen: Mapping[str, int | None]
) -> tuple[str, list[Any]]:
    """A row of sums for each model and key, and one of the measure for each colour of each step."""
    source, times, step = _PLACES[period.step]
    asked = {name: value for name, value in chosen.items() if value is not None}
    condition = f"wallet_id = %s AND {times}" + "".join(f" AND {name} = %s" for name in asked)
    within = [period.starts()] if period.step is Step.HOUR else [period.start.date(), period.end.date()]
    value = f"sum({_MEASURES[measure]})::bigint"
    query = f"""
        WITH used AS MATERIALIZED (
            SELECT {step} AS step, model_id, key_id, {", ".join(_NAMES)} FROM {source} WHERE {condition}
        ), pairs AS MATERIALIZED (
            SELECT model_id, key_id, {", ".join(f"sum({name})::bigint AS {name}" for name in _NAMES)}
            FROM used GROUP BY model_id, key_id
        ), largest AS (
            SELECT model_id FROM pairs GROUP BY model_id ORDER BY {value} DESC, model_id LIMIT {DRAWN}
        )
        SELECT step, largest.model_id, NULL, {value}, {", ".join("NULL" for _ in _NAMES)}
        FROM used LEFT JOIN largest USING (model_id) GROUP BY step, largest.model_id
        UNION ALL
        SELECT NULL, model_id, key_id, NULL, {", ".join(_NAMES)} FROM pairs
    """  # noqa: S608  # names of ours only
    return query, [wallet_id, *within, *asked.values()]


@dataclass(frozen=True, slots=True)
class Stack:
    """One colour of the chart: a model, by its id, or all that are not among the largest, as None."""

    model_id: int | None
    values: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.values)


def stacks(found: Statistics) -> list[Stack]:
    """The largest models, each with a value for every step of the period, and the others as one."""
    steps = [found.at(start) for start in found.period.starts()]
    colours: list[int | None] = [*found.drawn]
    if len(found.by_model) > DRAWN:
        colours.append(None)
    return [Stack(colour, [step.get(colour, 0) for step in steps]) for colour in colours]
