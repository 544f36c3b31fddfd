"""Memory of processes. Linux only; elsewhere zero."""

import os
from pathlib import Path

from bench import cpu

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def of_tree(root: int) -> int:
    """Bytes that a process and all below it have in memory, what they share counted once for each."""
    return sum(_of(pid) for pid in cpu.tree(root))


def _of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0
