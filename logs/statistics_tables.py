"""What was used as rows: by model, by key, and step by step beside the chart that they hold the numbers of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import dateformat

from logs import statistics
from logs.statistics import Measure, Period, Statistics, Step, Usage
from pricing.models import Model
from pricing.money import usd
from tokens.models import ApiKey

# Of a table that grows with what somebody has; the rest is its last row.
MOST_ROWS = 100
SHORT = {Step.HOUR: "j M, H:i", Step.DAY: "j M", Step.MONTH: "M Y"}
FULL = {Step.HOUR: "j M Y, H:i", Step.DAY: "j M Y", Step.MONTH: "M Y"}


def written(at: datetime, period: Period) -> str:
    """A step of the period: "23 Nov 2026", with its hour where it is one."""
    return dateformat.format(at, FULL[period.step])


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


def of(
    found: Statistics, keys: Mapping[int, ApiKey], measure: Measure, chosen: Mapping[str, str]
) -> dict[str, Any]:
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
        **_chart(found, names, measure, chosen),
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


def _chart(
    found: Statistics, names: Mapping[int, str], measure: Measure, chosen: Mapping[str, str]
) -> dict[str, Any]:
    """What is drawn, as data for the script; the same as a table, of the steps with calls, the newest first."""
    period, stacks = found.period, statistics.stacks(found, measure)
    text = usd if measure is Measure.SPEND else "{:,}".format
    rest = f"{len(found.by_model) - statistics.DRAWN:,} other models"
    called = [names[stack.model_id] if stack.model_id is not None else rest for stack in stacks]
    lines, totals = [], [0] * (len(stacks) + 1)
    for number, at in enumerate(period.starts()):
        values = [stack.values[number] for stack in stacks]
        totals = [sum(pair) for pair in zip(totals, [sum(values), *values], strict=True)]
        if found.at(at):
            cells = [text(value) for value in (sum(values), *values)]
            lines.append(Line(written(at, period), _query_of(at, period, chosen), cells))
    return {
        "series": [Series(name, text(stack.total)) for name, stack in zip(called, stacks, strict=True)],
        "lines": lines[::-1],
        "totals": [text(total) for total in totals],
        "chart": {
            "is_money": measure is Measure.SPEND,
            "labels": [dateformat.format(at, SHORT[period.step]) for at in period.starts()],
            "titles": [written(at, period) for at in period.starts()],
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
