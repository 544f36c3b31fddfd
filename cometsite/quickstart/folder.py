"""The data folder of one quick start: who holds it, what lies where in it, and its secrets."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart import StartError


@dataclass(frozen=True)
class DataFolder:
    """DATA_DIR, absolute and without symbolic links."""

    path: Path

    @property
    def run(self) -> Path:
        """Process ids, `<name>.hold` files that keep a service stopped, stamps: nothing of lasting value."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def environment_file(self) -> Path:
        return self.path / "quickstart.env"

    def prepare(self) -> None:
        """Creates the folders; raises StartError where that can't be done."""
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            for folder in (self.logs, self.path / "mail"):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StartError(f"The data folder {self.path} can't be used: {error.strerror}.") from None

    def lock(self) -> int:
        """Holds the folder until this process ends, however it ends; StartError if another start holds it."""
        descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "unknown"
            raise StartError(
                f"A quick start is running already on the data folder {self.path} (process {holder}); stop "
                "it first, or give this one a folder and a port of its own: DATA_DIR=… PORT=… make run."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        return descriptor

    def secret(self, name: str, prefix: str = "") -> str:
        """A random secret that is made once and stays the same for this folder."""
        file = self.path / "secrets.json"
        known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        if name not in known:
            known[name] = prefix + secrets.token_urlsafe(32).replace("-", "a").replace("_", "b")
            write_private(file, json.dumps(known, indent=1))
        return known[name]


def write_private(file: Path, content: str) -> None:
    """Replaces file in one step by one that only its owner may read."""
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    unfinished.replace(file)
