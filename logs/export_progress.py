"""How far an export is, told by the process that writes it to the one that is asked. A hint, kept in the cache."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

KEPT_S = 3_600


class State(StrEnum):
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    """By its owner."""
    LEFT = "left"
    """By its reader."""
    SLOW = "slow"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Told:
    """How many calls are written; of how many, where somebody counted them."""

    state: State
    rows: int
    wanted: int | None


class Progress:
    """Written by an export, by two threads of it. Without an id it tells nobody; a cache that is away stops no export."""

    def __init__(
        self, wallet_id: int, export_id: UUID | None = None, wanted: int | None = None, *, head_rows: int = 0
    ) -> None:
        self.wallet_id = wallet_id
        self.rows = -head_rows
        """Lines that are written, but those that are no call."""
        self._wanted = wanted
        self._name = _name(wallet_id, export_id) if export_id else ""
        self._is_over, self._telling = False, threading.Lock()
        if self._name:
            _quietly(lambda: cache.delete(f"{self._name}:stop"))

    def is_wanted(self) -> bool:
        """Tell how far it is. Whether the owner still wants it."""
        self._tell(State.RUNNING)
        return not (self._name and _quietly(lambda: cache.get(f"{self._name}:stop")))

    def ended(self, state: State) -> None:
        """The first end holds."""
        self._tell(state)

    def _tell(self, state: State) -> None:
        with self._telling:
            if self._is_over or not self._name:
                return
            self._is_over = state is not State.RUNNING
            _quietly(lambda: cache.set(self._name, (str(state), max(self.rows, 0), self._wanted), KEPT_S))


def told(wallet_id: int, export_id: UUID) -> Told | None:
    """What the wallet's export of this id last told; None of one that nobody knows."""
    found = _quietly(lambda: cache.get(_name(wallet_id, export_id)))
    if not found:
        return None
    state, rows, wanted = found
    return Told(State(state), rows, wanted)


def stop(wallet_id: int, export_id: UUID) -> None:
    """Ask the wallet's export of this id to end."""
    _quietly(lambda: cache.set(f"{_name(wallet_id, export_id)}:stop", True, KEPT_S))


def _name(wallet_id: int, export_id: UUID) -> str:
    return f"export:{wallet_id}:{export_id}"


def _quietly[T](ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except RedisError as error:
        log.warning("The cache does not answer: %s", error)
        return None
