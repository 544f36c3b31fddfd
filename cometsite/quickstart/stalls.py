"""Notices a PostgreSQL that runs, refuses everybody, and does nothing about it.

Where the process that recovers from a crash is killed itself, PostgreSQL 18 stays "in recovery mode" for ever: it takes
the death for a part of the crash before, and its other processes live on and wait. A recovery that only takes long has
somebody who works: the startup process replays, and sleeps while the checkpointer writes all of it to the disk. Such a
process uses the processor, moves data or waits for the disk. A disk that takes its time moves no counter, which is why
a process that waits for it counts as one that works, and why there is more patience while the startup process lives, as
it does until a recovery has ended.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart.postgres import Cluster

CHECK_S = 2.0
PATIENCE_S = 8.0
# While the process lives that recovers.
RECOVERY_PATIENCE_S = 30.0
STARTUP, CHECKPOINTER, WRITER = (
    b"postgres: startup",
    b"postgres: checkpointer",
    b"postgres: background writer",
)
_clock = time.monotonic
_proc = Path("/proc")


@dataclass(frozen=True)
class Work:
    """`used` changes as long as somebody gets on; the same for `patience_s` seconds is a stall."""

    used: tuple[object, ...] = ()
    patience_s: float = PATIENCE_S


@dataclass
class Stall:
    """Asked often; looks every CHECK_S seconds, and is true once nothing has happened for the work's patience."""

    is_refusing: Callable[[], bool]
    work_done: Callable[[], Work]
    _next_look_at: float = 0.0
    _still_since: float | None = None
    _used: tuple[object, ...] = ()

    def __call__(self) -> bool:
        now = _clock()
        if now < self._next_look_at:
            return False
        self._next_look_at = now + CHECK_S
        if not self.is_refusing():
            self._still_since = None
            return False
        work = self.work_done()
        if self._still_since is None or work.used != self._used:
            self._still_since, self._used = now, work.used
        if now - self._still_since < work.patience_s:
            return False
        self._still_since = None
        return True


def of(cluster: Cluster) -> Stall:
    return Stall(cluster.refuses_connections, lambda: work_of(cluster.processes()))


def work_of(pids: list[int]) -> Work:
    """What those of a cluster's processes that recover, or write for the one that does, have used so far."""
    used: list[object] = []
    patience_s = PATIENCE_S
    for pid in sorted(pids):
        try:
            title = _proc.joinpath(str(pid), "cmdline").read_bytes()
            if title.startswith((STARTUP, CHECKPOINTER, WRITER)):
                used.append(_used_by(pid))
        except OSError:
            # It ended meanwhile.
            continue
        if title.startswith(STARTUP):
            patience_s = RECOVERY_PATIENCE_S
    return Work(tuple(used), patience_s)


def _used_by(pid: int) -> tuple[object, ...]:
    """Its id, processor time and bytes; for one that waits for the disk, what no other look finds again."""
    state, *rest = _proc.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    times = tuple(rest[10:12])
    waits = _clock() if state == "D" else None
    try:
        return (pid, *times, waits, _proc.joinpath(str(pid), "io").read_text())
    except OSError:
        # Not every system shows these counters; the processor's time says nearly as much.
        return (pid, *times, waits)
