"""What stands for Stripe beside dj-stripe: it answers over connections that stay open."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.dj_stripe import SITE
from cometsite.quickstart import ports


@pytest.fixture
def connection() -> Iterator[http.client.HTTPConnection]:
    port = ports.any_free()
    process = subprocess.Popen([sys.executable, str(SITE / "stripe_stub.py"), str(port)])
    opened = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        _connect(opened)
        yield opened
    finally:
        opened.close()
        process.terminate()
        process.wait()


def _connect(connection: http.client.HTTPConnection) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            connection.connect()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def test_it_answers_one_after_the_other_on_one_connection(connection: http.client.HTTPConnection) -> None:
    first = connection.sock
    for path, status, told in (
        ("/v1/checkout/sessions/cs_test_1?expand[]=a", 200, {"id": "cs_test_1", "payment_intent": "pi_1"}),
        ("/v1/customers/cus_bench", 200, {"id": "cus_bench", "object": "customer"}),
        ("/v1/account", 200, {"id": "acct_bench"}),
        ("/v1/nothing/1", 404, {"error": {"message": "/v1/nothing/1"}}),
    ):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == status
        assert told.items() <= body.items()
    assert connection.sock is first


def test_it_answers_what_comes_in_pieces_and_together(connection: http.client.HTTPConnection) -> None:
    assert connection.sock is not None
    connection.sock.sendall(b"GET /v1/account HT")
    time.sleep(0.05)
    connection.sock.sendall(b"TP/1.1\r\n\r\nGET /v1/account HTTP/1.1\r\n\r\n")
    received = b""
    while received.count(b"acct_bench") < 2:
        received += connection.sock.recv(10_000)
    assert received.count(b"200 OK") == 2
