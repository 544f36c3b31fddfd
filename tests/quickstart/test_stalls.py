"""A PostgreSQL that stays in recovery for ever is told from one that takes long."""

import os
import time
from pathlib import Path

import pytest

from cometsite.quickstart import stalls
from cometsite.quickstart.folder import DataFolder
from cometsite.quickstart.processes import Service
from cometsite.quickstart.stalls import Stall
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


def after(clock: Clock, stall: Stall, seconds: float) -> bool:
    """Whether it is taken for stalled at any moment of this time."""
    found = False
    for _ in range(int(seconds)):
        clock.now += 1
        found = found or stall()
    return found


def test_refusing_and_doing_nothing_is_a_stall_in_time(clock: Clock) -> None:
    stall = Stall(lambda: True, lambda: ())
    assert not after(clock, stall, stalls.PATIENCE_S - 2)
    assert after(clock, stall, 2 * stalls.CHECK_S)
    assert not after(clock, stall, stalls.PATIENCE_S - 2)


def test_a_recovery_that_gets_on_may_take_as_long_as_it_likes(clock: Clock) -> None:
    assert not after(clock, Stall(lambda: True, lambda: clock.now), 600)


def test_a_server_that_lets_people_in_or_stands_still_is_none(clock: Clock) -> None:
    assert not after(clock, Stall(lambda: False, lambda: ()), 600)


@pytest.mark.django_db
def test_a_server_that_works_refuses_nobody_and_recovers_from_nothing() -> None:
    assert plugin.CLUSTER.accepts_connections()
    assert not plugin.CLUSTER.refuses_connections()
    assert stalls.recovery_of(plugin.CLUSTER) == ()


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
