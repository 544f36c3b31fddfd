"""Alice with $5 paid, a key, calls of both outcomes, and an access token; people who must see nothing of it."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from tokens.models import ApiKey
from wallet.models import Wallet
from wallet.wallets import wallet_of

USD = 10**9


def access_token(user: User) -> str:
    return keys.issue(wallet_of(user), "console", ApiKey.Kind.ACCOUNT).text


@dataclass
class Asker:
    """Asks the account API with an access token."""

    token: str

    def get(self, path: str, **parameters: Any) -> Any:
        return Client().get(path, parameters, headers={"Authorization": f"Bearer {self.token}"})

    def data(self, path: str, **parameters: Any) -> Any:
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.content
        told = response.json()
        assert (told["success"], told["message"]) == (True, "")
        return told["data"]

    def refused(self, path: str, **parameters: Any) -> str:
        """The message of a 400."""
        response = self.get(path, **parameters)
        assert response.status_code == 400, response.content
        assert response.json()["success"] is False
        return str(response.json()["message"])


@dataclass
class Sold:
    """What was sold to alice: two calls of $0.006 with one key, and one that failed."""

    issued: IssuedKey
    sent: list[dict[str, Any]]

    @property
    def wallet(self) -> Wallet:
        return self.issued.key.wallet


@pytest.fixture
def sold(alice: User) -> Sold:
    sell()
    issued = keys.issue(give(alice, 5 * USD), "laptop")
    sent = [
        call(issued.key, latency_ms=1_600, first_token_ms=200, stream=True, client_ip="203.0.113.7"),
        call(issued.key, upstream_id="chatcmpl-1", endpoint="/v1/chat/completions"),
        call(issued.key, status="failed", usage={}, error="upstream is away"),
    ]
    Gateway().record(*sent)
    return Sold(issued, sent)


@pytest.fixture
def asker(alice: User) -> Asker:
    return Asker(access_token(alice))


@pytest.fixture
def stranger(charlie: User) -> Asker:
    return Asker(access_token(charlie))


@pytest.fixture
def operator(staff: User) -> Asker:
    return Asker(access_token(staff))
