"""A PostgreSQL that stays in recovery for ever is told from one that takes long."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cometsite.quickstart import stalls
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.postgres import Cluster
from cometsite.quickstart.processes import Service
from cometsite.quickstart.stalls import Stall, Work
from cometsite.quickstart.supervisor import Supervisor
from tests import plugin
from tests.stack import PROJECT


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stalls, "_clock", made)
    return made


def after(clock: Clock, stall: Stall, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> bool:
    """Whether it is taken for stalled at any moment of this time; `meanwhile` happens every second."""
    found = False
    for _ in range(int(seconds)):
        clock.now += 1
        meanwhile()
        found = found or stall()
    return found


class Servant:
    """A process that a cluster takes for its own of this title. It uses nothing until it is told to work."""

    def __init__(self, cluster: Cluster, title: str) -> None:
        program = cluster.data / "postgres"
        if not program.exists():
            shutil.copy("/bin/sh", program)
        self.process = subprocess.Popen(
            [title, "-c", "while read line; do echo $line; done"],
            executable=program,
            cwd=cluster.data,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.work()

    def work(self) -> None:
        """Returns when it has moved some bytes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("work", file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "work\n"

    def end(self) -> None:
        with self.process:
            self.process.kill()


type Serve = Callable[[str], Servant]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster of no server."""
    return Cluster(tmp_path.resolve(), tmp_path.resolve())


@pytest.fixture
def serve(cluster: Cluster) -> Iterator[Serve]:
    with ExitStack() as ends:

        def started(title: str) -> Servant:
            servant = Servant(cluster, title)
            ends.callback(servant.end)
            return servant

        yield started


def refusing(cluster: Cluster) -> Stall:
    return Stall(lambda: True, lambda: stalls.work_of(cluster.processes()))


def test_refusing_and_doing_nothing_is_a_stall_in_time(clock: Clock) -> None:
    stall = Stall(lambda: True, Work)
    assert not after(clock, stall, stalls.PATIENCE_S - 2)
    assert after(clock, stall, 2 * stalls.CHECK_S)
    assert not after(clock, stall, stalls.PATIENCE_S - 2)


def test_a_recovery_that_gets_on_may_take_as_long_as_it_likes(clock: Clock) -> None:
    assert not after(clock, Stall(lambda: True, lambda: Work((clock.now,))), 600)


def test_a_server_that_lets_people_in_or_stands_still_is_none(clock: Clock) -> None:
    assert not after(clock, Stall(lambda: False, Work), 600)


def test_a_startup_that_waits_for_a_working_checkpointer_is_left_alone(
    clock: Clock, cluster: Cluster, serve: Serve
) -> None:
    serve("postgres: startup")
    checkpointer = serve("postgres: checkpointer")
    assert not after(clock, refusing(cluster), 120, checkpointer.work)


@pytest.mark.parametrize(
    ("titles", "patience_s"),
    [
        # What a recovery leaves behind whose startup process was killed.
        (["checkpointer", "background writer"], stalls.PATIENCE_S),
        (["startup recovering 0000", "checkpointer", "background writer"], stalls.RECOVERY_PATIENCE_S),
    ],
)
def test_where_nobody_moves_there_is_an_end_of_patience(
    clock: Clock, cluster: Cluster, serve: Serve, titles: list[str], patience_s: float
) -> None:
    for title in titles:
        serve(f"postgres: {title}")
    stall = refusing(cluster)
    assert not after(clock, stall, patience_s - 2)
    assert after(clock, stall, 2 * stalls.CHECK_S)


def test_who_only_turns_clients_away_does_not_recover(clock: Clock, cluster: Cluster, serve: Serve) -> None:
    client = serve("postgres: cometsite cometsite [local] startup")
    assert after(clock, refusing(cluster), stalls.PATIENCE_S + stalls.CHECK_S, client.work)


@pytest.mark.parametrize(("state", "is_stalled"), [("D", False), ("S", True)])
def test_waiting_for_the_disk_moves_no_counter_and_is_work(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, is_stalled: bool
) -> None:
    """Also where the system doesn't show what a process reads and writes."""
    process = tmp_path / "7"
    process.mkdir()
    process.joinpath("cmdline").write_bytes(b"postgres: checkpointer \0")
    process.joinpath("stat").write_text(f"7 (postgres) {state} {' '.join(map(str, range(4, 53)))}\n")
    monkeypatch.setattr(stalls, "_proc", tmp_path)
    assert after(clock, Stall(lambda: True, lambda: stalls.work_of([7, 8])), 120) == is_stalled


def test_the_counters_are_those_of_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tmp_path / "7"
    process.mkdir()
    process.joinpath("cmdline").write_bytes(b"postgres: startup \0")
    # The fields' own numbers in proc(5), where 14 and 15 are the processor's time; the name may hold anything.
    process.joinpath("stat").write_text(f"7 (a ) b) S {' '.join(map(str, range(4, 53)))}\n")
    process.joinpath("io").write_text("rchar: 1\n")
    monkeypatch.setattr(stalls, "_proc", tmp_path)
    assert stalls.work_of([7]).used == ((7, "14", "15", None, "rchar: 1\n"),)


@pytest.mark.django_db
def test_a_server_that_works_refuses_nobody_and_recovers_nothing() -> None:
    assert plugin.CLUSTER.accepts_connections()
    assert not plugin.CLUSTER.refuses_connections()
    work = stalls.work_of(plugin.CLUSTER.processes())
    assert len(work.used) == 2
    assert work.patience_s == stalls.PATIENCE_S


def test_what_is_stalled_is_killed_and_started_again(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    stalled = [True]
    command = ["sleep", "600"]
    service = Service(
        "job", command, dict(os.environ), PROJECT, stalled=lambda: bool(stalled and stalled.pop())
    )
    watch = Supervisor(folder)
    try:
        watch.start(service)
        (killed,) = [watched.child.process for watched in watch.watched]
        (news,) = watch.look()
        assert news.startswith("job runs and does nothing, so it is killed")
        give_up_at = time.monotonic() + 10
        while not watch.watched[0].child.running or watch.watched[0].child.process is killed:
            assert time.monotonic() < give_up_at
            watch.look()
            time.sleep(0.02)
    finally:
        watch.stop()
