"""Somebody with a key, signed in."""

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests.tokens.finder import Finder
from tokens import keys, leaks
from tokens.keys import IssuedKey
from wallet.wallets import wallet_of


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def issued(alice: User) -> IssuedKey:
    return keys.issue(wallet_of(alice), "Laptop")


@pytest.fixture
def finder(settings: Settings) -> Iterator[Finder]:
    found = Finder()
    with found.serving():
        settings.LEAK_REPORT_KEYS_URL = found.url
        leaks.forget()
        yield found
    leaks.forget()
