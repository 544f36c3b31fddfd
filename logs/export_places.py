"""How many exports there are at a time. Each keeps a thread of its process until its last byte is sent, however slowly."""

import threading
from collections import Counter

PER_PROCESS, PER_WALLET = 4, 2
RETRY_AFTER_S = 30


class TooMany(Exception):
    """The wallet has as many exports under way in this process as it may."""


class Busy(Exception):
    """This process has as many exports under way as it can bear, or the database does not let one begin."""


class Places:
    """PER_PROCESS places, of which one wallet has PER_WALLET at most, so that nobody keeps the others out."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, wallet_id: int) -> None:
        """Raises TooMany and Busy. What was taken is given back once."""
        with self._lock:
            if self._taken[wallet_id] >= PER_WALLET:
                raise TooMany
            if self._taken.total() >= PER_PROCESS:
                raise Busy
            self._taken[wallet_id] += 1

    def give_back(self, wallet_id: int) -> None:
        with self._lock:
            self._taken -= Counter([wallet_id])


places = Places()
