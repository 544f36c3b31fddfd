"""Drives a real quick start from outside: a process of its own on a free port and a throw-away folder."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cometsite.quickstart import ports
from cometsite.quickstart.environment import NAMES

PROJECT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 150.0
STOP_TIMEOUT_S = 60.0
READY = re.compile(r"^Ready in ([0-9.]+) s: (http://\S+/)$", re.MULTILINE)


def clean_environment(**changes: str) -> dict[str, str]:
    """What a person's shell has: nothing of the test run's own settings."""
    kept = {
        name: value for name, value in os.environ.items() if name not in {*NAMES, "DJANGO_SETTINGS_MODULE"}
    }
    return {**kept, **changes}


def stopped(process: "subprocess.Popen[bytes]", how: signal.Signals) -> int:
    """Sends it the signal and returns its exit code. What does not end in time is killed, and an error."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.wait(STOP_TIMEOUT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@dataclass
class Stack:
    """One quick start. `base_url` has no slash at its end."""

    data_dir: Path
    port: int = field(default_factory=lambda: free_block(3))
    settings: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment that the site runs with, as the quick start wrote it down."""
        text = (self.data_dir / "quickstart.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    @property
    def output_file(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".output")

    def launch(self) -> Self:
        """Starts the quick start without waiting for it."""
        environment = clean_environment(DATA_DIR=str(self.data_dir), PORT=str(self.port), **self.settings)
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cometsite.quickstart"],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def up(self) -> float:
        """Starts it, waits for its address line and returns the seconds that it says it took."""
        self.launch()
        assert self.process is not None
        self.wait_for(lambda: READY.search(self.output) or self.process_ended, START_TIMEOUT_S)
        found = READY.search(self.output)
        assert found, f"the quick start ended:\n{self.output}"
        return float(found[1])

    @property
    def process_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def down(self, how: signal.Signals = signal.SIGINT) -> int:
        """Stops it as Ctrl-C does and returns its exit code. Stopped before: does nothing."""
        if self.process is None:
            return 0
        try:
            return stopped(self.process, how)
        finally:
            self.process = None

    def manage(self, *arguments: str) -> str:
        """Runs manage.py as a second terminal would, and returns what it prints."""
        command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
        environment = clean_environment(DATA_DIR=str(self.data_dir))
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pid(self, name: str) -> int | None:
        """The process of postgres, valkey, stripe, web, worker or beat, while it runs."""
        file = self.data_dir / "run" / f"{name}.pid"
        try:
            return int(file.read_text())
        except (OSError, ValueError):
            return None

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Kills one service, which the quick start will start again; returns the process that it was."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, how)
        return pid

    def stop(self, name: str) -> None:
        """Stops one service until `start`; returns when it is down."""
        (self.data_dir / "run" / f"{name}.hold").touch()
        self.wait_for(lambda: self.pid(name) is None, 40)

    def start(self, name: str) -> None:
        """Starts a service that `stop` stopped; returns when its process is there."""
        (self.data_dir / "run" / f"{name}.hold").unlink(missing_ok=True)
        self.wait_for(lambda: self.pid(name) is not None, 20)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(self.base_url + path, timeout=10) as answer:  # noqa: S310 - our own http
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait_for(self, condition: Callable[[], object], timeout_s: float) -> None:
        give_up_at = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > give_up_at:
                raise AssertionError(f"waited {timeout_s} s in vain; the quick start says:\n{self.output}")
            time.sleep(0.05)


def free_block(size: int) -> int:
    """The first of some ports in a row that are free: the quick start takes the ones after its own too."""
    while True:
        first = ports.any_free()
        if first + size <= 65535 and all(
            ports.next_free(port - 1) == port for port in range(first, first + size)
        ):
            return first
