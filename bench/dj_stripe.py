"""dj-stripe's webhook with its full processing, measured beside ours: an environment, a database and a server of its own.

It pins an older `stripe`, so it can't run in ours. It gets what makes it fast: the same web server with as many workers
and threads, a pool of connections, one customer that it knows, and a Stripe that answers at once.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench import Failed, load
from bench.events import event, posted
from bench.load import Load
from bench.machine import HOST, Machine
from cometsite.quickstart import StartError, ports
from cometsite.quickstart.postgres import ROLE
from cometsite.quickstart.processes import Service, run_step

SITE = Path(__file__).parent / "dj_stripe_site"
DATABASE = "dj_stripe"
SECRET = "whsec_of_the_benchmark"  # noqa: S105 - signs nothing but this benchmark's events
CUSTOMER = "cus_bench"
ANSWERS_WITHIN_S = 30.0


class NotInstalled(Exception):
    """dj-stripe can't be had here, so there is nothing to compare with; the sentence says why."""


class Peer:
    """The other site. `start` installs it, which takes the network, and raises NotInstalled."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.port = ports.any_free()
        self.stub = self._port_of_stub()
        self.path = ""

    def start(self) -> None:
        """Returns when it has handled its first event, with which it gets to know its customer."""
        folder = self.machine.folder.path / "dj-stripe"
        python = folder / "bin" / "python"
        self._install(folder, python)
        self.machine.cluster.create_database(DATABASE)
        environment = self._environment()
        self.machine.supervisor.start(
            Service("stub", [sys.executable, str(SITE / "stripe_stub.py"), str(self.stub)], environment, SITE)
        )
        listen = ("--interface", "wsgi", "--host", HOST, "--port", str(self.port))
        size = ("--workers", "2", "--blocking-threads", "16", "--no-ws")
        web = [
            str(python),
            "-m",
            "granian",
            *listen,
            *size,
            "django.core.wsgi:get_wsgi_application",
            "--factory",
        ]
        self.path = f"/stripe/webhook/{self._endpoint(python, environment)}/"
        self.machine.supervisor.start(Service("dj-stripe", web, environment, folder))
        self._wait()

    def requests(self, number: int) -> list[bytes]:
        return [posted(self.path, _body(), SECRET) for _ in range(number)]

    def question(self) -> bytes:
        """What it asks Stripe for each of its events, to see how fast the stub answers that."""
        return b"GET /v1/checkout/sessions/cs_test_bench HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST.encode()

    def _install(self, folder: Path, python: Path) -> None:
        logs, environment = self.machine.folder.logs, dict(os.environ)
        pip = (
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
        )
        try:
            run_step("dj-stripe-venv", [sys.executable, "-m", "venv", str(folder)], environment, SITE, logs)
            run_step("dj-stripe-pip", [*pip, "-r", "requirements.txt"], environment, SITE, logs)
        except StartError as error:
            raise NotInstalled(f"dj-stripe could not be installed: {error}") from error

    def _port_of_stub(self) -> int:
        port = ports.any_free()
        while port == self.port:
            port = ports.any_free()
        return port

    def _environment(self) -> dict[str, str]:
        sockets = parse_qs(urlsplit(self.machine.cluster.url(DATABASE)).query)["host"][0]
        return {
            "PATH": os.defpath,
            "PYTHONPATH": str(SITE.parent),
            "DJANGO_SETTINGS_MODULE": "dj_stripe_site.settings",
            "SECRET_KEY": "of-a-benchmark-that-protects-nothing-at-all-anywhere",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "PEER_KEY": f"sk_test_{'b' * 24}",
            "PEER_DATABASE": DATABASE,
            "PEER_DATABASE_HOST": sockets,
            "PEER_DATABASE_USER": ROLE,
            "PEER_STRIPE": f"http://{HOST}:{self.stub}",
        }

    def _endpoint(self, python: Path, environment: dict[str, str]) -> str:
        done = subprocess.run(
            [str(python), "-m", "dj_stripe_site.prepare"],
            cwd=self.machine.folder.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"dj-stripe's site could not be prepared: {done.stderr[-2000:]}")
        return done.stdout.strip().splitlines()[-1]

    def _wait(self) -> None:
        give_up_at = time.monotonic() + ANSWERS_WITHIN_S
        while True:
            try:
                outcome = load.drive(Load(self.port, self.requests(1), 1, 5.0))
            except OSError:
                if time.monotonic() > give_up_at:
                    raise Failed("dj-stripe's server does not answer.") from None
                time.sleep(0.1)
                continue
            if outcome.refused:
                log = (self.machine.folder.logs / "dj-stripe.log").read_text(errors="replace")
                raise Failed(f"dj-stripe does not take its first event. Its log ends with:\n{log[-1500:]}")
            return


def _body() -> bytes:
    made = event()
    made["data"]["object"]["customer"] = CUSTOMER
    return json.dumps(made).encode()
