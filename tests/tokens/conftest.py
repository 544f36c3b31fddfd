"""Somebody with a key, signed in."""

import pytest
from django.test import Client

from accounts.models import User
from tokens import keys
from tokens.keys import IssuedKey
from wallet.wallets import wallet_of


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def issued(alice: User) -> IssuedKey:
    return keys.issue(wallet_of(alice), "Laptop")
