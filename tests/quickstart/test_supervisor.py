import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cometsite.quickstart import StartError, leftovers, processes, supervisor
from cometsite.quickstart.environment import MARKER
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.processes import Log, Service, run_step
from cometsite.quickstart.supervisor import Supervisor

FOREVER = "import time; time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {FOREVER}"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


@pytest.fixture
def watch(folder: DataFolder) -> Iterator[Supervisor]:
    made = Supervisor(folder)
    yield made
    made.stop()


def python(name: str, code: str, **options: object) -> Service:
    return Service(name, [sys.executable, "-c", code], dict(os.environ), Path("/"), **options)  # type: ignore[arg-type]  # a test's shorthand


def pid(folder: DataFolder, name: str) -> int:
    return int((folder.run / f"{name}.pid").read_text())


def wait_for(condition: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_what_dies_is_started_again(watch: Supervisor, folder: DataFolder) -> None:
    watch.start(python("job", FOREVER))
    first = pid(folder, "job")
    os.kill(first, 9)
    while not (news := watch.look()):
        time.sleep(0.02)
    assert watch.look() == []
    assert news == [f"job ended (signal 9) and is started again; its log is {folder.logs / 'job.log'}"]
    assert pid(folder, "job") != first


def test_what_keeps_dying_is_given_up_with_the_end_of_its_log(
    watch: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_S", 0.0)
    watch.start(python("job", "raise SystemExit('no database')"))
    with pytest.raises(StartError, match=r"(?s)job died 9 times in a row; .* ends with:\n.*no database"):
        wait_for(lambda: watch.look() and False)


def test_what_is_killed_again_and_again_is_not_given_up(watch: Supervisor, folder: DataFolder) -> None:
    watch.start(python("job", FOREVER))
    for _ in range(supervisor.DEATHS_ALLOWED + 2):
        killed = pid(folder, "job")
        os.kill(killed, 9)
        wait_for(lambda: watch.look())
        wait_for(lambda: watch.look() == [] and watch.watched[0].child.running)
        assert pid(folder, "job") != killed


def test_a_start_that_fails_at_once_says_why(watch: Supervisor) -> None:
    watch.start(python("job", "raise SystemExit('no database')", ready=lambda: False))
    with pytest.raises(StartError, match=r"(?s)job did not start; .*no database"):
        watch.wait_for("job")


def test_a_hold_file_keeps_it_down(watch: Supervisor, folder: DataFolder) -> None:
    watch.start(python("job", FOREVER))
    hold = folder.run / "job.hold"
    hold.touch()
    assert watch.look() == []
    assert not (folder.run / "job.pid").exists()
    hold.unlink()
    assert watch.look() == []
    assert watch.watched[0].child.running


def test_what_does_not_listen_is_killed(watch: Supervisor, folder: DataFolder) -> None:
    watch.start(python("job", DEAF, stop_timeout_s=0.2))
    wait_for(lambda: "deaf" in (folder.logs / "job.log").read_text())
    deaf = pid(folder, "job")
    watch.stop()
    assert not Path(f"/proc/{deaf}").exists()


def test_a_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 10)
    log = Log(tmp_path / "job.log")
    log.path.write_text("0123456789")
    log.bound()
    assert log.path.read_text() == "0123456789"
    log.path.write_text("0123456789a")
    log.bound()
    assert log.path.read_text() == ""
    assert (tmp_path / "job.old").read_text() == "123456789a"


def test_a_failed_step_shows_the_end_of_its_output(folder: DataFolder) -> None:
    command = [sys.executable, "-c", "raise SystemExit('column is missing')"]
    with pytest.raises(StartError, match=r"(?s)migrate failed; .*migrate\.log.*column is missing"):
        run_step("migrate", command, os.environ, folder.path, folder.logs)


def test_what_a_killed_start_left_is_found_by_its_mark_and_ended(folder: DataFolder, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOREVER]
    ours = subprocess.Popen(command, env={**os.environ, MARKER: str(folder.path)})
    another = subprocess.Popen(command, env={**os.environ, MARKER: f"{folder.path}2"})
    try:
        wait_for(lambda: leftovers.marked(folder) == [ours.pid])
        assert leftovers.end_all(folder) == 1
        assert ours.wait(10) == -15
        assert another.poll() is None
    finally:
        another.kill()
        another.wait()
