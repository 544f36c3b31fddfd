"""The servers under test: a durable PostgreSQL with default settings, and the web server as the quick start runs it."""

import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from bench import cpu, memory
from bench.results import Cores
from cometsite.quickstart import StartError, commands, environment, leftovers, ports
from cometsite.quickstart.commands import PROJECT, Site
from cometsite.quickstart.environment import NAMES
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.postgres import Cluster
from cometsite.quickstart.processes import Service, run_step
from cometsite.quickstart.supervisor import Supervisor
from cometsite.quickstart.valkey import Valkey

HOST = "127.0.0.1"
READY_TIMEOUT_S = 60.0
# Nothing that is measured asks Stripe, so nothing listens for it.
NOWHERE = "127.0.0.1:1"


class Machine:
    """Servers of this run in a folder of their own, which is gone at the end. As a context manager, entered once."""

    def __init__(self, folder: Path) -> None:
        self.folder = DataFolder(folder)
        self.port = ports.any_free()
        self.supervisor = Supervisor(self.folder)
        self.cluster: Cluster
        self.valkey: Valkey
        self.site: Site

    def __enter__(self) -> Self:
        self.folder.prepare()
        self.folder.lock()
        leftovers.end_all(self.folder)
        self._remove("postgres", "postgres.unfinished")
        self.cluster = commands.postgres_cluster(self.folder)
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        self.supervisor.start(commands.postgres_service(self.cluster))
        # The queue that the webhook tells; nobody works on it.
        self.valkey = commands.valkey_server(self.folder)
        self.supervisor.start(commands.valkey_service(self.valkey, self.folder))
        self.supervisor.wait_for("postgres")
        self.supervisor.wait_for("valkey")
        self.cluster.create_database(commands.DATABASE)
        self.site = Site(HOST, self.port, self.folder, self._environment())
        # Pages name their static files by what the last of these writes.
        for command in (("migrate", "--no-input"), ("import_prices",), ("collectstatic", "--no-input")):
            self._manage(*command)

    def _environment(self) -> dict[str, str]:
        caller = {
            name: value
            for name, value in os.environ.items()
            if name not in {*NAMES, "DJANGO_SETTINGS_MODULE"}
        }
        # Nobody gets more than the population was given, though somebody signs in to look at a page.
        caller["STARTER_CREDIT_CENTS"] = "0"
        return environment.filled_up(
            caller,
            self.folder,
            self.port,
            postgres_url=self.cluster.url(commands.DATABASE),
            valkey_url=self.valkey.url,
            stripe_url=f"http://{NOWHERE}",
        )

    def _manage(self, *arguments: str) -> None:
        command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
        run_step(arguments[0], command, self.site.environment, PROJECT, self.folder.logs)

    def start_web(self) -> None:
        """Starts the web server and returns when it answers. Raises StartError."""
        self.start_server(self.site.web(), self.port)

    def start_web_on(self, database: str) -> tuple[str, int]:
        """Starts another one on another database; its name and port, when it answers. Raises StartError."""
        port = ports.any_free()
        addresses = {
            "DATABASE_URL": self.cluster.url(database),
            # What the site keeps for a while is another site's.
            "VALKEY_URL": f"{self.valkey.url.removesuffix('/0')}/1",
            "PORT": str(port),
        }
        site = Site(HOST, port, self.folder, {**self.site.environment, **addresses})
        web = replace(site.web(), name=f"web-{database}")
        self.start_server(web, port)
        return web.name, port

    def copy_database(self, name: str) -> None:
        """Makes another database like the site's, to which nobody may be connected."""
        with psycopg.connect(self.cluster.url("postgres"), autocommit=True) as connection:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(made.format(sql.Identifier(name), sql.Identifier(commands.DATABASE)))

    def start_server(
        self, service: Service, port: int, *, path: str = "/healthz", within_s: float = READY_TIMEOUT_S
    ) -> None:
        """Starts a server and returns when it answers at this path. Raises StartError."""
        self.supervisor.start(service)
        give_up_at = time.monotonic() + within_s
        while not self._answers(port, path):
            if time.monotonic() > give_up_at or not self._process(service.name):
                log = (self.folder.logs / f"{service.name}.log").read_text(errors="replace")
                raise StartError(f"{service.name} does not answer. Its log ends with:\n{log[-1500:]}")
            time.sleep(0.05)

    def _answers(self, port: int, path: str) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{HOST}:{port}{path}", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            raise StartError(f"{path} answers {error.code}") from error
        except OSError:
            return False

    def _process(self, name: str) -> int:
        """0 where it does not run."""
        child = next(watched.child for watched in self.supervisor.watched if watched.name == name)
        return child.process.pid if child.process is not None and child.running else 0

    def watch(self, web: str = "web") -> "Watch":
        """Starts to count who uses the processors, of the web servers the one of this name."""
        return Watch(self._process("postgres"), self._process(web))

    def web_memory(self) -> int:
        """Bytes of memory that the site's web server has now, all its processes together."""
        return memory.of_tree(self._process("web"))

    def _stop(self) -> None:
        self.supervisor.stop()
        if not self.cluster.sockets.is_relative_to(self.folder.path):
            shutil.rmtree(self.cluster.sockets, ignore_errors=True)
        shutil.rmtree(self.folder.path, ignore_errors=True)

    def _remove(self, *names: str) -> None:
        for name in names:
            if (path := self.folder.path / name).exists():
                shutil.rmtree(path)


class Watch:
    """Processor time from now on."""

    def __init__(self, database: int, web: int) -> None:
        self.database, self.web = database, web
        self.began_at, self.before = time.perf_counter(), self._used()

    def _used(self) -> tuple[float, float, float]:
        return cpu.of_tree(self.database), cpu.of_tree(self.web), cpu.of_all()

    def cores(self, client_s: float) -> Cores:
        """How many processors each kept busy, of which the client used so many seconds."""
        elapsed = time.perf_counter() - self.began_at
        database, web, everything = (
            (after - before) / elapsed for after, before in zip(self._used(), self.before, strict=True)
        )
        client = client_s / elapsed
        return Cores(database, web, client, max(0.0, everything - database - web - client))
