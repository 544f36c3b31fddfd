"""The report as tables, which are Markdown and stay readable in a terminal, and as JSON."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from bench.results import Ratio, Report, Sample, Spread

type Table = Sequence[Sequence[str]]


def as_text(report: Report) -> str:
    parts = [_machine(report)]
    if report.rounds:
        parts += [_ratios(report), _figures(report)]
    if report.growth:
        parts.append(_growth(report))
    return "\n\n".join([*parts, _books(report)]) + "\n"


def as_json(report: Report) -> dict[str, Any]:
    return {
        "machine": report.machine,
        "ratios": [
            {
                "title": ratio.title,
                **spread.as_json(),
                "target": ratio.target,
                "is_reached": ratio.is_reached(spread.median),
            }
            for ratio, spread in report.ratios()
        ],
        "measured": {
            name: {"title": report.titles[name], "rounds": [dataclasses.asdict(sample) for sample in samples]}
            for name, samples in report.measured().items()
        },
        "growth": [dataclasses.asdict(stage) for stage in report.growth],
        "books": [dataclasses.asdict(books) for books in report.books],
    }


def _machine(report: Report) -> str:
    return "\n".join(f"{name}: {value}" for name, value in report.machine.items())


def _ratios(report: Report) -> str:
    rows = [
        (ratio.title, _spread(spread, ratio.unit), _target(ratio), _verdict(ratio, spread))
        for ratio, spread in report.ratios()
    ]
    return _table(("Ratio", "median (min-max)", "target", ""), rows)


def _target(ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    return f"{'≤' if ratio.at_most else '≥'} {ratio.target:g}{ratio.unit}"


def _verdict(ratio: Ratio, spread: Spread) -> str:
    return {True: "reached", False: "not reached", None: ""}[ratio.is_reached(spread.median)]


def _figures(report: Report) -> str:
    measured = report.measured()
    head = (
        "Name",
        "What is counted",
        "per second",
        ": TPC-B",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "cores: database, web, client, others",
    )
    tpcb = measured.get("tpcb")
    beside = statistics.median(sample.per_second for sample in tpcb) if tpcb else None
    return _table(
        head, [(name, report.titles[name], *_figure(samples, beside)) for name, samples in measured.items()]
    )


def _figure(samples: Sequence[Sample], tpcb: float | None) -> tuple[str, ...]:
    speed = Spread.of([sample.per_second for sample in samples])
    used = [sample.cores for sample in samples if sample.cores]
    cores = [
        statistics.median(side) for side in zip(*(dataclasses.astuple(one) for one in used), strict=True)
    ]
    return (
        _spread(speed),
        _number(speed.median / tpcb) if tpcb else "",
        _latency([sample.p50_ms for sample in samples]),
        _latency([sample.p95_ms for sample in samples]),
        _latency([sample.p99_ms for sample in samples]),
        ", ".join(f"{side:.2f}" for side in cores),
    )


def _latency(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return _number(statistics.median(known)) if known else ""


def _growth(report: Report) -> str:
    first = report.growth[0].recording.median
    rows = [
        (
            f"{stage.calls:,}",
            _spread(stage.recording),
            f"{stage.recording.median / first:.2f}",
            f"{stage.check_seconds:.1f} s",
            "" if stage.seal_seconds is None else f"{stage.seal_seconds:.1f} s",
            f"{stage.megabytes:,} MB",
        )
        for stage in report.growth
    ]
    head = (
        "Calls in the books",
        "recorded per second",
        ": first",
        "all invariants",
        "sealing the days",
        "database",
    )
    return _table(head, rows)


def _books(report: Report) -> str:
    lines = [
        f"Books: {books.calls:,} calls, {books.charged_nanousd:,} nano-dollars;"
        f" {books.checks} invariants {'FAILED' if books.problems else 'hold'}, checked in {books.seconds:.1f} s."
        for books in report.books
    ]
    return "\n".join([*lines, *(f"FAILED: {problem}" for problem in report.problems())])


def _spread(spread: Spread, unit: str = "") -> str:
    return f"{_number(spread.median)}{unit} ({_number(spread.lowest)}-{_number(spread.highest)})"


def _number(value: float) -> str:
    """Three digits that count, and thousands as they are."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Table) -> str:
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    ruler = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, ruler, *rows)
    )
