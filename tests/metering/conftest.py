import pytest

from accounts.models import User
from tests.metering.gateway import Gateway, give, sell
from tokens import keys
from tokens.keys import IssuedKey


@pytest.fixture
def gateway(db: None) -> Gateway:
    return Gateway()


@pytest.fixture
def issued(alice: User) -> IssuedKey:
    """Alice's key, with $1 paid in her wallet and gpt-4o for sale."""
    sell()
    return keys.issue(give(alice, 1_000_000_000), "laptop")
