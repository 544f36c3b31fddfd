"""An export under way: its place, its blocks of bytes, and its end.

It ends when its reader leaves (`close`), and where its owner stops it, its reader stands still, or it takes too long: a look
once a second finds that, and takes the database away from it. What ends a file before it is whole is told by its last line.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Protocol, Self

import psycopg
from django.db import connection

from logs.export_places import Busy, places
from logs.export_progress import Progress, State
from logs.exporting import Format

log = logging.getLogger(__name__)

BLOCK_BYTES = 65_536
# A block that fills no faster is sent as it is, so that the download moves.
SEND_S = 1.0
LOOK_S = 1.0
# A reader that takes nothing for so long loses the database's side, whose snapshot keeps old rows from being cleared away;
STILL_S = 120.0
# and so does one that takes a little from time to time.
LONGEST_S = 3_600.0
# Of its answer. A proxy in front must not gather the whole of it.
HEADERS = {"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"}

_SENTENCES = {
    State.STOPPED: "this export was stopped.",
    State.SLOW: "it was not read for two minutes, or took longer than an hour. Choose a shorter time.",
    State.BROKEN: "an error ended this export. Export it again.",
}


class Source(Protocol):
    """Where lines come from. Empty bytes are no line: they tell that time went by. Given often, they let an export end."""

    def __iter__(self) -> Iterator[bytes]: ...

    def cut(self) -> None:
        """Make what reads these lines fail, where it could take long to give the next. From any thread."""

    def close(self) -> None:
        """From any thread."""


class Export:
    """The bytes of a file, in blocks. Whoever makes one closes it. Raises TooMany, Busy, and what `opened` raises.

    Between two blocks it keeps no connection of the pool.
    """

    def __init__(self, progress: Progress, form: Format, opened: Callable[[], Source]) -> None:
        self._progress, self._form = progress, form
        self._closed, self._closing = threading.Event(), threading.Lock()
        self._held = ExitStack()
        self._ending: State | None = None
        self._is_unwatched = False
        self._began_at = time.monotonic()
        self._given_at: float | None = None
        places.take(progress.wallet_id)
        self._held.callback(places.give_back, progress.wallet_id)
        self._held.callback(progress.ended, State.LEFT)
        try:
            self._begin(opened)
        except psycopg.OperationalError as error:
            log.warning("An export of wallet %s can't begin.", progress.wallet_id, exc_info=True)
            self.close()
            raise Busy from error
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        self._given_at = None
        try:
            return self._next()
        finally:
            _give_back_connection()
            self._given_at = time.monotonic()

    def __del__(self) -> None:
        self.close()  # Of an answer that an error on its way out took away; the watch lets go of it in time.

    def close(self) -> None:
        """End what is under way and give everything back. Twice is fine, and from any thread."""
        self._closed.set()
        with self._closing:
            held = self._held.pop_all()
        held.close()

    def _begin(self, opened: Callable[[], Source]) -> None:
        """Up to the first block, so that what can't work is refused before a file begins."""
        self._source = opened()
        self._held.callback(self._source.close)
        _give_back_connection()
        threading.Thread(target=self._watch, name="export-watch", daemon=True).start()
        blocks = self._gathered(self._source)
        first = []
        try:
            first = [next(blocks, b"")]
        except Exception:
            if self._ending is None:
                raise
        self._blocks = itertools.chain(first, blocks)
        self._given_at = time.monotonic()

    def _gathered(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        block: list[bytes] = []
        size, began_at = 0, time.monotonic()
        for line in lines:
            if line:
                block.append(line)
                size += len(line)
            if size >= BLOCK_BYTES or time.monotonic() - began_at > SEND_S:
                self._progress.rows += len(block)
                yield b"".join(block)
                block, size, began_at = [], 0, time.monotonic()
        self._progress.rows += len(block)
        if block:
            yield b"".join(block)

    def _next(self) -> bytes:
        if self._closed.is_set():
            raise StopIteration
        try:
            if self._ending is None:
                return next(self._blocks)
        except StopIteration:
            self._progress.ended(State.DONE)
            self.close()
            raise
        except Exception:
            if self._closed.is_set():
                raise StopIteration from None
            if self._ending is None:
                log.exception("An export of wallet %s broke off.", self._progress.wallet_id)
                self._ending = State.BROKEN
        self._progress.ended(self._ending)
        self.close()
        return self._form.incomplete(_SENTENCES[self._ending])

    def _watch(self) -> None:
        while not self._closed.is_set():
            if not self._is_wanted():
                self._ending = State.STOPPED
            elif self._is_slow():
                log.warning("An export of wallet %s was too slow.", self._progress.wallet_id)
                self._ending = State.SLOW
            else:
                self._closed.wait(LOOK_S)
                continue
            self._source.cut()
            return

    def _is_wanted(self) -> bool:
        try:
            return self._progress.is_wanted()
        except Exception:
            # Once: without its watch an export could stand still for ever.
            if not self._is_unwatched:
                log.exception("How far an export of wallet %s is can't be told.", self._progress.wallet_id)
            self._is_unwatched = True
            return True

    def _is_slow(self) -> bool:
        now, given_at = time.monotonic(), self._given_at
        # The time that a block takes to be made is not the reader's.
        return now - self._began_at > LONGEST_S or (given_at is not None and now - given_at > STILL_S)


def _give_back_connection() -> None:
    """The thread's one of the pool, which it would keep from the others until the file is written."""
    if not connection.in_atomic_block:
        connection.close()
