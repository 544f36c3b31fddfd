"""Where months are archived, no worker starts without the folder of their files; web servers say so and go on."""

import errno
import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from cometsite import celery
from logs import archive
from logs.archive import folder, moving
from tests import plugin
from tests.logs.archive.conftest import Past
from tests.stack import PROJECT

SENTENCE = "onths of calls are archived, but CALLS_ARCHIVE_DIR is not a folder that can be read"


def web_server(archive: str) -> subprocess.CompletedProcess[str]:
    database = str(connection.settings_dict["NAME"])
    environment = {
        **os.environ,
        **plugin.ENVIRONMENT,
        "DATABASE_URL": plugin.CLUSTER.url(database),
        "DATABASE_MAY_LOSE_DATA": "true",
        "CALLS_ARCHIVE_DIR": archive,
    }
    return subprocess.run(
        [sys.executable, "-c", "import cometsite.wsgi"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_the_folder_no_worker_starts(past: Past, filled: list[str], settings: Settings) -> None:
    settings.DATABASE_MAY_LOSE_DATA = True  # The tests' own server does.
    folder.require()
    settings.CALLS_ARCHIVE_DIR = ""
    folder.require()  # No month was archived yet.
    settings.CALLS_ARCHIVE_DIR = str(past.folder)
    moving.run()
    folder.require()
    for missing in ("", str(past.folder / "unmounted"), str(next(past.folder.iterdir()))):
        settings.CALLS_ARCHIVE_DIR = missing
        with pytest.raises(ImproperlyConfigured, match=SENTENCE):
            folder.require()
        with pytest.raises(SystemExit, match=SENTENCE):
            celery._refuse_to_lose_or_miss_calls()
    (past.folder / "mount").mkdir()
    settings.CALLS_ARCHIVE_DIR = str(past.folder / "mount")
    with pytest.raises(ImproperlyConfigured, match="CALLS_ARCHIVE_DIR has none of their files"):
        folder.require()


def test_a_web_server_says_it_and_goes_on_charging(past: Past, filled: list[str]) -> None:
    moving.run()
    started = web_server(str(past.folder))
    assert (started.returncode, SENTENCE in started.stderr) == (0, False)
    for missing in ("", str(past.folder / "unmounted")):
        started = web_server(missing)
        assert (started.returncode, SENTENCE in started.stderr) == (0, True)


def test_a_disk_that_died_is_no_database_that_did(
    past: Past, filled: list[str], settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder answers with an error of the disk, which Path.is_dir would raise."""
    moving.run()
    real = os.stat

    def died(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(past.folder)):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", died)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert any(SENTENCE in problem for problem in answer.json()["problems"])
    with pytest.raises(moving.NotArchived, match="not a folder that is there"):
        moving._check_folder()


def test_readyz_tells_of_it(past: Past, filled: list[str], settings: Settings, client: Client) -> None:
    def told() -> tuple[int, bool]:
        answer = client.get("/readyz")
        return answer.status_code, any(SENTENCE in problem for problem in answer.json()["problems"])

    moving.run()
    assert told() == (200, False)
    settings.CALLS_ARCHIVE_DIR = str(past.folder / "unmounted")
    assert told() == (200, True)


def test_a_database_that_is_away_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> list[archive.Month]:
        raise OperationalError("gone")

    monkeypatch.setattr(folder, "months", gone)
    folder.require()
