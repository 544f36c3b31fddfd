"""The log of a wallet with many calls among many: its pages beside the same with few, SQL, COPY, and recording meanwhile."""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from django.test import Client
from psycopg import sql

from accounts.models import User
from bench import load, traffic
from bench.drawing import Past
from bench.filling import History
from bench.load import Load, Streamed
from bench.log_pages import Page, Reader
from bench.measures import BATCH, BATCH_CLIENTS, Asking, Lab, Measure, Recording
from bench.plan import LOG_PAGES, LOG_PAGES_IN_SQL, PARTS_OF_LOG
from bench.population import Population
from bench.results import Round, Sample
from bench.session import WARM_UP_S, Session
from cometsite.quickstart import commands
from logs import exporting
from logs.pages import PAGE_SIZE
from logs.wanted import Wanted

WALLETS = 5_000
DAYS = 180
LARGEST_SHARE = 0.1
# Gateways that report often, so that there are some four calls a transfer.
CALLS_A_BATCH = 20_000
FEW, FEW_DATABASE = 10_000, "few"
# Five people, each of whom opens a page every two seconds.
PEOPLE, PAGES_PER_S = 5, 2.5
EXPORT = "/logs/export/?format=csv"
FEWEST_TIMES = 3
MEGABYTE = 1 << 20
SAMPLED_EVERY_S = 0.02


class LogSession(Session):
    """A machine with two sites: one with all the calls, and one with few, the same otherwise."""

    def __init__(self, machine: Any, wallets: int, calls: int) -> None:
        super().__init__(machine, wallets)
        self.calls = calls
        self.cookie = ""

    def _prepare(self, people: Population) -> None:
        self.cookie = _signed_in(people)
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # only PostgreSQL's wrapper has it
        self.machine.copy_database(FEW_DATABASE)
        self._fill(people, FEW_DATABASE, FEW)
        self._fill(people, commands.DATABASE, self.calls)

    def _fill(self, people: Population, database: str, calls: int) -> None:
        self._say(f"Writing {calls:,} calls")
        with self._connect(database) as to:
            History(to, people, Past(calls, DAYS, CALLS_A_BATCH, LARGEST_SHARE)).fill(calls)

    def _connect(self, database: str) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.machine.cluster.url(database), autocommit=True)

    def _every(self) -> list[Measure]:
        self.lab.accepted += self.calls
        site = self.machine.start_web_on(FEW_DATABASE)
        many, few = (
            Reader(self._connect(database), self.lab.population, DAYS)
            for database in (commands.DATABASE, FEW_DATABASE)
        )
        return [
            *_pages(self.lab, self.cookie, many, few, site),
            *_in_sql(many),
            *_exports(self.lab, self.cookie, many),
            *_recording(self.lab, self.cookie, many),
        ]


def _signed_in(people: Population) -> str:
    """The cookie of the owner of the first wallet."""
    client = Client()
    client.force_login(User.objects.get(wallets=people.keys[0].wallet_id))
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"


@dataclass(slots=True)
class Looking:
    """A page of the log, over one connection. What is polled for is what is the newest then.

    Each process of the web server has shown it before the first window, over other connections.
    """

    asking: Asking
    reader: Reader
    cookie: str
    page: str
    is_warm: bool = False

    def __call__(self, seconds: float) -> Round:
        if self.page == "poll":
            self.asking.requests = _requests([self.reader.poll()], self.cookie, self.page)
        if not self.is_warm:
            replace(self.asking, connections=PEOPLE)(WARM_UP_S)
            self.is_warm = True
        return self.asking(seconds)


def _pages(lab: Lab, cookie: str, many: Reader, few: Reader, site_of_few: tuple[str, int]) -> list[Measure]:
    """Each page of the one site, then the same of the other."""
    sides = ((many, many.addresses(), "", None), (few, few.addresses(), "-few", site_of_few))
    found = []
    for page, title in LOG_PAGES.items():
        for reader, paths, suffix, site in sides:
            name, status = f"log-{page}{suffix}", PARTS_OF_LOG.get(page, b"200")
            asking = Asking(lab, name, _requests(paths[page], cookie, page), 1, status, site)
            titles = {name: f"Log of {reader.calls:,} calls, {title}: requests"}
            found.append(Measure(name, titles, Looking(asking, reader, cookie, page)))
    return found


def _requests(paths: list[str], cookie: str, name: str = "") -> list[bytes]:
    headers = {"Cookie": cookie, **({"HX-Request": "true"} if name in PARTS_OF_LOG else {})}
    return [traffic.plain_request(path, headers) for path in paths]


