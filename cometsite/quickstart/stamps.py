"""Steps that need no second run while nothing they depend on has changed."""

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable
from pathlib import Path

from cometsite.quickstart.folder import DataFolder


def digest_of(paths: Iterable[Path], *facts: str) -> str:
    """A digest of all files in and under the paths, and of the facts."""
    found = hashlib.sha256("\0".join(facts).encode())
    for file in sorted(file for path in paths for file in _files(path)):
        found.update(str(file).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and file.suffix != ".pyc"]


def version(package: str) -> str:
    return importlib.metadata.version(package)


def unless_done(folder: DataFolder, step: str, digest: str, run: Callable[[], None]) -> None:
    """Runs the step unless it was completed before with this digest."""
    stamp = folder.run / f"{step}.stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    run()
    stamp.write_text(digest)
