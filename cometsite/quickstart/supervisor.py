"""Keeps services running: starts again what dies, gives up on what keeps dying, stops all in reverse order.

A file `run/<name>.hold` keeps a service stopped until the file is gone: a way to see what the site does
without its worker, its broker or its database.
"""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from cometsite.quickstart import StartError
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.processes import Child, Log, Service

TICK_S = 0.2
LOG_CHECK_S = 30.0
READY_TIMEOUT_S = 60.0
# A process that lived this long was well; its next death counts as the first.
WELL_AFTER_S = 20.0
DEATHS_ALLOWED = 8
LONGEST_PAUSE_S = 10.0


@dataclass
class Watched:
    """A child and its record: deaths in a row, and when it may start next."""

    child: Child
    hold: Path
    deaths: int = 0
    started_at: float = 0.0
    start_at: float = 0.0

    @property
    def name(self) -> str:
        return self.child.service.name

    def spawn(self) -> None:
        self.child.spawn()
        self.started_at = time.monotonic()

    def tick(self) -> str | None:
        """Looks after the child once; returns what is worth telling. Raises StartError when it gives up."""
        if self.hold.exists():
            self.child.stop()
            self.deaths, self.start_at = 0, 0.0
            return None
        if self.child.running:
            return self._kill_if_stalled()
        if self.child.process is not None:
            return self._died(self.child.process.returncode)
        if time.monotonic() >= self.start_at:
            self.spawn()
        return None

    def _kill_if_stalled(self) -> str | None:
        if self.child.process is None or not self.child.service.stalled():
            return None
        self.child.process.kill()
        return f"{self.name} runs and does nothing, so it is killed; its log is {self.child.log.path}"

    def _died(self, returncode: int) -> str:
        self.child.clean_up()
        if time.monotonic() - self.started_at > WELL_AFTER_S:
            self.deaths = 0
        # Killed hard it was by somebody, or for lack of memory: no sign that it cannot work.
        self.deaths += returncode != -signal.SIGKILL
        log = self.child.log
        if self.deaths > DEATHS_ALLOWED:
            raise StartError(
                f"{self.name} died {self.deaths} times in a row; {log.path} ends with:\n{log.tail()}"
            )
        pause = 0.0 if self.deaths <= 1 else min(0.25 * 2**self.deaths, LONGEST_PAUSE_S)
        self.start_at = time.monotonic() + pause
        how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
        return f"{self.name} ended ({how}) and is started again; its log is {log.path}"


class Supervisor:
    """The services of one data folder, in the order in which they were started."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.watched: list[Watched] = []

    def start(self, service: Service) -> None:
        """Starts a service without waiting for it."""
        child = Child(
            service, Log(self.folder.logs / f"{service.name}.log"), self.folder.run / f"{service.name}.pid"
        )
        hold = self.folder.run / f"{service.name}.hold"
        hold.unlink(missing_ok=True)
        watched = Watched(child, hold)
        self.watched.append(watched)
        watched.spawn()

    def wait_for(self, name: str) -> None:
        """Waits until a started service can be used; raises StartError if it ends, or takes over a minute."""
        child = next(watched.child for watched in self.watched if watched.name == name)
        give_up_at = time.monotonic() + READY_TIMEOUT_S
        while not child.service.ready():
            if not child.running or time.monotonic() > give_up_at:
                raise StartError(
                    f"{name} did not start; its log {child.log.path} ends with:\n{child.log.tail()}"
                )
            time.sleep(0.03)

    def look(self) -> list[str]:
        """One round over all services; returns what happened."""
        return [news for watched in self.watched if (news := watched.tick())]

    def bound_logs(self) -> None:
        for watched in self.watched:
            watched.child.log.bound()

    def stop(self) -> None:
        """Stops everything, the last started first."""
        while self.watched:
            self.watched[-1].child.stop()
            self.watched.pop()
