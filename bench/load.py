"""Loads the server over HTTP from a process of its own, with requests that were rendered before.

Standard library only, so that a spawned process is there at once. One thread drives all connections: what the client
costs is taken from the same cores that the server and the database run on.
"""

import http.client
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bench import Failed

TIMEOUT_S = 30.0
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
ACCEPTED = re.compile(rb'"accepted":\s*(\d+)')
BLOCK = 1 << 18
FOREVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. `repeat` starts over when the requests run out; else that ends the window early."""

    port: int
    requests: Sequence[bytes]
    connections: int
    seconds: float
    repeat: bool = False
    status: bytes = b"200"
    """What a good answer has."""
    start_at: float = 0.0
    """Time of the monotonic clock, which all processes share; 0 starts at once."""
    per_second: float = 0.0
    """Sends at fixed times, however long the answers take; 0 sends the next as soon as one is answered."""


@dataclass(slots=True)
class Outcome:
    """What came back until the last answer. Nothing is sent after the window; what is on its way is waited for."""

    sent: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    accepted: int = 0
    latencies_s: list[float] = field(default_factory=list)
    first_bytes_s: list[float] = field(default_factory=list)
    """To the first byte of each answer's body."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers of another status, by it and the start of the body."""


@dataclass(slots=True)
class Connection:
    """A connection with one request under way at most."""

    socket: socket.socket
    began_at: float = 0.0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    answer: bytearray = field(default_factory=bytearray)
    expected: int | None = None
    """Bytes of the whole answer, once its head is there; 0 where it comes in chunks."""
    body_at: int = 0
    first_byte_at: float = 0.0
    """Of the body; 0 until it is there."""

    def begin(self, request: bytes) -> None:
        self.began_at = time.perf_counter()
        self.unsent = memoryview(request)
        self.answer.clear()
        self.expected = None
        self.first_byte_at = 0.0
        self.send()

    def send(self) -> None:
        """Sends what the kernel takes now; the server may be busy with others."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass

    def receive(self) -> bool:
        """Takes what is there; True when the answer is complete."""
        block = self.socket.recv(BLOCK)
        if not block:
            raise Failed("The server closed a connection.")
        self.answer += block
        if self.expected is None:
            end = self.answer.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.expected, self.body_at = self._expected(end), end + 4
        if not self.first_byte_at and len(self.answer) > self.body_at:
            self.first_byte_at = time.perf_counter()
        if self.expected == 0:
            return self.answer.endswith(LAST_CHUNK)
        return len(self.answer) >= self.expected

    def _expected(self, end: int) -> int:
        if self.answer[9:12] == b"304":  # Has no body, and may have no length.
            return end + 4
        if length := LENGTH.search(self.answer, 0, end + 2):
            return end + 4 + int(length[1])
        if CHUNKED.search(self.answer, 0, end + 2):
            return 0
        raise Failed(f"An answer without an end: {bytes(self.answer[:200])!r}")


def drive(load: Load) -> Outcome:
    """Keeps every connection busy for the window. Raises Failed."""
    outcome = Outcome()
    requests = _endlessly(load.requests) if load.repeat else iter(load.requests)
    with selectors.DefaultSelector() as selector:
        opened = [_connect(load.port) for _ in range(load.connections)]
        try:
            _wait_until(load.start_at)
            began_at, cpu_began_at = time.perf_counter(), time.process_time()
            connections = [Connection(one) for one in opened]
            if load.per_second:
                _run_paced(selector, connections, requests, outcome, load, began_at)
            else:
                for one in connections:
                    _next(selector, one, requests, outcome)
                _run(selector, requests, outcome, load, began_at + load.seconds)
            outcome.elapsed_s = time.perf_counter() - began_at
            outcome.cpu_s = time.process_time() - cpu_began_at
        finally:
            for made in opened:
                made.close()
    return outcome


def _run(
    selector: selectors.BaseSelector, requests: Iterator[bytes], outcome: Outcome, load: Load, until: float
) -> None:
    while selector.get_map():
        ready = selector.select(TIMEOUT_S)
        if not ready:
            raise Failed(f"No answer within {TIMEOUT_S:.0f} s.")
        for key, events in ready:
            connection: Connection = key.data
            if connection.unsent and events & selectors.EVENT_WRITE:
                connection.send()
                _watch(selector, connection)
            elif events & selectors.EVENT_READ and connection.receive():
                now = time.perf_counter()
                _count(connection, outcome, load.status, now)
                _next(selector, connection, requests if now < until else iter(()), outcome)


def _run_paced(
    selector: selectors.BaseSelector,
    idle: list[Connection],
    requests: Iterator[bytes],
    outcome: Outcome,
    load: Load,
    began_at: float,
) -> None:
    """Latencies count from when a request was due, so that a wait for a free connection is the server's too."""
    due, until = began_at, began_at + load.seconds
    while due < until or selector.get_map():
        while idle and due < until and due <= time.perf_counter():
            _next(selector, connection := idle.pop(), requests, outcome)
            connection.began_at = due
            due = began_at + outcome.sent / load.per_second
        is_waiting = bool(idle) and due < until
        ready = selector.select(max(0.0, due - time.perf_counter()) if is_waiting else TIMEOUT_S)
        if not ready and not is_waiting:
            raise Failed(f"No answer within {TIMEOUT_S:.0f} s.")
        for key, events in ready:
            connection = key.data
            if connection.unsent and events & selectors.EVENT_WRITE:
                connection.send()
                _watch(selector, connection)
            elif events & selectors.EVENT_READ and connection.receive():
                _count(connection, outcome, load.status, time.perf_counter())
                selector.unregister(connection.socket)
                idle.append(connection)


