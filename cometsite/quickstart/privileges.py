"""Runs a program as an unprivileged user when root starts the quick start, and ties children to their parent.

PostgreSQL refuses to run as root. Its files are given to `nobody`; no folder above them is opened. Where one
of those folders (a clone under /root, a `mktemp -d`) does not let `nobody` pass, the program keeps one
capability, the right to read and pass through folders, and nothing else of root.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart import StartError

PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SETPCAP = 1, 2, 8
CAPABILITY_VERSION_3 = 0x20080522

# Loaded once in the parent: between fork and exec nothing should be imported or opened.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """The user that a program runs as in place of root, and the capability it needs to reach its files."""

    uid: int
    gid: int
    capability: int | None

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)

    def become(self) -> None:
        """Gives up root for good. For a child between fork and exec."""
        if self.capability is not None:
            # Capabilities stay over the change of user, and count where the program asks by access(2), as
            # PostgreSQL does before it runs its own binaries.
            _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        if self.capability is not None:
            _keep_only(self.capability)


def account_for(*paths: Path) -> Account | None:
    """Who may run a program that needs all of paths: None means the present user, since that is not root.

    Raises StartError where no user can.
    """
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise StartError("PostgreSQL does not run as root and this machine has no user `nobody`.") from None
    blocked = next((folder for path in paths for folder in path.parents if not _passable(folder)), None)
    capability = None if blocked is None else _capability_to_pass(blocked)
    return Account(nobody.pw_uid, nobody.pw_gid, capability)


def _passable(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & 0o001)


def _capability_to_pass(blocked: Path) -> int:
    permitted = _permitted_capabilities()
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if permitted >> capability & 1 and permitted >> CAP_SETPCAP & 1:
            return capability
    raise StartError(
        f"PostgreSQL does not run as root, and {blocked} lets no other user through: "
        "start as an ordinary user, or from a folder that others may pass."
    )


def _permitted_capabilities() -> int:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySet(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _keep_only(capability: int) -> None:
    bit = 1 << capability
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySet * 2)(_CapabilitySet(bit, bit, bit), _CapabilitySet(0, 0, 0))
    if _libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *arguments: int) -> None:
    filled = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *filled) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def child_setup(account: Account | None, death_signal: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec: become account, and ask for a signal when we die."""
    parent = os.getpid()

    def prepare() -> None:
        if account is not None:
            account.become()
        if sys.platform == "linux":
            # After the change of user, which clears it.
            _prctl(PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

    return prepare
