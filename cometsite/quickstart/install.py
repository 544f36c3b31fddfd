"""Makes an environment what a requirements file says: `python3.13 install.py requirements.txt [FOLDER]`, else .venv.

Standard library only. Done before with the same content: returns at once. Interrupted before: starts over, since half a
package can look like a whole one.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
VENV = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else PROJECT / ".venv"
# There while an installation runs; what finds it knows that the folder can't be trusted.
UNFINISHED = VENV / "installation-unfinished"
STAMP = VENV / "installed.json"
SAY_EVERY_S = 2.0


def main(name: str) -> int:
    """Installs PROJECT/name. The exit code is pip's, or 1."""
    lock = _wait_for_turn()
    try:
        return 0 if _is_installed(name) else _install(name, lock)
    except KeyboardInterrupt:
        print("Interrupted; the next start begins the installation again.", file=sys.stderr)
        return 130


def _wait_for_turn() -> int:
    """Two terminals may start at once: the second one waits, then finds the work done."""
    VENV.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(VENV.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Waiting for another installation into {VENV.name} to end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _is_installed(name: str) -> bool:
    return not UNFINISHED.exists() and _stamp().get(name) == _digest(name) and _matches_place()


def _stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def _digest(name: str) -> str:
    return hashlib.sha256((PROJECT / name).read_bytes()).hexdigest()


def _matches_place() -> bool:
    """A moved project has scripts that point elsewhere; an upgraded Python leaves a link to nothing."""
    python = VENV / "bin" / "python"
    return _stamp().get("place") == str(VENV) and python.exists()


def _install(name: str, lock: int) -> int:
    # Root's PostgreSQL runs as another user, who must be able to execute it.
    os.umask(0o022)
    began_at = time.monotonic()
    if UNFINISHED.exists() or not _matches_place():
        _say(began_at, f"Creating {VENV.name} with Python {sys.version.split()[0]}")
        if not _create(lock):
            return 1
    UNFINISHED.touch()
    code = _pip(name, began_at, lock)
    if code == 0:
        # The file for development holds everything of the one to run with.
        done = {"requirements.txt", name} if name == "requirements-dev.txt" else {name}
        STAMP.write_text(json.dumps({"place": str(VENV), **{each: _digest(each) for each in sorted(done)}}))
        UNFINISHED.unlink()
        _say(began_at, "Installed")
    return code


def _say(began_at: float, text: str) -> None:
    print(f"{time.monotonic() - began_at:6.1f} s  {text}", flush=True)


def _create(lock: int) -> bool:
    if VENV.exists() and any(VENV.iterdir()) and not (UNFINISHED.exists() or STAMP.exists()):
        print(f"Error: {VENV} was not made by this project's make; move it away.", file=sys.stderr)
        return False
    if VENV.exists():
        # What is being deleted must not pass for whole if this is interrupted.
        UNFINISHED.touch()
        for entry in VENV.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != UNFINISHED:
                entry.unlink()
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    done = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False, pass_fds=[lock])
    return done.returncode == 0


def _pip(name: str, began_at: float, lock: int) -> int:
    """Runs pip and says how far it is; prints all that pip said if it fails."""
    options = ["--require-hashes", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", *options, "-r", str(PROJECT / name)]
    said, told_at, told = VENV / "pip.log", began_at, ""
    # pip holds the lock too: if only this process is killed, nobody starts over while pip goes on writing.
    with (
        said.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, pass_fds=[lock]) as pip,
    ):
        while pip.poll() is None:
            time.sleep(0.1)
            progress = _progress(said.read_text(errors="replace"), name)
            if progress != told and time.monotonic() - told_at > SAY_EVERY_S:
                _say(began_at, progress)
                told_at, told = time.monotonic(), progress
    if pip.returncode != 0:
        print(
            f"{said.read_text()}\nError: pip could not install {name}; its lines above say why.",
            file=sys.stderr,
        )
    return pip.returncode


def _progress(said: str, name: str) -> str:
    lines = (PROJECT / name).read_text().splitlines()
    total = sum(1 for line in lines if "==" in line and line[0].isalnum())
    if "\nInstalling collected packages" not in said:
        return f"Fetching packages: {said.count('Collecting ')} of {total}"
    # pip says nothing more until it is done, but each package that is there has a folder that describes it.
    there = sum(1 for _ in VENV.glob("lib/python3*/site-packages/*.dist-info"))
    return f"Installing packages: {min(there, total)} of {total}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
