"""A database that may forget what it acknowledged stops the start. The tests' own server is such a one."""

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from pytest_django import Settings

from tests import plugin
from tests.stack import PROJECT
from wallet import durability


@pytest.mark.django_db
def test_it_names_what_is_off(settings: Settings) -> None:
    settings.DATABASE_MAY_LOSE_DATA = False
    with pytest.raises(ImproperlyConfigured, match="fsync"):
        durability.require()
    settings.DATABASE_MAY_LOSE_DATA = True
    durability.require()


@pytest.mark.django_db
def test_a_durable_database_is_let_be(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATABASE_MAY_LOSE_DATA = False
    monkeypatch.setattr(durability, "switched_off", list)
    durability.require()


def test_a_database_that_is_away_stops_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> list[str]:
        raise OperationalError("gone")

    monkeypatch.setattr(durability, "switched_off", gone)
    durability.require()


@pytest.mark.django_db
def test_the_web_server_does_not_start() -> None:
    database = str(connection.settings_dict["NAME"])
    environment = {**os.environ, **plugin.ENVIRONMENT, "DATABASE_URL": plugin.CLUSTER.url(database)}
    done = subprocess.run(
        [sys.executable, "-c", "import cometsite.wsgi"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "DATABASE_MAY_LOSE_DATA" in done.stderr
