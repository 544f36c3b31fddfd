"""Where months are archived, nothing starts without the folder of their files, and /readyz tells when it goes away."""

import os
import subprocess
import sys

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


def test_without_the_folder_nothing_starts(past: Past, filled: list[str], settings: Settings) -> None:
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
    assert web_server(str(past.folder)).returncode == 0
    for missing in ("", str(past.folder / "unmounted")):
        refused = web_server(missing)
        assert refused.returncode != 0
        assert SENTENCE in refused.stderr


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
