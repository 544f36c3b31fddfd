"""Installs the tool, which takes the network, and runs it against a site."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TIMEOUT_S = 60


class NotInstalled(Exception):
    """The tool can't be had here; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """What the tool printed, and its exit code."""

    code: int
    output: str
    complaint: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.output + self.complaint
        return json.loads(self.output)

    @property
    def text(self) -> str:
        assert self.code == 0, self.output + self.complaint
        return self.output


@dataclass(frozen=True, slots=True)
class Tool:
    """The tool of one person, with their key and access token."""

    python: Path
    home: Path
    base_url: str
    key: str
    token: str

    def run(self, *arguments: str) -> Done:
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "COLUMNS": "240",
            "NO_PROXY": "*",
            "DASHBOARD": self.base_url,
            "COMETAPI_BASE_URL": f"{self.base_url}/v1",
            "COMETAPI_KEY": self.key,
            "COMETAPI_ACCESS_TOKEN": self.token,
        }
        done = subprocess.run(
            [str(self.python), str(HERE / "launcher.py"), *arguments],
            env=environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def install(folder: Path) -> Path:
    """The Python of an environment with the tool, exactly as it was published. Raises NotInstalled."""
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for step in ([sys.executable, "-m", "venv", str(folder)], [*pip, "-r", str(HERE / "requirements.txt")]):
        try:
            done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=240)
        except subprocess.TimeoutExpired as error:
            raise NotInstalled(str(error)) from error
        if done.returncode != 0:
            raise NotInstalled(done.stderr.strip()[-500:])
    return python
