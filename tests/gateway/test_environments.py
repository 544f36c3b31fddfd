"""A machine without a network skips the published clients; everything else that stops an installation is a failure."""

import sys
from pathlib import Path

import pytest

from tests.gateway import environments
from tests.gateway.environments import Absent


def _failing(said: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; print({said!r}, file=sys.stderr); sys.exit(1)"]


@pytest.mark.parametrize(
    "said",
    [
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(…)'",
        "npm error code ENOTFOUND",
        "npm error code EAI_AGAIN",
    ],
)
def test_without_a_network_it_is_absent(said: str) -> None:
    with pytest.raises(Absent, match="no network"):
        environments._run(_failing(said))


@pytest.mark.parametrize(
    "said", ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "npm error code EINTEGRITY", "No space left"]
)
def test_what_is_no_missing_network_fails(said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        environments._run(_failing(said))


def test_without_node_its_client_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Absent, match="node"):
        environments.node_modules()


def test_no_address_of_an_index_is_pinned() -> None:
    """They install from whichever index a machine is set up for."""
    for name in ("requirements.txt", "package-lock.json"):
        text = (environments.CLIENTS / name).read_text()
        assert "://" not in text, name
        assert text.count("sha256:" if name.endswith("txt") else "sha512-") > 0
