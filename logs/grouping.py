"""Calls that come one at a time are recorded together: one transaction, one wait for the disk, for all that are there.

Nobody waits for company. While one request's transaction runs, those that come after it gather; when it is done, the
first of them takes all along. A lone call goes straight through.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from logs.recording import Result, record

# Larger requests are worth a transaction of their own.
MOST_TO_SHARE = 20
MOST_TOGETHER = 500

type Record = Callable[[Sequence[object]], list[Result]]


@dataclass(slots=True)
class Request:
    """What one thread wants recorded, and what came of it."""

    calls: Sequence[object]
    turn: threading.Event = field(default_factory=threading.Event)
    results: list[Result] | None = None
    error: BaseException | None = None
    was_shared: bool = False


class Group:
    """The requests of one process. At most one of them records at a time; the others are on the list."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._is_busy = False

    def record(self, calls: Sequence[object]) -> list[Result]:
        """Results for these calls, in order. Raises what recording them alone raised; sent again, nothing counts twice."""
        if len(calls) > MOST_TO_SHARE:
            return self._record(calls)
        mine = Request(calls)
        with self._lock:
            self._waiting.append(mine)
            leads, self._is_busy = not self._is_busy, True
        if not leads:
            mine.turn.wait()
        if mine.results is None and mine.error is None:
            self._lead()
        if mine.error is not None:
            if not mine.was_shared:
                raise mine.error
            # It may have been another's call that failed, or the leader that had no time left.
            return self._record(calls)
        assert mine.results is not None
        return mine.results

    def _lead(self) -> None:
        """Record for all that wait, then pass the lead to the first that came meanwhile."""
        together = self._take()
        for request in together:
            request.was_shared = len(together) > 1
        try:
            results = self._record([call for request in together for call in request.calls])
            for request in together:
                request.results, results = results[: len(request.calls)], results[len(request.calls) :]
        except BaseException as error:
            for request in together:
                request.error = error
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._is_busy = following is not None
            for request in together:
                request.turn.set()
            if following is not None:
                following.turn.set()

    def _take(self) -> list[Request]:
        """The requests at the head of the list, the leader's first among them, up to the bound."""
        with self._lock:
            size = count = 0
            while count < len(self._waiting) and size + len(self._waiting[count].calls) <= MOST_TOGETHER:
                size += len(self._waiting[count].calls)
                count += 1
            together, self._waiting = self._waiting[:count], self._waiting[count:]
        return together


group = Group(lambda calls: record(calls))