@dataclass(frozen=True, slots=True)
class Selecting:
    """The rows of a page, over one connection, by their place (counted first) or by the id before them."""

    name: str
    reader: Reader
    page: Page
    by_place: bool

    def __call__(self, seconds: float) -> Round:
        times: list[float] = []
        until = time.perf_counter() + seconds
        ask = self._by_place if self.by_place else self._by_id()
        while time.perf_counter() < until or len(times) < FEWEST_TIMES:
            began_at = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began_at)
        times.sort()
        p95, p99 = (times[int(len(times) * share)] * 1000 for share in (0.95, 0.99))
        return {
            self.name: Sample(1 / statistics.fmean(times), statistics.median(times) * 1000, p99, p95_ms=p95)
        }

    def _by_place(self) -> None:
        self._rows(f"SELECT count(*) FROM logs_call WHERE {self.page.condition}", self.page.parameters)
        self._rows(
            f"SELECT * FROM logs_call WHERE {self.page.condition} ORDER BY id DESC OFFSET %s LIMIT %s",
            (*self.page.parameters, self.page.skipped, PAGE_SIZE),
        )

    def _by_id(self) -> Callable[[], None]:
        """As the log does it: an index alone has the ids."""
        condition, parameters = self.page.condition, self.page.parameters
        if self.page.skipped:
            condition += " AND id < %s"
            parameters = (*parameters, self.reader.id_at(self.page.skipped - 1))
        statement = f"SELECT id FROM logs_call WHERE {condition} ORDER BY id DESC LIMIT %s"
        whole = "SELECT * FROM logs_call WHERE id = ANY(%s) ORDER BY id DESC"

        def ask() -> None:
            found = self._rows(statement, (*parameters, PAGE_SIZE + 1))
            self._rows(whole, ([row[0] for row in found],))

        return ask

    def _rows(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        # Planned for these very parameters, as the site's own are.
        with psycopg.ClientCursor(self.reader.connection) as cursor:
            return cursor.execute(statement.encode(), parameters).fetchall()


def _in_sql(many: Reader) -> list[Measure]:
    pages = many.pages()
    return [
        Measure(
            name,
            {name: f"SQL, {LOG_PAGES[page]}, {how}: pages"},
            Selecting(name, many, pages[page], by_place),
        )
        for page in LOG_PAGES_IN_SQL
        for name, how, by_place in (
            (f"count-offset-{page}", "COUNT and OFFSET", True),
            (f"keyset-{page}", "the rows before an id", False),
        )
    ]


@dataclass(frozen=True, slots=True)
class Exporting:
    """All of a wallet's calls as CSV, once; how much memory it took meanwhile."""

    lab: Lab
    cookie: str
    rows: int

    def __call__(self, seconds: float) -> Round:
        machine = self.lab.machine
        before = most = machine.web_memory()
        running: Future[Streamed] = self.lab.clients.submit(load.stream, machine.port, EXPORT, self.cookie)
        while not running.done():
            most = max(most, machine.web_memory())
            time.sleep(SAMPLED_EVERY_S)
        got = running.result()
        if not got.is_whole or got.lines <= self.rows:
            self.lab.refused[f"{got.status}, {got.lines} lines of {self.rows} calls exported"] += 1
        return {"export": Sample(self.rows / got.elapsed_s, grown_mb=(most - before) / MEGABYTE)}


@dataclass(frozen=True, slots=True)
class Copying:
    """The same rows by a COPY TO, read and forgotten."""

    name: str
    reader: Reader
    statement: sql.Composed
    session: Sequence[str] = ()

    def __call__(self, seconds: float) -> Round:
        with psycopg.connect(self.reader.connection.info.dsn) as link:
            for setting in self.session:
                link.execute(setting)
            began_at = time.perf_counter()
            with link.cursor() as cursor:
                with cursor.copy(self.statement) as copy:
                    for _ in copy:
                        pass
                rows = cursor.rowcount
            return {self.name: Sample(rows / (time.perf_counter() - began_at))}


def _exports(lab: Lab, cookie: str, many: Reader) -> list[Measure]:
    columns = sql.SQL(
        "COPY (SELECT * FROM logs_call WHERE wallet_id = {} ORDER BY id DESC) TO STDOUT (FORMAT csv)"
    ).format(many.wallet_id)
    text = exporting.statement(Wanted(many.wallet_id), exporting.Format.CSV)
    return [
        Measure(
            "copy-out",
            {"copy-out": f"COPY TO of {many.calls:,} calls: rows"},
            Copying("copy-out", many, columns),
        ),
        Measure(
            "copy-text",
            {"copy-text": f"COPY TO of the text that the CSV of {many.calls:,} calls is: rows"},
            Copying("copy-text", many, text, exporting.SESSION),
        ),
        Measure(
            "export",
            {"export": f"CSV of {many.calls:,} calls, streamed: rows"},
            Exporting(lab, cookie, many.calls),
        ),
    ]


@dataclass(slots=True)
class Disturbed:
    """Recording while people browse and one exports, from the first call to the last."""

    lab: Lab
    recording: Recording
    pages: list[str]
    cookie: str

    def __call__(self, seconds: float) -> Round:
        port, pages = self.lab.machine.port, _requests(self.pages, self.cookie)
        browsing = Load(port, pages, PEOPLE, seconds, repeat=True, per_second=PAGES_PER_S)
        recording = self.recording.load(seconds)
        exporting = self.lab.clients.submit(load.stream, port, EXPORT, self.cookie, seconds, again=True)
        (recorded, browsed), watch = self.lab.drive(recording, browsing)
        if (exported := exporting.result()).status != 200:
            self.lab.refused[f"{exported.status} to an export"] += 1
        return {
            "disturbed-record": self.recording.taken(recorded, watch),
            "disturbed-pages": self.lab.sample(browsed, watch, calls=False),
        }


def _recording(lab: Lab, cookie: str, many: Reader) -> list[Measure]:
    keys = lab.population.keys
    alone = Recording(lab, "undisturbed", keys, BATCH, BATCH_CLIENTS, 8_000)
    meanwhile = Recording(lab, "disturbed-record", keys, BATCH, BATCH_CLIENTS, 8_000)
    found = many.addresses()
    pages = [path for turn in zip(found["deep"], found["day"], found["call"], strict=False) for path in turn]
    disturbed = Disturbed(lab, meanwhile, ["/logs/", *pages, "/logs/statistics/"], cookie)
    return [
        Measure(
            "undisturbed", {"undisturbed": "Recording, all wallets, 500 a request, 4 conn.: calls"}, alone
        ),
        Measure(
            "disturbed",
            {
                "disturbed-record": "The same while five people browse and one exports: calls",
                "disturbed-pages": "What they browse, a page every two seconds each: requests",
            },
            disturbed,
        ),
    ]
