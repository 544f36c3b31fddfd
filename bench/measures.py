"""How each thing is measured: an object for each that measures for some seconds when it is called."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from bench import load, traffic, webhooks
from bench.load import Load, Outcome
from bench.machine import Machine, Watch
from bench.plan import CLIENTS, CONNECTIONS, SIZES
from bench.population import Key, Population
from bench.results import Round, Sample
from bench.traffic import Stock
from bench.yardsticks import Copy, Pgbench

BATCH, BATCH_CLIENTS = 500, 4
NOTHING = "/metering/v1/nothing"
# So much more than in the window before is rendered, in case this one is faster.
RESERVE = 1.3
# Time for the processes to get their requests and to connect.
LEAD_S = 0.15
HANDED_OVER_PER_S = 100_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """`run` measures for so many seconds; `titles` says what its samples count, by their names."""

    name: str
    titles: dict[str, str]
    run: Callable[[float], Round]


@dataclass(slots=True)
class Lab:
    """What the measurements share. Counts what the clients were told, to be compared with the books."""

    machine: Machine
    population: Population
    clients: Executor
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def drive(self, *loads: Load, web: str = "web") -> tuple[list[Outcome], Watch]:
        """Sends them at the same moment, each from a process of its own, when both have got their requests."""
        size = sum(len(request) for one in loads for request in one.requests)
        start_at = time.monotonic() + LEAD_S + size / HANDED_OVER_PER_S
        started = [self.clients.submit(load.drive, replace(one, start_at=start_at)) for one in loads]
        time.sleep(max(0.0, start_at - time.monotonic()))
        watch = self.machine.watch(web)
        outcomes = [one.result() for one in started]
        for outcome in outcomes:
            self.accepted += outcome.accepted
            self.refused += outcome.refused
        return outcomes, watch

    def sample(self, outcome: Outcome, watch: Watch, *, calls: bool) -> Sample:
        ordered = sorted(outcome.latencies_s)
        return Sample(
            per_second=(outcome.accepted if calls else len(ordered)) / outcome.elapsed_s,
            p50_ms=statistics.median(ordered) * 1000,
            p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
            cores=watch.cores(outcome.cpu_s),
            p95_ms=ordered[int(len(ordered) * 0.95)] * 1000,
        )


@dataclass(slots=True)
class Asking:
    """The same requests over and over, of the site or of another one: its web server's name and port."""

    lab: Lab
    name: str
    requests: Sequence[bytes]
    connections: int
    status: bytes = b"200"
    site: tuple[str, int] | None = None

    def __call__(self, seconds: float) -> Round:
        web = self.site[0] if self.site else "web"
        (outcome,), watch = self.lab.drive(self.load(seconds), web=web)
        return {self.name: self.lab.sample(outcome, watch, calls=False)}

    def load(self, seconds: float) -> Load:
        port = self.site[1] if self.site else self.lab.machine.port
        return Load(port, self.requests, self.connections, seconds, repeat=True, status=self.status)


@dataclass(slots=True)
class Recording:
    """Batches of calls that have holds; each is sent once."""

    lab: Lab
    name: str
    keys: Sequence[Key]
    size: int
    connections: int
    calls_per_second: float
    """How many to render for a second; what the window before reached, once there was one."""
    stock: Stock = field(init=False)

    def __post_init__(self) -> None:
        self.stock = Stock(self.lab.population, self.keys, self.size)

    def __call__(self, seconds: float) -> Round:
        (outcome,), watch = self.lab.drive(self.load(seconds))
        return {self.name: self.taken(outcome, watch)}

    def load(self, seconds: float) -> Load:
        enough = self.connections * self.size * 2
        self.stock.fill(max(enough, round(self.calls_per_second * RESERVE * seconds)))
        return Load(self.lab.machine.port, self.stock.requests, self.connections, seconds)

    def taken(self, outcome: Outcome, watch: Watch) -> Sample:
        sample = self.lab.sample(outcome, watch, calls=True)
        self.stock.taken(outcome.sent)
        self.calls_per_second = sample.per_second
        return sample


