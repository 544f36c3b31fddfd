"""Every test of prices starts with a catalogue that remembers nothing of the test before."""

from collections.abc import Iterator

import pytest

from pricing import catalogue


@pytest.fixture(autouse=True)
def _fresh_catalogue() -> Iterator[None]:
    catalogue.forget()
    yield
    catalogue.forget()
