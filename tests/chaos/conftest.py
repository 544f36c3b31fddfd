"""One quick start for all of these tests; each leaves it running and quiet."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.chaos.trial import Trial


@pytest.fixture(scope="package")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """CHAOS_SEED=… repeats the decisions of another run."""
    seed = os.environ.get("CHAOS_SEED") or secrets.token_hex(4)
    with Trial(tmp_path_factory.mktemp("chaos") / "data", seed) as made:
        yield made


@pytest.fixture(autouse=True)
def _seed(request: pytest.FixtureRequest) -> None:
    """Pytest shows it where a test fails."""
    if "trial" in request.fixturenames:
        print(f"Seed: CHAOS_SEED={request.getfixturevalue('trial').seed}")
