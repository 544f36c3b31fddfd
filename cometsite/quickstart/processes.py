"""One service: how it is started, found again, stopped; where its log goes."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cometsite.quickstart import StartError
from cometsite.quickstart.privileges import Account, child_setup

LOG_LIMIT_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Service:
    """What to run. `ready` says whether it can be used; `prepare` runs before every start; `stalled`, asked again and
    again while it runs, says that it must be killed to be of use again."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    folder: Path
    ready: Callable[[], bool] = lambda: True
    prepare: Callable[[], None] = lambda: None
    stalled: Callable[[], bool] = lambda: False
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0


class Log:
    """A service's output. What is over the limit becomes `.old`, so that it takes at most twice as much."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def bound(self) -> None:
        """Moves the content away if there is too much of it. Safe while a process appends to it."""
        if not self.path.exists() or self.path.stat().st_size <= LOG_LIMIT_BYTES:
            return
        self.path.with_suffix(".old").write_bytes(self.path.read_bytes()[-LOG_LIMIT_BYTES:])
        os.truncate(self.path, 0)

    def tail(self, lines: int = 6) -> str:
        text = self.path.read_text(errors="replace") if self.path.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


@dataclass
class Child:
    """A service's process, when it has one."""

    service: Service
    log: Log
    pid_file: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def spawn(self) -> None:
        """Starts the process in a session of its own: Ctrl-C in the terminal reaches the supervisor only."""
        self.service.prepare()
        self.log.bound()
        with self.log.path.open("ab") as output:
            self.process = subprocess.Popen(
                self.service.command,
                env=dict(self.service.environment),
                cwd=self.service.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_setup(self.service.account, self.service.stop_signal),
            )
        self.pid_file.write_text(f"{self.process.pid}\n")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Asks it to end, kills it when it does not in time, and ends what it left of its own children."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.service.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.service.stop_timeout_s)
        self.clean_up()

    def clean_up(self) -> None:
        """Kills what is left of the process's group, and forgets it."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        self.pid_file.unlink(missing_ok=True)


def run_step(name: str, command: list[str], environment: Mapping[str, str], folder: Path, logs: Path) -> None:
    """Runs a command to its end; raises StartError with the end of its output if it fails."""
    log = Log(logs / f"{name}.log")
    with log.path.open("wb") as output:
        done = subprocess.run(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            start_new_session=True,
            preexec_fn=child_setup(None, signal.SIGKILL),
        )
    if done.returncode != 0:
        raise StartError(f"{name} failed; its log is {log.path} and ends with:\n{log.tail(15)}")
