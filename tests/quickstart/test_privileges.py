import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cometsite.quickstart.privileges import account_for, child_setup

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to change to")


@as_root
def test_another_user_reaches_a_program_in_a_closed_folder_and_may_do_nothing_else(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("")
    program.chmod(0o755)
    account = account_for(program, Path(sys.executable).resolve())
    assert account is not None
    code = (
        f"import os; print(os.getuid(), os.access({str(program)!r}, os.X_OK), "
        f"os.access({str(closed)!r}, os.W_OK), os.access({str(program)!r}, os.W_OK))"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=child_setup(account, signal.SIGKILL),
    ).stdout
    assert said == f"{account.uid} True False False\n"
    assert closed.stat().st_mode & 0o777 == 0o700


def test_an_ordinary_user_stays_who_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a child of its parent's death")
def test_a_child_dies_with_its_parent() -> None:
    code = (
        "import subprocess, signal, sys\n"
        "from cometsite.quickstart.privileges import child_setup\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=child_setup(None, signal.SIGTERM))\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip()
        assert "sleep" in (child / "cmdline").read_text()
        parent.kill()
    give_up_at = time.monotonic() + 10
    while child.exists() and "sleep" in (child / "cmdline").read_text():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
