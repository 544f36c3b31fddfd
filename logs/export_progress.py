"""How far an export is, told by the process that writes it to the one that is asked. A hint, kept in the cache."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

KEPT_S = 3_600
EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """`state` is running, done, stopped, left or broken; `wanted` is None where nobody counted."""

    state: str
    rows: int
    wanted: int | None


class Progress:
    """Written by an export. Without an id it tells nobody; a cache that is away stops no export."""

    def __init__(
        self, wallet_id: int, export_id: UUID | None, wanted: int | None, *, head_rows: int = 0
    ) -> None:
        self._name = _name(wallet_id, export_id) if export_id else ""
        self._wanted = wanted
        self._rows = -head_rows
        self._told_at = 0.0
        if self._name:
            _quietly(lambda: cache.delete(f"{self._name}:stop"))
            self._tell("running")

    def may_go_on(self, rows: int) -> bool:
        """So many rows more were written. Whether the owner still wants them."""
        self._rows += rows
        if not self._name or time.monotonic() - self._told_at < EVERY_S:
            return True
        self._tell("running")
        return not _quietly(lambda: cache.get(f"{self._name}:stop"))

    def ended(self, state: str) -> None:
        if self._name:
            self._tell(state)

    def _tell(self, state: str) -> None:
        self._told_at = time.monotonic()
        _quietly(lambda: cache.set(self._name, (state, max(self._rows, 0), self._wanted), KEPT_S))


def told(wallet_id: int, export_id: UUID) -> Told | None:
    """What the wallet's export of this id last told; None of one that nobody knows."""
    found = _quietly(lambda: cache.get(_name(wallet_id, export_id)))
    return Told(*found) if found else None


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