def _next(
    selector: selectors.BaseSelector, connection: Connection, requests: Iterator[bytes], outcome: Outcome
) -> None:
    request = next(requests, None)
    if request is None:
        if connection.socket in selector.get_map():
            selector.unregister(connection.socket)
        return
    outcome.sent += 1
    connection.begin(request)
    _watch(selector, connection)


def _watch(selector: selectors.BaseSelector, connection: Connection) -> None:
    # An answer may come before all of the request is sent, where the server refuses it.
    events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
    known = selector.get_map().get(connection.socket)
    if known is None:
        selector.register(connection.socket, events, connection)
    elif known.events != events:
        selector.modify(connection.socket, events, connection)


def _count(connection: Connection, outcome: Outcome, expected: bytes, now: float) -> None:
    outcome.latencies_s.append(now - connection.began_at)
    outcome.first_bytes_s.append((connection.first_byte_at or now) - connection.began_at)
    status, head = connection.answer[9:12], connection.answer.find(b"\r\n\r\n")
    if status != expected:
        text = bytes(connection.answer[head + 4 : head + 300]).decode(errors="replace")
        outcome.refused[f"{status.decode(errors='replace')} {text}"] += 1
    elif accepted := ACCEPTED.search(connection.answer, head, head + 64):
        outcome.accepted += int(accepted[1])


def _connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    return made


def _wait_until(start_at: float) -> None:
    if (left := start_at - time.monotonic()) > 0:
        time.sleep(left)


def _endlessly(requests: Iterable[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests


@dataclass(slots=True)
class Streamed:
    """What came of an answer that nobody keeps."""

    status: int = 0
    lines: int = 0
    elapsed_s: float = 0.0
    is_whole: bool = False


def stream(port: int, path: str, cookie: str, seconds: float = FOREVER_S, *, again: bool = False) -> Streamed:
    """Reads a long answer, block by block; the last one that was begun comes back.

    Asks `again` when it has all of it. Goes away in the middle when the time is over.
    """
    until, got = time.perf_counter() + seconds, Streamed()
    while time.perf_counter() < until:
        connection, began_at = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S),
            time.perf_counter(),
        )
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        got = Streamed(answer.status)
        while time.perf_counter() < until:
            block = answer.read1(BLOCK)
            if not block:
                got.is_whole = True
                break
            got.lines += block.count(b"\n")
        got.elapsed_s = time.perf_counter() - began_at
        connection.close()
        if not again:
            break
    return got
