"""The real quick start, from outside. Slow: some seconds a test."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometsite.quickstart import leftovers
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.postgres import Cluster
from tests.stack import START_TIMEOUT_S, Stack

pytestmark = pytest.mark.stack

SERVICES = ("postgres", "valkey", "stripe", "web", "worker", "beat")


def test_everything_is_up_at_one_address(stack: Stack) -> None:
    assert stack.get("/readyz")[0] == 200
    assert stack.output.count("http://") == 1
    assert {name for name in SERVICES if stack.pid(name)} == set(SERVICES)


def test_the_environment_is_written_for_its_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE((stack.data_dir / "quickstart.env").stat().st_mode) == 0o600
    assert stack.env["PORT"] == str(stack.port)
    assert stack.env["STRIPE_API_BASE"] == f"http://127.0.0.1:{stack.port + 1}"


def test_a_second_terminal_works_on_the_same_data(stack: Stack) -> None:
    assert "[X] 0001_initial" in stack.manage("showmigrations", "wallet")


def test_postgres_takes_no_port_and_no_other_user_passes_to_its_socket(stack: Stack) -> None:
    folder = Path(stack.env["DATABASE_URL"].partition("host=")[2].replace("%2F", "/"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not (folder / ".s.PGSQL.5432").is_file()
    assert (stack.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[5] == ""


def test_no_service_runs_postgres_as_root(stack: Stack) -> None:
    pid = stack.pid("postgres")
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_postgres_has_no_io_workers_to_wait_for(stack: Stack) -> None:
    cluster = Cluster(stack.data_dir / "postgres", stack.data_dir)
    titles = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in cluster.processes()]
    assert any(title.startswith(b"postgres: checkpointer") for title in titles)
    assert not [title for title in titles if title.startswith(b"postgres: io worker")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_service_comes_back(stack: Stack, name: str) -> None:
    killed = stack.kill(name)
    stack.wait_for(lambda: stack.pid(name) not in {None, killed}, 20)
    stack.wait_for(lambda: stack.get("/readyz")[0] == 200, 30)
    assert f"{name} ended (signal 9) and is started again" in stack.output


def test_a_held_service_stays_down_until_it_is_let_go(stack: Stack) -> None:
    stack.stop("worker")
    assert stack.get("/readyz")[0] == 200
    assert stack.pid("worker") is None
    stack.start("worker")
    assert stack.pid("worker") is not None


def test_a_second_start_on_the_same_folder_is_one_sentence(stack: Stack) -> None:
    second = Stack(stack.data_dir.with_name("second"), settings={})
    second.data_dir.symlink_to(stack.data_dir)
    assert ended_with(second) == (
        f"Error: A quick start is running already on the data folder {stack.data_dir} "
        f"(process {stack.process.pid if stack.process else None}); stop it first, or give this one a folder "
        "and a port of its own: DATA_DIR=… PORT=… make run.\n"
    )


def test_a_port_in_use_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    other = Stack(tmp_path / "data")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", other.port))
        taken.listen()
        assert ended_with(other).startswith(f"Error: Port {other.port} is in use by another program; choose")
    assert not (tmp_path / "data" / "postgres").exists()


def test_with_debug_off_the_start_stops_with_the_name_of_what_is_missing(tmp_path: Path) -> None:
    output = ended_with(Stack(tmp_path / "data", settings={"DEBUG": "false"}))
    assert "SECRET_KEY is not set" in output


def test_an_empty_webhook_secret_stops_the_start(tmp_path: Path) -> None:
    output = ended_with(Stack(tmp_path / "data", settings={"STRIPE_WEBHOOK_SECRET": ""}))
    assert "STRIPE_WEBHOOK_SECRET is not set" in output


def test_servers_of_ones_own_are_used_and_get_no_stand_in(stack: Stack, tmp_path: Path) -> None:
    names = ("DATABASE_URL", "VALKEY_URL", "STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET")
    second = Stack(tmp_path / "data", settings={name: stack.env[name] for name in names})
    try:
        second.up()
        assert {name for name in SERVICES if second.pid(name)} == {"web", "worker", "beat"}
        assert "stand-in" not in second.output
        assert not (second.data_dir / "postgres").exists()
    finally:
        assert second.down() == 0


def ended_with(stack: Stack) -> str:
    """What a quick start says that can't start."""
    stack.launch()
    stack.wait_for(lambda: stack.process_ended, START_TIMEOUT_S)
    assert stack.down() == 1
    return stack.output


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A quick start for tests that end it."""
    made = Stack(tmp_path_factory.mktemp("own") / "data")
    try:
        yield made
    finally:
        made.down()


def processes_of(stack: Stack) -> list[int]:
    """All that runs over its data folder, the supervisor not counted."""
    standing_in_it = [pid for pid in leftovers.pids() if stands_in(pid, stack.data_dir / "postgres")]
    return [*leftovers.marked(DataFolder(stack.data_dir)), *standing_in_it]


def stands_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    except OSError:
        return False


def test_ctrl_c_ends_all_of_it_and_the_next_start_does_nothing_twice(own: Stack) -> None:
    own.up()
    assert len(processes_of(own)) > len(SERVICES)
    assert own.down(signal.SIGINT) == 0
    assert processes_of(own) == []
    assert "Loading the catalogue" in own.output
    own.up()
    assert "Loading the catalogue" not in own.output
    assert "Collecting style sheets" not in own.output
    assert own.down(signal.SIGTERM) == 0
    assert processes_of(own) == []


def test_killed_hard_it_starts_again_over_the_same_data(own: Stack) -> None:
    own.up()
    own.manage(
        "shell", "-c", "from accounts.models import User; User.objects.create(email='kept@example.org')"
    )
    assert own.process is not None
    own.process.kill()
    own.process.wait()
    assert own.up() < 20
    kept = own.manage("shell", "-v0", "-c", "from accounts.models import User; print(User.objects.count())")
    assert kept.strip() == "1"


def test_killed_with_all_its_children_it_starts_again(own: Stack) -> None:
    if own.process is None:
        own.up()
    assert own.process is not None
    for pid in [own.process.pid, *processes_of(own)]:
        os.kill(pid, signal.SIGKILL)
    own.process.wait()
    assert own.up() < 20
    assert own.get("/readyz")[0] == 200


def test_an_interrupted_first_start_is_made_good(tmp_path: Path) -> None:
    broken = Stack(tmp_path / "data")
    broken.launch()
    assert broken.process is not None
    broken.wait_for(lambda: (tmp_path / "data" / "postgres.unfinished" / "PG_VERSION").exists(), 30)
    broken.process.kill()
    broken.process.wait()
    assert not (tmp_path / "data" / "postgres").exists()
    try:
        broken.up()
    finally:
        assert broken.down() == 0
