"""What the quick start runs: each server and each process of the site as a `Service`."""

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart import ports, postgres, stalls
from cometsite.quickstart.environment import MARKER
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.processes import Service
from cometsite.quickstart.valkey import Valkey

PROJECT = Path(__file__).resolve().parents[2]
DATABASE = "cometsite"
# A Unix socket's path has 107 bytes, and PostgreSQL's file name in the folder takes 14 of them.
LONGEST_SOCKET_FOLDER = 90
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


@dataclass(frozen=True)
class Site:
    """Where and how the site's own processes run."""

    host: str
    port: int
    folder: DataFolder
    environment: Mapping[str, str]

    def python(self, name: str, *arguments: str) -> Service:
        return Service(name, [sys.executable, *arguments], self.environment, PROJECT)

    def stripe(self, port: int) -> Service:
        webhook = f"http://127.0.0.1:{self.port}/wallet/stripe/webhook/"
        data = ("--data", str(self.folder.path / "stripe"))
        return self.python(
            "stripe", "-m", "stripe_sandbox", "--port", str(port), *data, "--webhook-url", webhook
        )

    def worker(self) -> Service:
        quiet = ("--without-gossip", "--without-mingle")
        return self.python(
            "worker", "-m", "celery", "-A", "cometsite", "worker", "--concurrency", "2", "-l", "INFO", *quiet
        )

    def beat(self) -> Service:
        # No pid file of its own: after kill -9 it would refuse to start because of it.
        schedule = ("--schedule", str(self.folder.run / "beat-schedule"), "--pidfile=")
        return self.python("beat", "-m", "celery", "-A", "cometsite", "beat", *schedule)

    def web(self) -> Service:
        listen = ("--interface", "wsgi", "--host", self.host, "--port", str(self.port))
        # As many threads as connections in the database pool: most wait for the disk, and share the wait (logs/grouping.py).
        size = ("--workers", "2", "--blocking-threads", "16", "--no-ws", "--respawn-failed-workers")
        return self.python("web", "-m", "granian", *listen, *size, "cometsite.wsgi:application")


def postgres_cluster(folder: DataFolder) -> postgres.Cluster:
    """This folder's cluster; its socket lies in the folder too, where the path is short and plain enough."""
    sockets = folder.run / "postgres"
    if len(os.fsencode(sockets)) > LONGEST_SOCKET_FOLDER or not PLAIN.issuperset(str(sockets)):
        sockets = _socket_folder_elsewhere(folder)
    return postgres.Cluster(folder.path / "postgres", sockets)


def _socket_folder_elsewhere(folder: DataFolder) -> Path:
    # A name that nobody can guess and take first; remembered, so that restarts do not pile up folders.
    note = folder.run / "sockets"
    known = Path(note.read_text()) if note.exists() else None
    if known is not None and known.is_dir() and not known.is_symlink():
        return known
    made = Path(tempfile.mkdtemp(prefix="comet-", dir="/tmp")).resolve()
    note.write_text(str(made))
    return made


def postgres_service(cluster: postgres.Cluster) -> Service:
    return Service(
        "postgres",
        cluster.command(),
        # Little of the caller's environment concerns it, and it may run as another user.
        {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C"},
        Path("/"),
        ready=cluster.accepts_connections,
        prepare=cluster.prepare,
        stalled=stalls.of(cluster),
        account=cluster.account,
        stop_signal=postgres.FAST,
        stop_timeout_s=30.0,
    )


def valkey_server(folder: DataFolder) -> Valkey:
    return Valkey(folder.path / "valkey", ports.any_free(), folder.secret("VALKEY_PASSWORD"))


def valkey_service(server: Valkey, folder: DataFolder) -> Service:
    environment = {"PATH": os.defpath, MARKER: str(folder.path)}
    return Service(
        "valkey", server.command(), environment, Path("/"), ready=server.is_ready, prepare=server.prepare
    )
