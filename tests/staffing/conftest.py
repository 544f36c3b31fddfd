"""Two people who may act on the books, one who may not, and a wallet with a grant in it."""

import uuid
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.audit import Instruction
from accounts.models import User
from wallet import grants
from wallet.models import Transfer, Wallet
from wallet.wallets import wallet_of

REASON = "The invoice of March was paid twice."


def by(actor: User, reason: str = REASON, request_id: uuid.UUID | None = None) -> Instruction:
    return Instruction(actor, reason, request_id or uuid.uuid4())


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def hire(db: None) -> Callable[..., User]:
    """Somebody new on the staff, with these permissions."""

    def hired(name: str, *permissions: str) -> User:
        user = User.objects.create_user(f"{name}@example.com", "correct horse battery", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return user

    return hired


@pytest.fixture
def keeper(hire: Callable[..., User]) -> User:
    """Keeps the books."""
    return hire("keeper", "act_on_books", "lock_out_user")


@pytest.fixture
def second(hire: Callable[..., User]) -> User:
    """The second person."""
    return hire("second", "act_on_books")


@pytest.fixture
def viewer(hire: Callable[..., User]) -> User:
    """On the staff, but may change nothing."""
    return hire("viewer")


@pytest.fixture
def wallet(alice: User) -> Wallet:
    """Alice's, with $0.10 of starter credit."""
    wallet = wallet_of(alice)
    assert grants.give_starter_credit(alice) is not None
    return wallet


@pytest.fixture
def starter(wallet: Wallet) -> Transfer:
    return Transfer.objects.get(wallet=wallet)
