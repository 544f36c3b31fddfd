"""An export through the real server, whose client goes away half-way, or stands still."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.test import Client

from cometsite.quickstart import ports
from logs.export_copies import APPLICATION
from logs.models import Call
from tests.logs import recorded
from tests.plugin import CLUSTER, ENVIRONMENT

pytestmark = pytest.mark.django_db(transaction=True)

PROJECT = Path(__file__).resolve().parents[2]
# More than what sockets and the server keep ready.
CALLS = 80_000
START_TIMEOUT_S = 40.0


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """One worker of granian over the test's database, and its port and process."""
    port = ports.any_free()
    url = CLUSTER.url(str(connection.settings_dict["NAME"]))
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    size = ["--workers", "1", "--blocking-threads", "4", "--no-ws"]
    process = subprocess.Popen(
        [*command, *size, "cometsite.wsgi:application"],
        cwd=PROJECT,
        env={**os.environ, **ENVIRONMENT, "DATABASE_URL": url, "DATABASE_MAY_LOSE_DATA": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return
        assert time.monotonic() < until, "the server does not answer"
        time.sleep(0.2)


@pytest.fixture
def cookie() -> str:
    """Of somebody with many calls."""
    owner = recorded.person("owner")
    first = recorded.call(recorded.key_of(owner), recorded.model(), at=datetime.now(UTC) - timedelta(hours=1))
    columns = [str(field.column) for field in Call._meta.concrete_fields]
    copied = [
        "overlay(id::text placing lpad(to_hex(n), 5, '0') from 32)::uuid" if c == "id" else c for c in columns
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO logs_call ({', '.join(columns)}) SELECT {', '.join(copied)}"
            " FROM logs_call, generate_series(1, %s) n WHERE id = %s ON CONFLICT DO NOTHING",
            [CALLS, first.pk],
        )
    client = Client()
    client.force_login(owner)
    return f"sessionid={client.cookies['sessionid'].value}"


class Reader:
    """A client of the export that takes as much as it likes."""

    def __init__(self, address: str, cookie: str) -> None:
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        head = f"GET /logs/export/?format=csv HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n"
        self.socket.sendall(head.encode())

    def take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count and (more := self.socket.recv(65_536)):
            taken += more
        return taken


def copies(database: "psycopg.Connection[tuple[int]]") -> int:
    """How many exports the database works for."""
    found = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%' AND state = 'active'"
    )
    return (found.fetchone() or (0,))[0]


def resident_mb(pid: int) -> float:
    """Of the server and its worker, the larger one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [
        re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{each}/status").read_text()) for each in (pid, *children)
    ]
    return max(int(each[1]) for each in found if each) / 1024


def test_the_statement_ends_when_the_client_leaves(server: tuple[str, int], cookie: str) -> None:
    address, pid = server
    url = CLUSTER.url(str(connection.settings_dict["NAME"]))
    with psycopg.connect(url, autocommit=True) as database:
        reader = Reader(address, cookie)
        assert reader.take(1_000_000).startswith(b"HTTP/1.1 200")
        time.sleep(1)  # It has filled all that lies between, and waits.
        assert copies(database) == 1
        before_mb = resident_mb(pid)
        reader.socket.close()
        until = time.monotonic() + 10
        while copies(database) and time.monotonic() < until:
            time.sleep(0.05)
        assert copies(database) == 0
        connections = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [APPLICATION]
        ).fetchone()
        assert connections == (0,)
        whole = fetched(address, cookie)
    assert whole.count(b"\n") == Call.objects.count() + 1
    assert b"INCOMPLETE" not in whole
    assert resident_mb(pid) < before_mb + 30


def fetched(address: str, cookie: str) -> bytes:
    request = urllib.request.Request(f"http://{address}/logs/export/", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return bytes(answer.read())
