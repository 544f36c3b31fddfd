"""What the tests of the gateway run in environments of their own: LiteLLM, and the clients as they are published.

Installed once for each content of their pins, into the cache folder that `make gateway` uses too, outside the checkout.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.stack import PROJECT

CLIENTS = Path(__file__).parent / "clients"
CLIENTS_PINS = "tests/gateway/clients/requirements.txt"
TOOL_PINS = "tests/account_api/cometapi_cli/requirements.txt"
TIMEOUT_S = 800
# What pip and npm say where a machine has no way out, or none that they trust; everything else is a failure, and fails.
OFFLINE = re.compile(
    r"after connection broken by|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|Could not resolve host"
    r"|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT"
)


class Absent(Exception):
    """This machine lacks the network, or a program; the sentence says which."""


def gateway_python() -> Path:
    """The Python of LiteLLM's environment, or the one that GATEWAY_PYTHON names. Raises Absent."""
    if given := os.environ.get("GATEWAY_PYTHON"):
        return Path(given)
    return Path(_run(["make", "-s", "gateway-python"]).splitlines()[-1])


def clients_python() -> Path:
    """The Python of the published Python clients. Raises Absent."""
    return _installed("clients", CLIENTS_PINS)


def tool_python() -> Path:
    """The Python of the published command-line tool. Raises Absent."""
    return _installed("cometapi-cli", TOOL_PINS)


def node_modules() -> Path:
    """The folder of the published npm packages. Raises Absent."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise Absent("there is no node or no npm on this machine")
    lock = CLIENTS / "package-lock.json"
    folder = _cache() / f"node-{_digest(lock)}"
    if not folder.exists():
        _cache().mkdir(parents=True, exist_ok=True)
        # Renamed when it is whole, so that what is there is whole.
        with tempfile.TemporaryDirectory(dir=_cache(), prefix="node-") as place:
            for file in (lock, CLIENTS / "package.json"):
                shutil.copy(file, place)
            _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", place])
            shutil.copytree(place, folder)
    return folder / "node_modules"


def _installed(name: str, pins: str) -> Path:
    folder = _cache() / f"{name}-{_digest(PROJECT / pins)}"
    _run([sys.executable, "cometsite/quickstart/install.py", pins, str(folder)])
    return folder / "bin" / "python"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "comet-dashboard"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _run(command: Sequence[str]) -> str:
    """What it prints. Raises Absent where it did not reach the network."""
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    said = done.stdout + done.stderr
    if done.returncode != 0 and OFFLINE.search(said):
        raise Absent(f"no network: {said.strip()[-300:]}")
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{said[-4000:]}"
    return done.stdout
