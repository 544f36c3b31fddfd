"""The real gateway, LiteLLM and all, beside a quick start: a process of its own, driven from outside."""

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
from gateway.settings import PROVIDERS
from tests.stack import PROJECT, Stack, clean_environment, stopped

# LiteLLM takes some seconds to be imported, and a minute where a machine does other things besides.
START_TIMEOUT_S = 240.0


@dataclass
class RunningGateway:
    """`data_dir` holds its journal, and its log lies beside; `settings` are variables of its environment."""

    stack: Stack
    python: Path
    data_dir: Path
    port: int = field(default_factory=ports.any_free)
    settings: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Of all its starts."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    @property
    def _log_file(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".log")

    def launch(self) -> Self:
        """Starts it, as `make gateway` does, without waiting for it."""
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cometsite.quickstart.gateway", str(self.python)],
                cwd=PROJECT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def up(self) -> Self:
        """Starts it and waits until it answers."""
        self.launch()
        self.wait_for(lambda: self.is_up or self.has_ended, START_TIMEOUT_S)
        assert self.is_up, f"the gateway ended:\n{self.log}"
        return self

    @property
    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310 - our own http
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def down(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stops it, or kills it with SIGKILL, and returns its exit code. Stopped before: does nothing."""
        if self.process is None:
            return 0
        try:
            return stopped(self.process, how)
        finally:
            self.process = None

    def wait_for(self, condition: Callable[[], object], timeout_s: float) -> None:
        give_up_at = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > give_up_at:
                raise AssertionError(f"waited {timeout_s} s in vain; the gateway says:\n{self.log[-8000:]}")
            time.sleep(0.05)

    def _environment(self) -> dict[str, str]:
        given = clean_environment(
            DATA_DIR=str(self.stack.data_dir),
            PORT=str(self.stack.port),
            GATEWAY_DATA_DIR=str(self.data_dir),
            GATEWAY_PORT=str(self.port),
            **self.settings,
        )
        # A developer's keys would have real models answer.
        providers = {variable for variable, _ in PROVIDERS.values()}
        return {name: value for name, value in given.items() if name not in providers}
