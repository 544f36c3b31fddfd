"""The processes of a running quick start, found by what they are and never by a name alone."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cometsite.quickstart import leftovers
from tests.chaos.plan import Kill
from tests.chaos.trial import Trial
from tests.stack import Stack

# A PostgreSQL whose recovery was killed is left alone for half a minute, and may be killed in the next one again.
PATIENCE_S = 90.0
# So many good answers, and the load is back.
ANSWERS = 5


def kill(trial: Trial, planned: Kill) -> bool:
    """Carry out one kill of the plan; False, with a finding, where the load or the victim did not come back for it."""
    before = trial.journal.good
    if planned.under_load and not _wait(trial, lambda: trial.journal.good >= before + ANSWERS):
        trial.journal.wrong(f"no {ANSWERS} good answers within {PATIENCE_S:.0f} s")
        return False
    time.sleep(planned.gap_s)
    if not _wait(trial, lambda: _kill_one(trial.stack, planned)):
        trial.journal.wrong(f"there was no {planned.kind} to kill within {PATIENCE_S:.0f} s")
        return False
    return True


def _kill_one(stack: Stack, planned: Kill) -> bool:
    found = running(stack, planned.kind)
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[int(planned.place * len(found))], signal.SIGKILL)
            return True
    return False


def _wait(trial: Trial, condition: Callable[[], bool]) -> bool:
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at and not trial.stack.process_ended:
        if condition():
            return True
        time.sleep(0.02)
    return False


def running(stack: Stack, kind: str) -> list[int]:
    """The processes of this kind, in the order of their ids."""
    service, _, part = kind.partition(" ")
    main = stack.pid(service)
    if main is None or not _is_alive(main):
        return []
    if not part:
        return [main]
    children = sorted(pid for pid in _children(main) if _is_alive(pid))
    if service == "postgres":
        is_connection = part == "connection"
        return [pid for pid in children if _serves_a_client(pid) == is_connection]
    return children


def database(stack: Stack) -> list[int]:
    """All processes of the PostgreSQL server."""
    main = stack.pid("postgres")
    return [main, *_children(main)] if main is not None else []


def _children(parent: int) -> Iterator[int]:
    for pid in leftovers.pids():
        with contextlib.suppress(OSError, ValueError, IndexError):
            # After the command's name, which may hold anything, come the state and the parent.
            if int(_stat(pid)[1]) == parent:
                yield pid


def _is_alive(pid: int) -> bool:
    """Not gone, and not a dead process that its parent has yet to collect."""
    try:
        return _stat(pid)[0] not in {"Z", "X"}
    except (OSError, IndexError):
        return False


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _serves_a_client(pid: int) -> bool:
    try:
        return b"[local]" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
