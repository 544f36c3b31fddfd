"""A flood at the door of a real web server: large, endless and odd requests that nobody signed cost next to nothing."""

import http.client
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.parallel import at_once
from tests.stack import Stack

pytestmark = pytest.mark.stack

PATH = "/wallet/stripe/webhook/"
CHUNK = b"x" * 65_536
CHUNKS = 160  # 10 MB
FLOOD = 60
# What one worker may need to hold a body of 1 MiB for each of its threads, and be untidy about it.
SLACK_KB = 60_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("flood") / "data")
    made.up()
    try:
        yield made
    finally:
        made.down()


def plausible() -> str:
    return f"t={int(time.time())},v1={'0' * 64}"


def chunks() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


def post(
    stack: Stack, body: bytes | Iterator[bytes], *headers: tuple[str, str], is_chunked: bool = False
) -> int:
    """The status; 0 where the server hung up while it was still being written to."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    try:
        connection.putrequest("POST", PATH)
        for name, value in headers:
            connection.putheader(name, value)
        if is_chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        else:
            assert isinstance(body, bytes)
            connection.putheader("Content-Length", str(len(body)))
        with suppress(BrokenPipeError, ConnectionResetError):  # It may answer before all of it was sent.
            connection.endheaders(body, encode_chunked=is_chunked)
        return connection.getresponse().status
    except (ConnectionError, http.client.BadStatusLine):
        return 0
    finally:
        connection.close()


def memory_kb(stack: Stack) -> int:
    """Resident memory of the web server and its workers."""
    parent = stack.pid("web")
    listed = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True, check=True).stdout
    rows = [[int(part) for part in line.split()] for line in listed.splitlines()[1:]]
    return sum(rss for pid, ppid, rss in rows if parent in (pid, ppid))


def stored(stack: Stack) -> str:
    code = "from wallet.models import StripeEvent; print('rows', StripeEvent.objects.count())"
    return stack.manage("shell", "--no-imports", "-c", code).strip().splitlines()[-1]


def log_lines(stack: Stack) -> int:
    return sum(len(file.read_text(errors="replace").splitlines()) for file in logs(stack))


def logs(stack: Stack) -> list[Path]:
    return [*stack.data_dir.rglob("*.log"), stack.data_dir.with_name(stack.data_dir.name + ".output")]


def test_a_flood_of_large_bodies_is_refused_and_leaves_nothing(stack: Stack) -> None:
    for _ in range(20):
        post(stack, b"{}", ("Stripe-Signature", plausible()))
    memory, lines = memory_kb(stack), log_lines(stack)

    def one(number: int) -> int:
        header = [("Stripe-Signature", plausible())] if number % 2 else []
        if number % 3:
            return post(stack, chunks(), *header, is_chunked=True)
        return post(stack, CHUNK * CHUNKS, *header)

    turn = iter(range(FLOOD))
    seen = Counter(status for _ in range(FLOOD // 10) for status in at_once(10, lambda _: one(next(turn))))
    assert set(seen) <= {0, 400, 413}, seen
    assert seen[400] + seen[413] > 0, seen
    assert memory_kb(stack) - memory < SLACK_KB
    assert stored(stack) == "rows 0"
    assert log_lines(stack) - lines < 10
    assert stack.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Stripe-Signature", "t=1,v1=" + "0" * 64)],
        [("Stripe-Signature", "t=1," + "v1=0," * 13_000)],
        [("Stripe-Signature", "x" * 60_000)],
        [("Stripe-Signature", "\xe9")],
    ],
    ids=["none", "old", "64 KB", "60 KB of nothing", "no ascii"],
)
def test_a_header_that_no_event_has_is_refused(stack: Stack, headers: list[tuple[str, str]]) -> None:
    assert post(stack, b"{}", *headers) in (400, 431)
    assert stored(stack) == "rows 0"


def test_the_header_sent_twice_is_refused(stack: Stack) -> None:
    twice = [("Stripe-Signature", plausible())] * 2
    assert post(stack, b"{}", *twice) == 400
