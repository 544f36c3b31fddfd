"""Ends what a killed quick start left running over the same data folder.

Children get a signal when their parent dies, so there is rarely anything to do; a child of a child may stay.
They are known by a mark in their environment, which no other program has, and never by a bare process id.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from cometsite.quickstart.environment import MARKER
from cometsite.quickstart.folder import DataFolder

PATIENCE_S = 5.0


def end_all(folder: DataFolder) -> int:
    """Ends them, waits until they are gone and returns how many there were. The folder must be locked."""
    return end(lambda: marked(folder), signal.SIGTERM)


def end(find: Callable[[], list[int]], how: signal.Signals) -> int:
    """Sends the signal to all that `find` finds, and after 5 s kills those still there."""
    found = find()
    remaining = found
    _send(remaining, how)
    give_up_at = time.monotonic() + PATIENCE_S
    while remaining := find():
        if time.monotonic() > give_up_at:
            _send(remaining, signal.SIGKILL)
            give_up_at += PATIENCE_S
        time.sleep(0.05)
    return len(found)


def marked(folder: DataFolder) -> list[int]:
    mark = f"{MARKER}={folder.path}".encode()
    return [pid for pid in pids() if pid != os.getpid() and mark in _environment(pid)]


def pids() -> list[int]:
    """All processes of this machine; none on a system without /proc."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _send(targets: list[int], how: signal.Signals) -> None:
    for pid in targets:
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            continue