@dataclass(slots=True)
class Together:
    """Recording and authorize at once, on the same wallets."""

    lab: Lab
    recording: Recording
    asking: Asking

    def __call__(self, seconds: float) -> Round:
        (recorded, asked), watch = self.lab.drive(self.recording.load(seconds), self.asking.load(seconds))
        return {
            "together-record": self.recording.taken(recorded, watch),
            "together-authorize": self.lab.sample(asked, watch, calls=False),
        }


def every(lab: Lab) -> list[Measure]:
    """All measurements but growth, in the order in which a round runs them."""
    return [*_yardsticks(lab), *_asking(lab), *_recording(lab), _together(lab), *webhooks.every(lab)]


def _yardsticks(lab: Lab) -> list[Measure]:
    pgbench, copy = Pgbench(lab.machine), Copy(lab.machine, lab.population)
    model = lab.population.models[0]
    prepared: set[str] = set()

    def after(
        name: str, prepare: Callable[[], None], run: Callable[[float], Sample]
    ) -> Callable[[float], Round]:
        def measure(seconds: float) -> Round:
            if name not in prepared:
                prepare()
                prepared.add(name)
            return {name: run(seconds)}

        return measure

    def statement(name: str, title: str, *, waits: bool) -> Measure:
        script = pgbench.script(name, waits=waits)
        run = after(name, lambda: pgbench.prepare_statement(model), script)
        return Measure(name, {name: f"pgbench, authorize's statement, {title}: calls let in"}, run)

    return [
        Measure(
            "tpcb",
            {"tpcb": "pgbench TPC-B, scale 10, 8 clients, prepared: transactions"},
            after("tpcb", pgbench.prepare_tpcb, pgbench.tpcb),
        ),
        Measure(
            "copy", {"copy": "COPY of calls, indexed, in months: rows"}, after("copy", copy.prepare, copy)
        ),
        statement("statement", "waiting for the disk", waits=True),
        statement("statement-as-is", "its commit as it is", waits=False),
    ]


def _asking(lab: Lab) -> list[Measure]:
    """Authorize, and beside it an address of the metering API that nothing answers to: the same way in, and no work."""
    questions, limited = (
        traffic.authorize_requests(lab.population, keys)
        for keys in (lab.population.keys, lab.population.limited_keys)
    )
    nothing = [traffic.plain_request(NOTHING)]
    return [
        measure
        for number in CONNECTIONS
        for measure in (
            _measure(
                Asking(lab, f"empty-{number}", nothing, number, b"404"),
                f"Empty view, {number} conn.: requests",
            ),
            _measure(
                Asking(lab, f"authorize-{number}", questions, number),
                f"Authorize, {number} conn.: calls let in",
            ),
            _measure(
                Asking(lab, f"limited-{number}", limited, number),
                f"Authorize, keys with every limit, {number} conn.: calls let in",
            ),
        )
    ]


def _recording(lab: Lab) -> list[Measure]:
    everyone, hot = lab.population.keys, lab.population.hot_keys
    shapes = [
        (Recording(lab, "spread", everyone, BATCH, BATCH_CLIENTS, 30_000), "Recording, all wallets"),
        (Recording(lab, "hot", hot, BATCH, BATCH_CLIENTS, 60_000), "Recording, one wallet"),
        (Recording(lab, "single", everyone, 1, 32, 4_000), "Recording, all wallets"),
        *(
            (
                Recording(lab, f"size-{size}", everyone, size, BATCH_CLIENTS, min(30_000, 2_000 * size)),
                "Recording, all wallets",
            )
            for size in SIZES
        ),
        *(
            (Recording(lab, f"clients-{number}", everyone, BATCH, number, 30_000), "Recording, all wallets")
            for number in CLIENTS
        ),
    ]
    return [
        _measure(one, f"{title}, {one.size} a request, {one.connections} conn.: calls")
        for one, title in shapes
    ]


def _measure(what: Asking | Recording, title: str) -> Measure:
    return Measure(what.name, {what.name: title}, what)


def _together(lab: Lab) -> Measure:
    recording = Recording(lab, "together", lab.population.keys, BATCH, BATCH_CLIENTS, 20_000)
    asking = Asking(lab, "together", traffic.authorize_requests(lab.population, lab.population.keys), 8)
    titles = {
        "together-record": "Both at once, recording, 500 a request, 4 conn.: calls",
        "together-authorize": "Both at once, authorize, 8 conn.: calls let in",
    }
    return Measure("together", titles, Together(lab, recording, asking))
