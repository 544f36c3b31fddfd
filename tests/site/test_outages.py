"""What people and programs are told when a server that the site needs is away."""

import json

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings
from redis.exceptions import ConnectionError as NoValkey

from accounts.models import User
from cometsite import health
from tests.metering.gateway import Gateway


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False)


def test_a_page_without_its_database_is_503(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("cometsite.views.usd", gone)
    response = visitor.get("/help/")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "Back in a moment" in response.content.decode()


def test_a_mistake_of_ours_is_500_and_tells_nothing(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("cometsite.views.usd", broken)
    response = visitor.get("/help/")
    assert response.status_code == 500
    assert "a secret" not in response.content.decode()


@pytest.mark.django_db
def test_signing_in_without_valkey_is_refused_in_words(
    visitor: Client, alice: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise NoValkey("gone")

    monkeypatch.setattr(LocMemCache, "add", gone)
    settings.ACCOUNT_RATE_LIMITS = {}
    response = visitor.post("/accounts/login/", {"login": alice.email, "password": "correct horse battery"})
    assert response.status_code == 503


@pytest.mark.django_db
def test_readiness_without_broker_and_cache_is_degraded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_broker_problem", lambda: "the broker does not answer")
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")


@pytest.mark.django_db
def test_readiness_without_the_database_is_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(health, "_is_migrated", gone)
    assert client.get("/readyz").status_code == 503
    monkeypatch.setattr(health, "_is_migrated", lambda: False)
    assert client.get("/readyz").json()["problems"] == ["migrations are missing"]


@pytest.mark.django_db
def test_the_metering_api_says_503_and_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    gateway = Gateway()
    gateway.post("release", {})
    monkeypatch.setattr("logs.metering.record", gone)
    response = gateway.post("calls", {"calls": [{}]})
    assert (response.status_code, json.loads(response.content)["error"]["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "2"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/wallet/?a=%00", "/pricing/%00/", "/logs/?from=%00"])
def test_nul_in_an_address_is_400(client: Client, path: str) -> None:
    assert client.get(path).status_code == 400


@pytest.mark.django_db
def test_pages_are_private_and_carry_the_policy(client: Client, alice: User) -> None:
    client.force_login(alice, "allauth.account.auth_backends.AuthenticationBackend")
    for path in ("/wallet/", "/tokens/", "/logs/", "/help/", "/nothing/"):
        response = client.get(path)
        assert "no-store" in response["Cache-Control"], path
        policy = response["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert response["X-Frame-Options"] == "DENY"
