"""The configuration for one address, run by the real Caddy, before two servers that say what arrived at them."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.stack import PROJECT

CADDY = shutil.which("caddy")
pytestmark = pytest.mark.skipif(
    CADDY is None, reason="NO CADDY ON THIS MACHINE: the configuration for one address was not tried"
)
CALLS = (
    "/v1/chat/completions",
    "/v1/chat/completions/",
    "/v1/chat/completions/chat/completions",
    "/chat/completions",
    "/chat/completions/",
    "/v1/messages",
    "/messages",
    "/v1/v1/messages",
    "/v1/models",
    "/models",
    "/v1/embeddings",
    "/v1/images/generations",
    "/images/generations",
    "/v1/audio/speech",
    "/v1/responses",
    "/v1beta/models/gemini-2.5-flash:generateContent",
)
PAGES = (
    "/",
    "/wallet/",
    "/tokens/",
    "/logs/",
    "/pricing/gpt-4o/",
    "/help/",
    "/admin/",
    "/api/user/self",
    "/api/models",
    "/api/usage/token",
    "/api/v1/credits",
    "/user/quota?key=sk-x",
    "/v1/dashboard/billing/subscription",
    "/dashboard/billing/usage",
    "/wallet/stripe/webhook/",
    "/accounts/login/",
    "/static/css/site.css",
    "/healthz",
)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str

    @property
    def told(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.body)
        return found


class Teller(BaseHTTPRequestHandler):
    """Tells its server's name and what it was asked; a stream says a word, waits to be let on, and says another."""

    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path.endswith("?stream"):
            self._stream()
            return
        assert isinstance(self.server, ThreadingHTTPServer)
        length = int(self.headers.get("Content-Length") or 0)
        read = len(self.rfile.read(length))
        told = {
            "server": self.server.server_name,
            "path": self.path,
            "from": self.headers.get("X-Forwarded-For", ""),
            "scheme": self.headers.get("X-Forwarded-Proto", ""),
            "host": self.headers.get("Host", ""),
            "read": str(read),
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the server looks for

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        self.go_on.wait(20)
        self.wfile.write(b"data: second\n\n")

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def serving(name: str) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Teller)
    server.server_name = name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def dashboard() -> Iterator[int]:
    yield from serving("dashboard")


@pytest.fixture(scope="module")
def gateway() -> Iterator[int]:
    yield from serving("gateway")


@pytest.fixture(scope="module")
def port(dashboard: int, gateway: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found = int(probe.getsockname()[1])
    home = tmp_path_factory.mktemp("caddy")
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "SITE_ADDRESS": f"http://127.0.0.1:{found}",
        "DASHBOARD": f"127.0.0.1:{dashboard}",
        "GATEWAY": f"127.0.0.1:{gateway}",
    }
    command = [CADDY or "", "run", "--config", str(PROJECT / "deploy" / "Caddyfile")]
    with (home / "caddy.log").open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=home, stdout=output, stderr=output)
        try:
            wait_for(found, process, home / "caddy.log")
            yield found
        finally:
            process.terminate()
            process.wait(20)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.05)
        else:
            return


def ask(port: int, path: str, *, body: bytes | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, sent)
    response = connection.getresponse()
    answer = Answer(response.status, response.read().decode())
    connection.close()
    return answer


@pytest.mark.parametrize("path", CALLS)
def test_calls_go_to_the_gateway_as_they_are(port: int, path: str) -> None:
    told = ask(port, path, body=b"{}").told
    assert (told["server"], told["path"]) == ("gateway", path)


@pytest.mark.parametrize("path", PAGES)
def test_everything_else_goes_to_the_dashboard_without_a_redirect(port: int, path: str) -> None:
    told = ask(port, path).told
    assert (told["server"], told["path"]) == ("dashboard", path)


def test_the_metering_api_is_not_there_from_outside(port: int) -> None:
    assert ask(port, "/metering/v1/authorize", body=b"{}").status == 404


@pytest.mark.parametrize("path", ["/wallet/", "/v1/messages"])
def test_nobody_can_say_where_they_come_from(port: int, path: str) -> None:
    told = ask(port, path, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https").told
    assert told["from"] == "127.0.0.1"
    assert told["scheme"] == "http"


def test_a_word_of_a_stream_arrives_before_the_next_one_is_said(port: int) -> None:
    Teller.go_on.clear()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/messages?stream")
    response = connection.getresponse()
    try:
        assert response.read(13) == b"data: first\n\n"
    finally:
        Teller.go_on.set()
    assert response.read() == b"data: second\n\n"
    connection.close()


@pytest.mark.parametrize(("path", "most"), [("/wallet/", 4_000_000), ("/v1/messages", 34_000_000)])
def test_a_body_has_a_limit(port: int, path: str, most: int) -> None:
    assert ask(port, path, body=b"x" * most).told["read"] == str(most)
    assert ask(port, path, body=b"x" * (most + 1_000_000)).status in (413, 502)
