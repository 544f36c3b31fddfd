"""Stripe's stand-in, which the tests reach as the product reaches Stripe, and alice's wallet."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.stripe_sandbox.process import KEY, SECRET, Sandbox
from wallet.models import Wallet
from wallet.wallets import wallet_of


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One for all tests: ids of wallets and top-ups come again, so idempotency keys must not depend on them alone."""
    with Sandbox(tmp_path_factory.mktemp("stripe"), "--bank-delay", "3600").running() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_starter_credit(settings: Any) -> None:
    """Signing in gives none, so that a balance is what a test put there."""
    settings.STARTER_CREDIT_NANOUSD = 0


@pytest.fixture
def stripe_at_hand(settings: Any, sandbox: Sandbox) -> Sandbox:
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    settings.STRIPE_API_BASE = sandbox.url
    return sandbox


@pytest.fixture
def alices(transactional_db: None, alice: User) -> Wallet:
    return wallet_of(alice)


@pytest.fixture
def as_alice(transactional_db: None, alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def as_charlie(transactional_db: None, charlie: User) -> Client:
    client = Client()
    client.force_login(charlie)
    return client
