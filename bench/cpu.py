"""Who used the processors in a window: the database, the web server, and whatever else ran. Linux only; elsewhere zero."""

import os
from collections.abc import Iterator
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> dict[int, int]:
    """A process and all below it, with the ticks that each used."""
    known = {pid: (parent, ticks) for pid, parent, ticks in _processes()}
    found, grown = {root}, True
    while grown:
        more = {pid for pid, (parent, _) in known.items() if parent in found} - found
        found, grown = found | more, bool(more)
    return {pid: known[pid][1] for pid in found if pid in known}


def of_tree(root: int) -> float:
    """Seconds of processor time of a process and all below it, those that ended included."""
    return sum(tree(root).values()) / TICKS_PER_S


def of_all() -> float:
    """Seconds of processor time of everything on this machine."""
    file = Path("/proc/stat")
    if not file.exists():
        return 0.0
    user, nice, system, _, _, interrupts, soft_interrupts = map(int, file.read_text().split()[1:8])
    return (user + nice + system + interrupts + soft_interrupts) / TICKS_PER_S


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process, parent, and ticks of it and of its children that ended."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold anything, parentheses too.
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(file.parent.name), int(fields[1]), sum(map(int, fields[11:15]))
