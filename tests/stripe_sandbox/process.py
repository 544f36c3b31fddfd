"""The stand-in as its own process, and a receiver of its webhooks."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import stripe

from tests.stripe_sandbox.contract import Watched, saw

KEY = "sk_test_sandbox_of_these_tests"
SECRET = "whsec_of_these_tests"
ROOT = Path(__file__).parents[2]


class Sandbox:
    """`python -m stripe_sandbox` on a free port, over one folder of state."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._options = options
        self.url = ""

    def start(self, *options: str, key: str = KEY, secret: str = SECRET) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "stripe_sandbox", "--port", "0", "--data", str(self.data)]
        environment = {**os.environ, "STRIPE_SECRET_KEY": key, "STRIPE_WEBHOOK_SECRET": secret}
        self._process = subprocess.Popen(
            [*command, *(options or self._options)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        ready = self._process.stdout.readline()
        if " on " in ready:
            self.url = ready.split(" on ")[1].split()[0]
        return self._process

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Returns what it wrote to its error output."""
        self._process.send_signal(number)
        return self._process.communicate(timeout=10)[1]

    def client(self, **options: Any) -> stripe.StripeClient:
        """Stripe's own library. What it sends and gets is held against Stripe's description."""
        options.setdefault("http_client", Watched())
        return stripe.StripeClient(KEY, base_addresses={"api": self.url}, **options)

    def request(
        self, method: str, path: str, fields: dict[str, Any] | str | None = None, **headers: str
    ) -> "Reply":
        """A request as it goes over the wire. An underscore in a header's name stands for a hyphen."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        body = fields if isinstance(fields, str) else urlencode(fields or {})
        head = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {KEY}"}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, head)
            response = connection.getresponse()
            reply = Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()
        saw(method, path, body, reply.status, reply.body)
        return reply

    def command(self, path: str, /, **fields: Any) -> Any:
        """Do something at one of the stand-in's own addresses under /_sandbox/."""
        reply = self.request("POST", f"/_sandbox/{path}", fields)
        assert reply.status == 200, reply.body
        return reply.json

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """It takes requests, and none gets as far as the database."""
        database = sqlite3.connect(self.data / "stripe_sandbox.sqlite3", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")
            database.close()

    @contextmanager
    def running(self) -> Iterator["Sandbox"]:
        """Started, and stopped at the end however that comes about."""
        self.start()
        try:
            yield self
        finally:
            sys.stderr.write(self.stop())


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.json["error"])


class Receiver:
    """Takes webhooks and answers each with the next of `statuses`, or 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.hold_s = 0.0
        self.received: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.hold_s)
                receiver.received.append((self.headers["Stripe-Signature"], body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook/"

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        found = [json.loads(body) for _, body in list(self.received)]
        return [event for event in found if kind is None or event["type"] == kind]


def until(condition: Callable[[], Any], *, within_s: float = 8) -> Any:
    """Wait for something that another process does; the truth it came to."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.02)
    return result


def payment(**changes: Any) -> Any:
    """What the wallet sends for a top-up of one dollar."""
    item = {
        "quantity": 1,
        "price_data": {"currency": "usd", "unit_amount": 100, "product_data": {"name": "Wallet top-up"}},
    }
    return {
        "mode": "payment",
        "line_items": [item],
        "success_url": "http://127.0.0.1:8000/wallet/back/?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:8000/wallet/",
        **changes,
    }
