"""`python -m cometsite.quickstart`: everything up on this machine, one address, all of it down on Ctrl-C."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from cometsite.quickstart import StartError, commands, environment, leftovers, ports, stamps
from cometsite.quickstart.commands import PROJECT, Site
from cometsite.quickstart.environment import StandIns
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.processes import run_step
from cometsite.quickstart.supervisor import LOG_CHECK_S, READY_TIMEOUT_S, TICK_S, Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The person who started it wants it to stop."""


class Start:
    """One start, from the free port to the address line."""

    def __init__(self, folder: DataFolder, host: str, port: int) -> None:
        self.began_at = time.monotonic()
        self.folder, self.host, self.port = folder, host, port
        self.stand_ins = StandIns.missing_from(os.environ)
        self.supervisor = Supervisor(folder)
        self.stripe_port: int | None = None

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began_at:6.1f} s  {text}", flush=True)

    def bring_up(self) -> None:
        if killed := leftovers.end_all(self.folder):
            self.say(f"Ended {killed} processes that an earlier start left behind")
        ports.require_free(self.host, self.port)
        site = Site(self.host, self.port, self.folder, self._servers())
        environment.write_down(site.environment, self.folder)
        self._data(site)
        self._processes(site)
        self._wait_until_ready(site)
        self._announce(site)

    def _servers(self) -> dict[str, str]:
        """Starts the stand-ins and returns the environment that points to them."""
        postgres_url = self._postgres() if self.stand_ins.postgres else None
        valkey_url = self._valkey() if self.stand_ins.valkey else None
        if self.stand_ins.stripe:
            self.stripe_port = ports.next_free(self.port)
        stripe_url = f"http://127.0.0.1:{self.stripe_port}" if self.stripe_port else None
        return environment.filled_up(
            os.environ,
            self.folder,
            self.port,
            postgres_url=postgres_url,
            valkey_url=valkey_url,
            stripe_url=stripe_url,
        )

    def _postgres(self) -> str:
        cluster = commands.postgres_cluster(self.folder)
        self.say("Starting PostgreSQL" if cluster.data.exists() else "Creating and starting PostgreSQL")
        self.supervisor.start(commands.postgres_service(cluster))
        self.supervisor.wait_for("postgres")
        cluster.create_database(commands.DATABASE)
        return cluster.url(commands.DATABASE)

    def _valkey(self) -> str:
        self.say("Starting Valkey")
        server = commands.valkey_server(self.folder)
        self.supervisor.start(commands.valkey_service(server, self.folder))
        self.supervisor.wait_for("valkey")
        return server.url

    def _data(self, site: Site) -> None:
        self.say("Bringing the database's tables up to date")
        self._manage(site, "migrate", "--no-input")
        database = site.environment.get("DATABASE_URL", "")
        cluster = self.folder.path / "postgres" / "PG_VERSION"
        created = str(cluster.stat().st_mtime_ns) if self.stand_ins.postgres else ""
        prices = stamps.digest_of([PROJECT / "pricing"], database, created, stamps.version("genai-prices"))
        stamps.unless_done(self.folder, "prices", prices, lambda: self._import_prices(site))
        versions = [stamps.version(name) for name in ("django", "django-unfold", "django-htmx", "whitenoise")]
        static = stamps.digest_of([PROJECT / "static", PROJECT / "cometsite" / "settings.py"], *versions)
        stamps.unless_done(self.folder, "static", static, lambda: self._collect_static(site))

    def _import_prices(self, site: Site) -> None:
        self.say("Loading the catalogue of models and prices")
        self._manage(site, "import_prices")

    def _collect_static(self, site: Site) -> None:
        self.say("Collecting style sheets and scripts")
        self._manage(site, "collectstatic", "--no-input", "--clear")

    def _manage(self, site: Site, *arguments: str) -> None:
        command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
        run_step(arguments[0], command, site.environment, PROJECT, self.folder.logs)

    def _processes(self, site: Site) -> None:
        self.say(
            "Starting the Stripe stand-in, the worker and the web server"
            if self.stripe_port
            else "Starting the worker and the web server"
        )
        if self.stripe_port:
            self.supervisor.start(site.stripe(self.stripe_port))
        for service in (site.web(), site.worker(), site.beat()):
            self.supervisor.start(service)

    def _wait_until_ready(self, site: Site) -> None:
        hosts = [
            host.strip() for host in site.environment.get("ALLOWED_HOSTS", "").split(",") if host.strip()
        ]
        give_up_at = time.monotonic() + READY_TIMEOUT_S
        while (
            answer := _readiness(self._address("readyz"), hosts[0].lstrip(".") if hosts else None)
        ) != "200":
            self._tell(self.supervisor.look())
            if time.monotonic() > give_up_at:
                raise StartError(f"The site is not ready after a minute: {answer}. Logs: {self.folder.logs}")
            time.sleep(0.1)

    def _address(self, path: str) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - asks, does not listen
        return (
            f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}/{path}"
        )

    def _announce(self, site: Site) -> None:
        took = time.monotonic() - self.began_at
        if self.stripe_port:
            print(f"The Stripe stand-in listens on port {self.stripe_port}; no money moves.")
        if "EMAIL_URL" not in site.environment and environment.is_local(site.environment):
            print(f"Mails are written to {self.folder.path / 'mail'}.")
        print(f"Logs are in {self.folder.logs}; Ctrl-C stops all of it.")
        print(f"Ready in {took:.1f} s: {self._address('')}", flush=True)

    def _tell(self, news: list[str]) -> None:
        for line in news:
            self.say(line)

    def keep_up(self) -> NoReturn:
        check_logs_at = 0.0
        while True:
            self._tell(self.supervisor.look())
            if time.monotonic() > check_logs_at:
                self.supervisor.bound_logs()
                check_logs_at = time.monotonic() + LOG_CHECK_S
            time.sleep(TICK_S)

    def stop(self) -> None:
        if self.supervisor.watched:
            self.say("Stopping")
            self.supervisor.stop()
            self.say("Stopped")


def _readiness(address: str, host: str | None) -> str:
    """ "200", or why not yet."""
    request = urllib.request.Request(address, headers={"Host": host} if host else {})  # noqa: S310 - our own address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return f"{urlsplit(address).path} answers {error.code} {error.read(300).decode(errors='replace')}"
    except OSError as error:
        return f"no answer ({error})"


def _on_signal(number: int, frame: FrameType | None) -> None:
    # Once is enough: what follows is an orderly stop, which a second Ctrl-C must not break off half-way.
    for name in STOP_SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    raise Stopped


def main() -> int:
    """Returns 0 when it was told to stop, 1 when it could not start or gave up."""
    for name in STOP_SIGNALS:
        signal.signal(name, _on_signal)
    start: Start | None = None
    problem: StartError | None = None
    try:
        start = _prepare()
        start.bring_up()
        start.keep_up()
    except Stopped:
        pass
    except StartError as error:
        problem = error
    finally:
        for name in STOP_SIGNALS:
            signal.signal(name, signal.SIG_IGN)
        if start is not None:
            start.stop()
    if problem is not None:
        print(f"Error: {problem}", file=sys.stderr, flush=True)
    return 0 if problem is None else 1


def _prepare() -> Start:
    port = ports.parse(os.environ.get("PORT", "").strip() or "8000")
    folder = DataFolder(Path(os.environ.get("DATA_DIR", "").strip() or PROJECT / ".data").resolve())
    folder.prepare()
    folder.lock()
    return Start(folder, os.environ.get("HOST", "").strip() or "127.0.0.1", port)


if __name__ == "__main__":
    sys.exit(main())
