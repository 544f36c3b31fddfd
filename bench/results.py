"""What was measured, in rounds; and the ratios that count, each with its target."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.plan import (
    GATEWAY_CONNECTIONS,
    GATEWAY_KINDS,
    GATEWAY_SERVERS,
    LOG_PAGES,
    LOG_PAGES_IN_SQL,
    PAGES_OF_ROWS,
    gateway_sample,
)


@dataclass(frozen=True, slots=True)
class Cores:
    """Processors that each side kept busy. Much in `others` means that the machine was not ours alone."""

    database: float
    web: float
    client: float
    others: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One window. What is counted stands in the measurement's title; latencies are of requests."""

    per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cores: Cores | None = None
    p95_ms: float | None = None
    grown_mb: float | None = None
    """How much more memory the web server had at most than before."""


type Round = dict[str, Sample]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        return {"median": self.median, "min": self.lowest, "max": self.highest}


@dataclass(frozen=True, slots=True)
class Ratio:
    """`of` computes it from one round, so that both sides saw the same minute of the machine."""

    title: str
    needs: tuple[str, ...]
    of: Callable[[Round], float]
    target: float | None = None
    at_most: bool = False
    unit: str = ""

    def is_reached(self, value: float) -> bool | None:
        if self.target is None:
            return None
        return value <= self.target if self.at_most else value >= self.target


@dataclass(slots=True)
class Report:
    """All of a run."""

    machine: dict[str, str]
    titles: dict[str, str] = field(default_factory=dict)
    """What each measurement is, in the order in which they are shown."""
    rounds: list[Round] = field(default_factory=list)
    books: list["Books"] = field(default_factory=list)
    growth: list["Stage"] = field(default_factory=list)

    def measured(self) -> dict[str, list[Sample]]:
        return {
            name: found
            for name in self.titles
            if (found := [one[name] for one in self.rounds if name in one])
        }

    def ratios(self) -> list[tuple[Ratio, Spread]]:
        """Those whose both sides were measured."""
        return [
            (ratio, Spread.of([ratio.of(one) for one in self.rounds]))
            for ratio in RATIOS
            if self.rounds and all(name in one for one in self.rounds for name in ratio.needs)
        ]

    def problems(self) -> list[str]:
        return [problem for books in self.books for problem in books.problems]


@dataclass(frozen=True, slots=True)
class Books:
    """The books after a run: that they balance, and how long it took to prove it."""

    calls: int
    charged_nanousd: int
    checks: int
    seconds: float
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """Recording and checking with so many calls in the books."""

    calls: int
    recording: Spread
    check_seconds: float
    megabytes: int
    seal_seconds: float | None = None


def _rate(name: str, beside: str) -> Callable[[Round], float]:
    return lambda one: one[name].per_second / one[beside].per_second


def _milliseconds(value: float | None) -> float:
    assert value is not None, "a measurement over HTTP has latencies"
    return value


def _beyond_empty(one: Round) -> float:
    return _milliseconds(one["authorize-1"].p50_ms) - _milliseconds(one["empty-1"].p50_ms)


def _p99_growth(one: Round) -> float:
    return _milliseconds(one["together-authorize"].p99_ms) / _milliseconds(one["authorize-8"].p99_ms)


def _median(title: str, name: str) -> Ratio:
    """What the operator's people wait for, and the target that was set for it."""
    return Ratio(
        f"{title}, median",
        (name,),
        lambda one: _milliseconds(one[name].p50_ms),
        30,
        at_most=True,
        unit=" ms",
    )


def _beside_empty(title: str, name: str) -> Ratio:
    return Ratio(
        f"{title} : a page that shows nothing, median",
        (name, "page-empty"),
        lambda one: _milliseconds(one[name].p50_ms) / _milliseconds(one["page-empty"].p50_ms),
    )


def _page_of_log(page: str) -> tuple[Ratio, Ratio]:
    """What a page takes among many calls, and beside the same among few; and the targets that were set for it."""
    name, title = f"log-{page}", f"Log, {LOG_PAGES[page]}"
    few = f"{name}-few"
    most_ms = 100 if page.startswith("statistics") else 50
    return (
        Ratio(
            f"{title}, p95",
            (name,),
            lambda one: _milliseconds(one[name].p95_ms),
            None if page == "totals" else most_ms,
            at_most=True,
            unit=" ms",
        ),
        Ratio(
            f"{title} : with few calls, median",
            (name, few),
            lambda one: _milliseconds(one[name].p50_ms) / _milliseconds(one[few].p50_ms),
            1.5 if page in PAGES_OF_ROWS else None,
            at_most=True,
        ),
    )


def _in_sql(title: str, page: str) -> Ratio:
    by_place, by_id = f"count-offset-{page}", f"keyset-{page}"
    return Ratio(
        f"SQL, {title}, COUNT and OFFSET : the rows before an id",
        (by_place, by_id),
        lambda one: _milliseconds(one[by_place].p50_ms) / _milliseconds(one[by_id].p50_ms),
    )


def _added(title: str, name: str, without: str, target: float | None = None) -> Ratio:
    """Time that something takes beyond something else."""
    return Ratio(
        title,
        (name, without),
        lambda one: _milliseconds(one[name].p50_ms) - _milliseconds(one[without].p50_ms),
        target,
        at_most=True,
        unit=" ms",
    )


