"""Notices a PostgreSQL that runs, refuses everybody, and does nothing about it.

Where the process that recovers from a crash is killed itself, PostgreSQL 18 stays "in recovery mode" for ever: it takes
the death for a part of the crash before. A recovery that only takes long uses the processor or moves data all the time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart.postgres import Cluster

CHECK_S = 2.0
PATIENCE_S = 8.0
_clock = time.monotonic


@dataclass
class Stall:
    """Asked often; looks every CHECK_S seconds, and is true once nothing has happened for PATIENCE_S."""

    is_refusing: Callable[[], bool]
    work_done: Callable[[], object]
    """Changes as long as the recovery gets on."""
    _next_look_at: float = 0.0
    _still_since: float | None = None
    _work: object = None

    def __call__(self) -> bool:
        now = _clock()
        if now < self._next_look_at:
            return False
        self._next_look_at = now + CHECK_S
        if not self.is_refusing():
            self._still_since = None
            return False
        work = self.work_done()
        if self._still_since is None or work != self._work:
            self._still_since, self._work = now, work
        if now - self._still_since < PATIENCE_S:
            return False
        self._still_since = None
        return True


def of(cluster: Cluster) -> Stall:
    return Stall(cluster.refuses_connections, lambda: recovery_of(cluster))


def recovery_of(cluster: Cluster) -> tuple[str, ...]:
    """What the process that recovers has used so far: its id, processor time, bytes; empty without one."""
    for pid in cluster.processes():
        process = Path(f"/proc/{pid}")
        try:
            if process.joinpath("cmdline").read_bytes().startswith(b"postgres: startup"):
                times = process.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
                return (str(pid), *times, process.joinpath("io").read_text())
        except OSError:
            continue
    return ()
