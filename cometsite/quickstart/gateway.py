"""`python -m cometsite.quickstart.gateway PYTHON`: the gateway beside a running quick start, with a key of its own.

PYTHON is that of LiteLLM's environment; this process becomes the gateway's.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from cometsite import env
from cometsite.quickstart.commands import PROJECT
from cometsite.quickstart.environment import NAMES
from cometsite.quickstart.folder import write_private

KEY_NAME = "make gateway"


def main() -> int:
    """Returns only where it can't start: 1, after a sentence."""
    # LiteLLM gets none of the site's secrets.
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    data_dir = Path(os.environ.get("DATA_DIR") or PROJECT / ".data").resolve()
    env.load_file(data_dir / "quickstart.env")
    folder = data_dir / "gateway"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment.setdefault("METERING_URL", f"http://127.0.0.1:{os.environ.get('PORT') or 8000}")
    environment.setdefault("GATEWAY_DATA_DIR", str(folder))
    environment.setdefault("GATEWAY_PORT", os.environ.get("GATEWAY_PORT") or "4000")
    if not environment.get("GATEWAY_KEY"):
        environment.setdefault("GATEWAY_KEY_FILE", str(folder / "key"))
        if not _has_key(Path(environment["GATEWAY_KEY_FILE"])):
            return 1
    os.chdir(PROJECT)
    command = [sys.argv[1], "-m", "gateway"]
    return _become(command, environment)


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted


def _has_key(file: Path) -> bool:
    """Made once for this data folder; False where it can't be, which was said."""
    if file.exists() and file.read_text().strip():
        return True
    command = [sys.executable, "manage.py", "create_gateway_key", KEY_NAME]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return False
    write_private(file, done.stdout.strip() + "\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
