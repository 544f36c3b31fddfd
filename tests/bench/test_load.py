"""What the load generator tells of an answer: when its body began, and when it was whole."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench import load
from bench.load import Load

HEAD_S, REST_S = 0.05, 0.1
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _serve(listening: socket.socket) -> None:
    """One stream: its head, a little later its first part, and later the rest."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(HEAD_S)
        connection.sendall(b"3\r\none\r\n")
        time.sleep(REST_S)
        connection.sendall(b"3\r\ntwo\r\n0\r\n\r\n")


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=_serve, args=(listening,))
        serving.start()
        yield int(listening.getsockname()[1])
        serving.join()


def test_the_first_byte_of_a_stream_is_that_of_its_body(port: int) -> None:
    outcome = load.drive(Load(port, [REQUEST], 1, 5.0))
    [first_s], [whole_s] = outcome.first_bytes_s, outcome.latencies_s
    assert first_s >= HEAD_S
    assert whole_s >= first_s + REST_S
    assert not outcome.refused
