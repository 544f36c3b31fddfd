"""What was used as rows: by model, by key, and step by step beside the chart that they hold the numbers of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils.dates import MONTHS_3

from logs import statistics
from logs.statistics import Measure, Period, Statistics, Step, Usage
from pricing.models import Model
from pricing.money import usd
from tokens.models import ApiKey

# Of a table that grows with what somebody has; the rest is its last row.
MOST_ROWS = 100


def written(at: datetime, period: Period) -> str:
    """A step of the period: "23 Nov 2026", "23 Nov 2026, 14:00", "Nov 2026"."""
    month = f"{MONTHS_3[at.month].capitalize()} {at.year}"
    if period.step is Step.MONTH:
        return month
    return f"{at.day} {month}, {at:%H:%M}" if period.step is Step.HOUR else f"{at.day} {month}"


def _in_short(at: datetime, period: Period) -> str:
    """The same for the axis of the chart, without the year of a day."""
    text = written(at, period)
    return text if period.step is Step.MONTH else text.replace(f" {at.year}", "")


@dataclass(frozen=True, slots=True)
class Row:
    """What one model, or one key, used; its query finds its calls in the log."""

    name: str
    usage: Usage
    query: str = ""
    hint: str = ""
    share: str | None = None
    """Of what was spent in all, in percent."""


@dataclass(frozen=True, slots=True)
class Series:
    """A colour of the chart."""

    name: str
    total: str


@dataclass(frozen=True, slots=True)
class Line:
    """A step of the chart as a row of its table."""

    label: str
    query: str
    cells: Sequence[str]


def of(found: Statistics, keys: Mapping[int, ApiKey], chosen: Mapping[str, str]) -> dict[str, Any]:
    """For the template. `keys` are the wallet's, by id; `chosen` is the log's filter that finds these calls."""
    names = dict(Model.objects.filter(pk__in=found.by_model).values_list("pk", "name"))
    of_models = [
        Row(names[pk], usage, query=urlencode({**chosen, "model": names[pk]}))
        for pk, usage in found.by_model.items()
    ]
    of_keys = [
        Row(keys[pk].name, usage, query=urlencode({**chosen, "token": pk}), hint=keys[pk].hint)
        for pk, usage in found.by_key.items()
    ]
    return {
        "by_model": _largest_first(of_models, found.total),
        "by_key": _largest_first(of_keys, found.total),
        **_chart(found, names, chosen),
    }


def _largest_first(rows: Iterable[Row], total: Usage) -> list[Row]:
    """By spend, each with its share of it, and the smallest of many as one."""
    ordered = sorted(rows, key=lambda row: (-row.usage.charged_nanousd, -row.usage.calls, row.name))
    rest = ordered[MOST_ROWS:]
    if rest:
        others = Row(f"{len(rest):,} others", statistics.added(row.usage for row in rest))
        ordered = [*ordered[:MOST_ROWS], others]
    spent = total.charged_nanousd
    return [replace(row, share=statistics.percent(row.usage.charged_nanousd, spent)) for row in ordered]


def _chart(found: Statistics, names: Mapping[int, str], chosen: Mapping[str, str]) -> dict[str, Any]:
    """What is drawn, as data for the script; the same as a table, of the steps with calls, the newest first."""
    starts, stacks = found.period.starts(), statistics.stacks(found)
    is_money = found.measure is Measure.SPEND
    text = usd if is_money else "{:,}".format
    rest = f"{len(found.by_model) - len(found.drawn):,} other models"
    called = [rest if stack.model_id is None else names[stack.model_id] for stack in stacks]
    titles = [written(at, found.period) for at in starts]
    lines = [
        Line(title, _query_of(at, found.period, chosen), [text(sum(values)), *map(text, values)])
        for at, title, *values in zip(starts, titles, *(stack.values for stack in stacks), strict=True)
        if found.at(at)
    ]
    totals = [stack.total for stack in stacks]
    return {
        "series": [Series(name, text(total)) for name, total in zip(called, totals, strict=True)],
        "lines": lines[::-1],
        "totals": [text(sum(totals)), *map(text, totals)],
        "chart": {
            "is_money": is_money,
            "labels": [_in_short(at, found.period) for at in starts],
            "titles": titles,
            "series": [
                {"name": name, "values": stack.values} for name, stack in zip(called, stacks, strict=True)
            ],
        },
    }


def _query_of(at: datetime, period: Period, chosen: Mapping[str, str]) -> str:
    """Finds a step's calls in the log; empty for an hour, of which the log's filter knows the day only."""
    if period.step is Step.HOUR:
        return ""
    end = min(statistics.following(statistics.floor(at, period.step), period.step), period.end)
    others = {name: value for name, value in chosen.items() if name in ("model", "token")}
    return urlencode({**others, "from": f"{at:%Y-%m-%d}", "to": f"{end - timedelta(days=1):%Y-%m-%d}"})
