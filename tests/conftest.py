"""The database of the run, what tests may not do, and the people that tests are about."""

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.test import TransactionTestCase
from django.test.utils import setup_databases
from pytest_django.plugin import DjangoDbBlocker

from accounts.models import User
from logs import estimating
from pricing import catalogue
from tests import plugin
from tests.postgres import Snapshot, running
from tests.stack import Stack
from tokens import gateways

# Files as they lie in the source tree, without a collectstatic before each run; a quick hash; a cache of this
# process.
settings.STORAGES = {
    **settings.STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Fifty threads at once, on a machine that may be busy with something else.
cast("Any", settings.DATABASES["default"]["OPTIONS"])["pool"].update(max_size=64, timeout=30)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Replaces pytest-django's own: a server for this run, migrated once, thrown away with its data."""
    with running(plugin.CLUSTER, plugin.FOLDER / "postgres.log"):
        with django_db_blocker.unblock():
            setup_databases(verbosity=0, interactive=False)
            snapshot = Snapshot(plugin.CLUSTER.url(str(connections["default"].settings_dict["NAME"])))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TransactionTestCase, "_fixture_teardown", lambda self: _restore(snapshot))
            yield
        with django_db_blocker.unblock():
            connections.close_all()
            _close_pool()


def _restore(snapshot: Snapshot) -> None:
    connections["default"].close()
    snapshot.restore()


def _close_pool() -> None:
    # The pool's threads would go on trying to reach a server that is gone.
    connections["default"].close_pool()  # type: ignore[attr-defined]  # only PostgreSQL's wrapper has it


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole quick start, running. A test that stops one of its services starts it again."""
    running_stack = Stack(tmp_path_factory.mktemp("stack") / "data")
    try:
        running_stack.up()
        yield running_stack
    finally:
        running_stack.down()


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Nothing that a process remembers passes from one test to the next."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    cache.clear()
    catalogue.forget()
    gateways.forget()
    estimating.forget()


@pytest.fixture
def alice(db: None) -> User:
    """The owner of what a test is about."""
    return User.objects.create_user("alice@example.com", "correct horse battery")


@pytest.fixture
def charlie(db: None) -> User:
    """Somebody else, who must see nothing of it."""
    return User.objects.create_user("charlie@example.com", "correct horse battery")


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("staff@example.com", "correct horse battery")


@pytest.fixture(autouse=True, scope="session")
def _this_machine_only() -> Iterator[None]:
    """Refuses every connection that would leave this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not _is_local(str(address[0])):
            raise PermissionError(f"Tests reach this machine only, not {address[0]}.")
        return connect(self, address)

    return guarded


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
