"""The balance in the forms that existing clients read: exact fields, units and scopes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import User
from pricing import catalogue
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey, Rules
from tokens.models import ApiKey
from wallet.models import TopUp, Wallet

pytestmark = pytest.mark.django_db

USD = 10**9


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    catalogue.forget()
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def issued(alice: User) -> IssuedKey:
    """Alice paid $1; two calls of $0.006 each were made with this key."""
    sell()
    issued = keys.issue(give(alice, USD), "laptop")
    Gateway().record(call(issued.key), call(issued.key))
    return issued


def get(address: str, text: str | None, **more: Any) -> Any:
    headers = {} if text is None else {"Authorization": f"Bearer {text}"}
    return Client().get(address, headers=headers, **more)


def limit(issued: IssuedKey, **rules: Any) -> None:
    keys.change(issued.key, issued.key.name, Rules(**rules))


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_openai_billing_of_a_wallet(issued: IssuedKey, prefix: str) -> None:
    told = get(f"{prefix}/dashboard/billing/subscription", issued.text).json()
    assert told == {
        "object": "billing_subscription",
        "has_payment_method": True,
        "soft_limit_usd": 1.0,
        "hard_limit_usd": 1.0,
        "system_hard_limit_usd": 1.0,
        "access_until": 0,
    }
    used = get(f"{prefix}/dashboard/billing/usage?start_date=2020-01-01&end_date=2020-01-02", issued.text)
    assert used.json() == {"object": "list", "total_usage": 1.2}
    assert "." in used.content.decode()
    summary = get(f"{prefix}/dashboard/billing/credit_grants", issued.text).json()
    assert (summary["total_granted"], summary["total_used"], summary["total_available"]) == (
        1.0,
        0.012,
        0.988,
    )


def test_openai_billing_of_a_key_with_a_limit_of_its_own(issued: IssuedKey) -> None:
    until = timezone.now() + timedelta(days=1)
    limit(issued, limit_nanousd=USD // 2, expires_at=until)
    told = get("/v1/dashboard/billing/subscription", issued.text).json()
    assert (told["hard_limit_usd"], told["access_until"]) == (0.5, int(until.timestamp()))
    # Of a period: what is left of it and all that was ever used, so that a client's subtraction gives what is left.
    limit(issued, period="month", period_limit_nanousd=USD // 10)
    told = get("/v1/dashboard/billing/subscription", issued.text).json()
    used = get("/v1/dashboard/billing/usage", issued.text).json()
    assert round(told["hard_limit_usd"] - used["total_usage"] / 100, 9) == 0.088


def test_a_debt_shows_as_usage_above_the_limit(alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 5_000_000), "small")
    Gateway().record(call(issued.key))
    told = get("/v1/dashboard/billing/subscription", issued.text).json()
    used = get("/v1/dashboard/billing/usage", issued.text).json()
    assert (told["hard_limit_usd"], used["total_usage"]) == (0.005, 0.6)
    grants = get("/v1/dashboard/billing/credit_grants", issued.text).json()
    assert (grants["total_granted"], grants["total_used"], grants["total_available"]) == (0.005, 0.006, 0.0)
    quota = get("/api/usage/token", issued.text).json()["data"]
    assert (quota["total_granted"], quota["total_used"], quota["total_available"]) == (2_500, 3_000, 0)


def test_what_a_key_spent_beyond_its_limit_shows_as_usage_above_it(issued: IssuedKey) -> None:
    """In every form alike, and nowhere is what is left below zero."""
    limit(issued, limit_nanousd=USD // 100)
    told = get("/v1/dashboard/billing/subscription", issued.text).json()
    used = get("/v1/dashboard/billing/usage", issued.text).json()
    assert (told["hard_limit_usd"], used["total_usage"]) == (0.01, 1.2)
    grants = get("/v1/dashboard/billing/credit_grants", issued.text).json()
    assert (grants["total_granted"], grants["total_used"], grants["total_available"]) == (0.01, 0.012, 0.0)
    quota = get("/api/usage/token", issued.text).json()["data"]
    assert (quota["total_granted"], quota["total_used"], quota["total_available"]) == (5_000, 6_000, 0)
    listed = get("/user/quota", None, data={"key": issued.text}).json()["keys"]
    assert (listed[0]["remain_quota"], listed[0]["used_quota"]) == (0.0, 0.012)
    key = get("/api/v1/key", issued.text).json()["data"]
    assert (key["limit"], key["limit_remaining"], key["usage"]) == (0.01, 0.0, 0.012)


@pytest.mark.parametrize("address", ["/api/usage/token", "/api/usage/token/"])
def test_usage_of_a_key_in_quota_units(issued: IssuedKey, address: str) -> None:
    limit(issued, limit_nanousd=USD, model_ids=[catalogue.sellable()[0].id])
    response = get(address, issued.text)
    assert response.json() == {
        "code": True,
        "message": "ok",
        "data": {
            "object": "token_usage",
            "name": "laptop",
            "total_granted": 500_000,
            "total_used": 6_000,
            "total_available": 494_000,
            "unlimited_quota": False,
            "model_limits": {"gpt-4o": True},
            "model_limits_enabled": True,
            "expires_at": 0,
        },
    }


@pytest.mark.parametrize("address", ["/user/quota", "/user/quota/"])
def test_the_query_by_a_key_in_the_address(issued: IssuedKey, address: str) -> None:
    other = keys.issue(issued.key.wallet, "tts", rules=Rules(limit_nanousd=2 * USD))
    query = keys.issue(issued.key.wallet, "asks", ApiKey.Kind.QUERY)
    keys.issue(issued.key.wallet, "spends nothing", ApiKey.Kind.ACCOUNT)
    today = datetime.now(UTC).date()
    response = Client().get(address, {"key": query.text, "start_date": str(today), "end_date": str(today)})
    told = response.json()
    assert told.pop("username") == f"user-{issued.key.wallet.owner_id}"
    assert told == {
        "total_quota": 0.988,
        "total_used_quota": 0.012,
        "request_count": 2,
        "keys": [
            {"name": "laptop", "remain_quota": -1, "used_quota": 0.012},
            {"name": "tts", "remain_quota": 2.0, "used_quota": 0.0},
            {"name": "asks", "remain_quota": -1, "used_quota": 0.0},
        ],
        "daily_quota": {
            today.isoformat(): [{"token_name": "laptop", "quota_used": 0.012, "request_count": 2}]
        },
    }
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["Cache-Control"] == "private, no-store"
    assert "daily_quota" not in Client().get(address, {"key": other.text, "start_date": str(today)}).json()


@pytest.mark.parametrize(
    ("first", "last", "wrong"),
    [
        ("2026-02-30", "2026-03-01", "start_date"),
        ("2026-02-01", "20260301", "end_date"),
        ("2026-W06-1", "2026-03-01", "start_date"),
        ("2026-02-01", "2026-03- 1", "end_date"),
        ("2026-02-01", "tomorrow", "end_date"),
        ("2026-03-01", "2026-02-01", "end_date"),
        ("1900-01-01", "2026-02-01", "At most"),
    ],
)
def test_days_that_cannot_be_asked_for_are_refused_by_name(
    issued: IssuedKey, first: str, last: str, wrong: str
) -> None:
    response = Client().get("/user/quota", {"key": issued.text, "start_date": first, "end_date": last})
    assert response.status_code == 400
    assert response.json()["message"].startswith(wrong)
    assert issued.text not in response.content.decode()


def test_the_operator_can_turn_the_query_by_address_off(issued: IssuedKey, settings: Any) -> None:
    settings.BALANCE_BY_ADDRESS = False
    response = Client().get("/user/quota", {"key": issued.text})
    assert response.status_code == 404
    assert issued.text not in response.content.decode()


def test_models_that_a_key_may_call(issued: IssuedKey) -> None:
    other = sell("o-other")
    catalogue.forget()
    listed = get("/v1/models", issued.text).json()
    assert [model["id"] for model in listed["data"]] == ["gpt-4o", "o-other"]
    assert listed["data"][0].keys() == {"id", "object", "created", "owned_by"}
    limit(issued, model_ids=[other.pk])
    assert [model["id"] for model in get("/v1/models", issued.text).json()["data"]] == ["o-other"]


def test_openrouter_shapes(issued: IssuedKey) -> None:
    limit(issued, limit_nanousd=USD, period="week", period_limit_nanousd=USD // 10)
    told = get("/api/v1/key", issued.text).json()["data"]
    assert told["label"] == issued.key.hint
    assert (told["limit"], told["limit_remaining"], told["limit_reset"]) == (0.1, 0.088, "weekly")
    assert (told["usage"], told["usage_daily"], told["usage_monthly"]) == (0.012, 0.012, 0.012)
    limit(issued)
    told = get("/api/v1/key", issued.text).json()["data"]
    assert (told["limit"], told["limit_remaining"], told["limit_reset"]) == (None, None, None)
    told = get("/api/v1/credits", issued.text).json()
    assert told == {"data": {"total_credits": 1.0, "total_usage": 0.012}}


ADDRESSES = [
    "/v1/dashboard/billing/subscription",
    "/dashboard/billing/usage",
    "/v1/dashboard/billing/credit_grants",
    "/api/usage/token",
    "/v1/models",
    "/api/v1/key",
    "/api/v1/credits",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_unknown_revoked_and_expired_keys_are_refused(issued: IssuedKey, address: str) -> None:
    assert get(address, None).status_code == 401
    assert get(address, issued.text[:-1] + "0").status_code == 401
    keys.disable(issued.key)
    Wallet.objects.update(suspended_at=timezone.now())
    limit(issued, limit_nanousd=1)
    assert get(address, issued.text).status_code == 200
    limit(issued, expires_at=timezone.now() - timedelta(seconds=1))
    assert get(address, issued.text).status_code == 401
    limit(issued)
    keys.revoke(issued.key)
    refused = get(address, issued.text)
    assert refused.status_code == 401
    assert "unknown, revoked or expired" in refused.content.decode()
    account = keys.issue(issued.key.wallet, "account", ApiKey.Kind.ACCOUNT)
    assert get(address, account.text).status_code == 403


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("/v1/models", "Authorization: Bearer"), ("/api/usage/token", "Authorization: Bearer"),
        ("/api/user/self", "Authorization: Bearer"), ("/user/quota", "?key="),
    ],
)  # fmt: skip
def test_who_sends_no_key_is_told_where_it_goes(issued: IssuedKey, address: str, place: str) -> None:
    refused = get(address, None)
    assert refused.status_code == 401
    assert "No key was sent." in refused.content.decode()
    assert place in refused.content.decode()


def test_a_query_key_sees_what_its_account_may_call(issued: IssuedKey) -> None:
    query = keys.issue(issued.key.wallet, "asks", ApiKey.Kind.QUERY)
    assert [model["id"] for model in get("/v1/models", query.text).json()["data"]] == ["gpt-4o"]


@pytest.mark.parametrize("address", [*ADDRESSES, "/user/quota"])
def test_programs_in_a_browser_may_ask_from_anywhere(issued: IssuedKey, address: str) -> None:
    preflight = Client().options(address, headers={"Origin": "https://example.com"})
    assert preflight.status_code == 204
    for response in (preflight, get(address, issued.text), get(address, "sk-wrong")):
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Authorization" in response["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in response
    assert Client().post(address).status_code == 405


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (
            "authorization,x-stainless-os,openai-organization",
            "authorization,x-stainless-os,openai-organization",
        ),
        ("", "Authorization, Content-Type"),
        ("<é>", "Authorization, Content-Type"),
        ("x" * 3000, "Authorization, Content-Type"),
    ],
)
def test_clients_libraries_may_add_headers_of_their_own(asked: str, allowed: str) -> None:
    told = {"Origin": "https://example.com", "Access-Control-Request-Headers": asked}
    preflight = Client().options("/v1/models", headers=told)
    assert preflight["Access-Control-Allow-Headers"] == allowed


def test_pages_are_not_open_to_other_sites() -> None:
    assert "Access-Control-Allow-Origin" not in Client().get("/", headers={"Origin": "https://example.com"})


def test_who_asks_too_often_is_told_to_wait(issued: IssuedKey, settings: Any) -> None:
    settings.API_QUESTIONS_PER_MINUTE = 3
    statuses = [get("/api/v1/credits", issued.text).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert get("/api/v1/credits", issued.text)["Retry-After"] == "60"


def test_days_without_use_are_left_out(issued: IssuedKey) -> None:
    before = str(datetime.now(UTC).date() - timedelta(days=1))
    told = Client().get("/user/quota", {"key": issued.text, "start_date": before, "end_date": before})
    assert told.json()["daily_quota"] == {}


def test_who_never_paid_is_in_the_free_tier(issued: IssuedKey) -> None:
    """Credit that was given counts for nothing, a top-up that was not paid neither; one that was, for good."""

    def is_free() -> object:
        return get("/api/v1/key", issued.text).json()["data"]["is_free_tier"]

    top_up = TopUp.objects.create(wallet=issued.key.wallet, amount_cents=1000)
    assert is_free() is True
    TopUp.objects.filter(pk=top_up.pk).update(
        state=TopUp.State.PAID, paid_at=timezone.now(), received_cents=1000
    )
    assert is_free() is False
