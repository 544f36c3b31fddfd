"""What comes while a transaction runs shares the next one: one set of locks, one wait for the disk, for all that are there.

Nobody waits for company. While one request's work runs, those that come after it gather; when it is done, the first of
them takes all along. A lone request goes straight through.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Request[T, R]:
    """What one thread wants done, and what came of it."""

    items: Sequence[T]
    turn: threading.Event = field(default_factory=threading.Event)
    results: list[R] | None = None
    error: BaseException | None = None
    was_shared: bool = False


class Group[T, R]:
    """The requests of one process. At most one of them works at a time; the others are on the list.

    `work` gives a result for each item, in order; `most` is how many items it gets at once, unless one request has more.
    What it does for an item must be safe to do again.
    """

    def __init__(self, work: Callable[[Sequence[T]], list[R]], most: int) -> None:
        self._work = work
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[Request[T, R]] = []
        self._is_busy = False

    def run(self, items: Sequence[T]) -> list[R]:
        """Results for these items, in order. Raises what working on them alone raised."""
        mine = Request[T, R](items)
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
            # It may have been another's item that failed, or the leader that had no time left.
            return self._work(items)
        assert mine.results is not None
        return mine.results

    def _lead(self) -> None:
        """Work for all that wait, then pass the lead to the first that came meanwhile."""
        together = self._take()
        for request in together:
            request.was_shared = len(together) > 1
        try:
            results = self._work([item for request in together for item in request.items])
            for request in together:
                request.results, results = results[: len(request.items)], results[len(request.items) :]
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

    def _take(self) -> list[Request[T, R]]:
        """The requests at the head of the list, the leader's first among them, up to the bound."""
        with self._lock:
            count, size = 1, len(self._waiting[0].items)
            while count < len(self._waiting) and size + len(self._waiting[count].items) <= self._most:
                size += len(self._waiting[count].items)
                count += 1
            together, self._waiting = self._waiting[:count], self._waiting[count:]
        return together
