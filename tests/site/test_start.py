"""What stops the start of every process, each by its name; and whose environment counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from cometsite import env
from tests.stack import PROJECT, clean_environment
from wallet import checks

PRODUCTION = {
    "SECRET_KEY": "a-long-secret-of-a-production-site-that-nobody-knows",
    "SITE_URL": "https://dashboard.example.com",
    "ALLOWED_HOSTS": "dashboard.example.com",
    "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x",
    "VALKEY_URL": "redis://127.0.0.1:6379/0",
    "STRIPE_SECRET_KEY": "sk_live_of_nobody",
    "STRIPE_WEBHOOK_SECRET": "whsec_of_nobody",
    "EMAIL_URL": "smtp://u:p@127.0.0.1:1",
}
START = "import django; django.setup(); from django.conf import settings; print(settings.{})"


def start(told: str = "CELERY_BROKER_URL", **changes: str) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment(DJANGO_SETTINGS_MODULE="cometsite.settings", **{**PRODUCTION, **changes})
    environment = {name: value for name, value in environment.items() if value != "unset"}
    return subprocess.run(
        [sys.executable, "-c", START.format(told)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_starts_and_the_broker_is_valkey_where_nothing_else_is_said() -> None:
    done = start()
    assert (done.returncode, done.stdout.strip()) == (0, PRODUCTION["VALKEY_URL"]), done.stderr


@pytest.mark.parametrize(
    ("port", "told"), [("unset", "http://127.0.0.1:4000"), ("4430", "http://127.0.0.1:4430")]
)
def test_examples_on_this_machine_have_the_port_of_its_gateway(port: str, told: str) -> None:
    local = {"DEBUG": "true", "SITE_URL": "unset", "STRIPE_SECRET_KEY": "sk_test_x"}
    done = start("GATEWAY_BASE_URL", GATEWAY_PORT=port, **local)
    assert done.stdout.strip() == told, done.stderr
    assert start("GATEWAY_BASE_URL", GATEWAY_PORT=port).stdout.strip() == PRODUCTION["SITE_URL"]


@pytest.mark.parametrize("name", list(PRODUCTION))
def test_a_missing_variable_stops_the_start_by_name(name: str) -> None:
    done = start(**{name: "unset"})
    assert done.returncode != 0
    assert name in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"SECRET_KEY": "local-only-secret-key-that-protects-nothing-at-all"}, "SECRET_KEY"),
        ({"STRIPE_API_BASE": "http://evil.example"}, "STRIPE_API_BASE"),
        ({"STRIPE_WEBHOOK_SECRET": "  "}, "STRIPE_WEBHOOK_SECRET"),
        ({"STRIPE_SECRET_KEY": "sk_test_sandbox_x"}, "STRIPE_SECRET_KEY"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"DEBUG": "perhaps"}, "DEBUG"),
        ({"TOP_UP_MINIMUM_CENTS": "１００"}, "TOP_UP_MINIMUM_CENTS"),
    ],
)
def test_a_dangerous_value_stops_the_start_by_name(changes: dict[str, str], name: str) -> None:
    done = start(**changes)
    assert done.returncode != 0
    assert name in done.stderr.splitlines()[-1]


def test_an_empty_base_and_a_live_key_for_a_stand_in_are_refused(settings: Settings) -> None:
    settings.STRIPE_API_BASE = ""
    assert any("address like" in problem for problem in checks.problems())
    settings.STRIPE_API_BASE, settings.STRIPE_LIVEMODE = "http://127.0.0.1:1", True
    assert any("live key" in problem for problem in checks.problems())


def test_a_quick_start_left_behind_does_not_reach_another_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "quickstart.env"
    file.write_text("DEBUG=true\nSECRET_KEY=of the quick start\nCOMET_TRIAL=1\n")
    monkeypatch.setenv("COMET_TRIAL", "")
    for name in env.OF_AN_INSTALLATION:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRET_KEY", "of production")
    env.load_file(file)
    assert "DEBUG" not in os.environ
    monkeypatch.setenv("SECRET_KEY", "of the quick start")
    monkeypatch.setenv("DEBUG", "true")
    monkeypatch.delenv("COMET_TRIAL")
    env.load_file(file)
    assert os.environ["COMET_TRIAL"] == "1"
