"""Processes for all tests of the ledger: they start once, and each job begins with nothing remembered."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.ledger.crew import Crew, crew

SIZE = 5


@pytest.fixture(scope="package")
def workers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Crew]:
    with django_db_blocker.unblock(), crew(SIZE) as working:
        yield working
