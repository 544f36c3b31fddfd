"""What others do while something is built: threads of a test, each with a connection of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections

from accounts.models import User
from logs import recording
from logs.models import Call
from tests.metering.gateway import call, give, sell
from tokens import keys

ENOUGH = 10


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    """Again and again until the end of the block."""
    ended = threading.Event()
    failed: list[BaseException] = []

    def repeat() -> None:
        try:
            while not ended.is_set():
                work()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert failed == []


class Recorder:
    """Somebody who records one call after the other."""

    def __init__(self, owner: User, usage: dict[str, int] | None = None) -> None:
        sell(rates=usage and dict.fromkeys(usage, 1_000_000))
        self.more = {"usage": usage} if usage else {}
        self.key = keys.issue(give(owner, 10**9), "k").key
        self.slowest_s, self.calls = 0.0, 0

    def __call__(self) -> None:
        began_at = time.monotonic()
        assert (
            recording.record([call(self.key, upstream_id="chatcmpl-1", **self.more)])[0].result == "accepted"
        )
        self.slowest_s = max(self.slowest_s, time.monotonic() - began_at)
        self.calls += 1

    def check(self) -> None:
        assert self.calls == Call.objects.count() > ENOUGH
        # What it must not wait behind takes longer.
        assert self.slowest_s < 2