def _of_gateway(kind: str, title: str, number: int) -> tuple[Ratio, ...]:
    """What the gateway adds, and what of that asking is. The target is of what a client alone on the machine sees."""
    alone, behind, remembering = (gateway_sample(server, kind, number) for server in GATEWAY_SERVERS)
    about = f"{title}, {number} conn., median"
    return (
        _added(
            f"Behind the gateway beyond LiteLLM alone, {about}", behind, alone, 10 if number == 1 else None
        ),
        _added(
            f"Asking beyond answers remembered, {about}", behind, remembering, 10 if number == 1 else None
        ),
        Ratio(
            f"Behind the gateway : LiteLLM alone, {about}",
            (behind, alone),
            lambda one: _milliseconds(one[behind].p50_ms) / _milliseconds(one[alone].p50_ms),
        ),
    )


OF_GATEWAY = tuple(
    ratio
    for number in GATEWAY_CONNECTIONS
    for kind, title in {**GATEWAY_KINDS, "stream-first": "first byte of a stream"}.items()
    for ratio in _of_gateway(kind, title, number)
)
OF_LOGS = (
    *(ratio for page in LOG_PAGES for ratio in _page_of_log(page)),
    *(_in_sql(LOG_PAGES[page], page) for page in LOG_PAGES_IN_SQL),
    Ratio("CSV of all calls, streamed : COPY TO", ("export", "copy-out"), _rate("export", "copy-out"), 0.5),
    Ratio(
        "CSV of all calls, streamed : COPY TO of that text",
        ("export", "copy-text"),
        _rate("export", "copy-text"),
    ),
    Ratio(
        "Memory that the web server takes for it",
        ("export",),
        lambda one: one["export"].grown_mb or 0.0,
        100,
        at_most=True,
        unit=" MB",
    ),
    Ratio(
        "Recording while five browse and one exports : alone",
        ("disturbed-record", "undisturbed"),
        _rate("disturbed-record", "undisturbed"),
        0.8,
    ),
)
RATIOS = (
    *OF_LOGS,
    *OF_GATEWAY,
    Ratio("Recording, all wallets : TPC-B", ("spread", "tpcb"), _rate("spread", "tpcb"), 5),
    Ratio("Recording, all wallets : COPY", ("spread", "copy"), _rate("spread", "copy"), 0.15),
    Ratio("Recording, one wallet : TPC-B", ("hot", "tpcb"), _rate("hot", "tpcb"), 12),
    Ratio("Recording, one wallet : COPY", ("hot", "copy"), _rate("hot", "copy")),
    Ratio("Recording one call a request : TPC-B", ("single", "tpcb"), _rate("single", "tpcb"), 0.6),
    Ratio(
        "Authorize : its statement in pgbench, waiting for the disk",
        ("authorize-8", "statement"),
        _rate("authorize-8", "statement"),
        0.25,
    ),
    Ratio(
        "Authorize : empty view, 8 connections", ("authorize-8", "empty-8"), _rate("authorize-8", "empty-8")
    ),
    Ratio("Authorize : TPC-B, 8 connections", ("authorize-8", "tpcb"), _rate("authorize-8", "tpcb")),
    Ratio(
        "Authorize, p99 at 8 connections",
        ("authorize-8",),
        lambda one: _milliseconds(one["authorize-8"].p99_ms),
        10,
        at_most=True,
        unit=" ms",
    ),
    Ratio(
        "Authorize beyond an empty view, median at 1 connection",
        ("authorize-1", "empty-1"),
        _beyond_empty,
        1,
        at_most=True,
        unit=" ms",
    ),
    Ratio(
        "Authorize with every limit : without, 8 connections",
        ("limited-8", "authorize-8"),
        _rate("limited-8", "authorize-8"),
    ),
    Ratio(
        "Authorize with every limit beyond without, median at 1 connection",
        ("limited-1", "authorize-1"),
        lambda one: _milliseconds(one["limited-1"].p50_ms) - _milliseconds(one["authorize-1"].p50_ms),
        unit=" ms",
    ),
    Ratio(
        "Authorize while recording : quiet, p99",
        ("together-authorize", "authorize-8"),
        _p99_growth,
        2,
        at_most=True,
    ),
    Ratio(
        "Recording while authorizing : alone",
        ("together-record", "spread"),
        _rate("together-record", "spread"),
        0.8,
    ),
    Ratio(
        "Webhook at 100 events/s, p99",
        ("webhook-paced",),
        lambda one: _milliseconds(one["webhook-paced"].p99_ms),
        50,
        at_most=True,
        unit=" ms",
    ),
    Ratio(
        "Webhook : dj-stripe's with its full processing, 8 connections",
        ("webhook", "dj-stripe"),
        _rate("webhook", "dj-stripe"),
        8,
    ),
    _median("/pricing/ with 2,500 models", "page"),
    _median("/pricing/ with 2,500 models, signed in", "page-signed-in"),
    _median("/pricing/ with 2,500 models, a search", "page-search"),
    _median("/api/models with 2,500 models", "models"),
    _median("/api/pricing with 2,500 models", "prices"),
    *(
        _beside_empty(title, name)
        for title, name in (
            ("/pricing/", "page"),
            ("/pricing/, 304", "page-again"),
            ("/api/models", "models"),
            ("/api/models, 304", "models-again"),
            ("/api/pricing, 304", "prices-again"),
        )
    ),
)
