import re
import stat
from pathlib import Path

import pytest

from cometsite.quickstart import environment
from cometsite.quickstart.environment import NAMES, StandIns
from cometsite.quickstart.folder import DataFolder

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


def filled_up(caller: dict[str, str], folder: DataFolder) -> dict[str, str]:
    wanted = StandIns.missing_from(caller)
    return environment.filled_up(
        caller,
        folder,
        8000,
        postgres_url="postgresql://stand-in/x" if wanted.postgres else None,
        valkey_url="redis://stand-in" if wanted.valkey else None,
        stripe_url="http://127.0.0.1:8001" if wanted.stripe else None,
    )


def test_nothing_set_everything_filled_in(folder: DataFolder) -> None:
    found = filled_up({}, folder)
    assert found["DATABASE_URL"] == "postgresql://stand-in/x"
    assert found["VALKEY_URL"] == "redis://stand-in"
    assert found["STRIPE_API_BASE"] == "http://127.0.0.1:8001"
    assert found["STRIPE_SECRET_KEY"].startswith("sk_test_sandbox")
    assert found["STRIPE_WEBHOOK_SECRET"].startswith("whsec_")
    assert found["DEBUG"] == "true"
    assert len(found["SECRET_KEY"]) > 40


def test_secrets_stay_the_same_and_are_private(folder: DataFolder) -> None:
    first, second = filled_up({}, folder), filled_up({}, folder)
    assert first == second
    assert stat.S_IMODE((folder.path / "secrets.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["DATABASE_URL", "VALKEY_URL", "STRIPE_API_BASE", "STRIPE_SECRET_KEY"])
def test_what_the_caller_set_is_used_and_gets_no_stand_in(name: str, folder: DataFolder) -> None:
    caller = {name: "the caller's"}
    wanted = StandIns.missing_from(caller)
    assert filled_up(caller, folder)[name] == "the caller's"
    assert wanted == StandIns(
        postgres=name != "DATABASE_URL", valkey=name != "VALKEY_URL", stripe=not name.startswith("STRIPE")
    )


def test_an_empty_secret_stays_empty_for_the_settings_to_refuse(folder: DataFolder) -> None:
    assert filled_up({"STRIPE_WEBHOOK_SECRET": ""}, folder)["STRIPE_WEBHOOK_SECRET"] == ""


def test_a_webhook_secret_is_not_invented_for_the_real_stripe(folder: DataFolder) -> None:
    assert "STRIPE_WEBHOOK_SECRET" not in filled_up({"STRIPE_SECRET_KEY": "sk_test_1"}, folder)


@pytest.mark.parametrize("value", ["false", "0", "off", "", " No "])
def test_with_debug_off_nothing_is_filled_in(value: str, folder: DataFolder) -> None:
    found = filled_up({"DEBUG": value}, folder)
    assert StandIns.missing_from({"DEBUG": value}) == StandIns(postgres=False, valkey=False, stripe=False)
    assert {"SECRET_KEY", "DATABASE_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"}.isdisjoint(found)
    assert not (folder.path / "secrets.json").exists()


def test_it_is_written_down_for_its_owner_only_and_without_the_rest_of_the_shell(folder: DataFolder) -> None:
    environment.write_down({"PORT": "8000", "SECRET_KEY": "a=b", "OTHER_PROGRAMS_PASSWORD": "x"}, folder)
    text = folder.environment_file.read_text()
    assert [line for line in text.splitlines() if line[0] != "#"] == ["PORT=8000", "SECRET_KEY=a=b"]
    assert stat.S_IMODE(folder.environment_file.stat().st_mode) == 0o600


def test_every_variable_of_the_settings_is_written_down() -> None:
    read = re.findall(
        r"env\.(?:text|flag|optional_integer|integer|words|required)\(\s*\"([A-Z_]+)\"",
        (PROJECT / "cometsite" / "settings.py").read_text(),
    )
    assert set(read) - set(NAMES) == set()
