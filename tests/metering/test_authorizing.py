"""Authorize and release: who is let in, what is held, and the words of every refusal."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet import holds, ledger
from wallet.models import Hold, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


def test_a_good_key_is_let_in_and_its_cost_is_held(gateway: Gateway, issued: IssuedKey) -> None:
    response = gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300)
    answer = response.json()
    assert response.status_code == 200
    assert answer["held_nanousd"] == 6_000_000
    assert answer["available_nanousd"] == 994_000_000
    assert (answer["token_id"], answer["wallet_id"]) == (issued.key.pk, issued.key.wallet_id)
    assert answer["model"] == "gpt-4o"
    assert answer["call_id"][14] == "7"
    assert ledger.balances(issued.key.wallet).held_nanousd == 6_000_000
    assert_books()


def test_recording_replaces_the_hold_by_the_charge(gateway: Gateway, issued: IssuedKey) -> None:
    answer = gateway.authorize(issued.text, max_output_tokens=10).json()
    (result,) = gateway.record(call(issued.key, call_id=answer["call_id"]))
    assert result["charged_nanousd"] == 6_000_000
    funds = ledger.balances(issued.key.wallet)
    assert (funds.balance_nanousd, funds.held_nanousd) == (994_000_000, 0)
    assert_books()


def test_the_estimate_never_exceeds_what_the_request_allows(gateway: Gateway, issued: IssuedKey) -> None:
    answer = gateway.authorize(issued.text, input_tokens=0, max_output_tokens=1).json()
    assert answer["held_nanousd"] == 10_000


def test_an_open_hold_counts_against_the_balance(gateway: Gateway, alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 5_000_000), "small")
    first = gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300)
    second = gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300)
    assert (first.status_code, second.status_code) == (200, 402)
    assert first.json()["available_nanousd"] == -1_000_000
    # The balance is positive, so that waiting is enough.
    refused = second.json()["error"]
    assert refused["code"] == "insufficient_balance"
    assert refused["message"].startswith("What is left is held by calls that are running.")
    assert second["Retry-After"] == "1"
    gateway.record(call(issued.key, call_id=first.json()["call_id"]))
    third = gateway.authorize(issued.text)
    assert (third.status_code, "Retry-After" in third) == (402, False)
    assert "used up" in third.json()["error"]["message"]


def test_an_overdue_hold_expires_before_a_call_is_refused(gateway: Gateway, alice: User) -> None:
    sell()
    issued = keys.issue(give(alice, 5_000_000), "small")
    gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300)
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert gateway.authorize(issued.text).status_code == 200
    assert Hold.objects.filter(state="expired").count() == 1
    assert_books()


def test_a_call_whose_hold_expired_is_charged_all_the_same(gateway: Gateway, issued: IssuedKey) -> None:
    answer = gateway.authorize(issued.text).json()
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert holds.expire_overdue() == 1
    (result,) = gateway.record(call(issued.key, call_id=answer["call_id"]))
    assert result["result"] == "accepted"
    assert ledger.balances(issued.key.wallet).held_nanousd == 0
    assert_books()


def test_release_closes_the_hold_and_twice_is_fine(gateway: Gateway, issued: IssuedKey) -> None:
    answer = gateway.authorize(issued.text).json()
    for _ in range(2):
        response = gateway.post("release", {"call_id": answer["call_id"]})
        assert (response.status_code, response.content) == (204, b"")
    funds = ledger.balances(issued.key.wallet)
    assert (funds.balance_nanousd, funds.held_nanousd) == (1_000_000_000, 0)
    assert_books()


@pytest.mark.parametrize(
    "text",
    ["", "sk-x", "' OR 1=1--", "sk-" + "a" * 54, "gw-" + "a" * 60, "sk-é", "x" * 4096],
)
def test_a_malformed_key_is_refused_without_the_database(
    gateway: Gateway, issued: IssuedKey, text: str, django_assert_num_queries: object
) -> None:
    gateway.authorize(issued.text)  # the gateway's own key is remembered from here on
    with django_assert_num_queries(0):  # type: ignore[operator]  # pytest-django's fixture
        response = gateway.authorize(text)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_key")


def test_unknown_and_revoked_keys_get_the_same_answer(gateway: Gateway, issued: IssuedKey) -> None:
    other = keys.issue(issued.key.wallet, "other")
    text = other.text
    keys.revoke(other.key)
    revoked = gateway.authorize(text)
    assert revoked.status_code == 401
    assert text not in revoked.content.decode()
    assert revoked.json()["error"]["code"] == "invalid_key"


def test_a_suspended_wallet_and_a_locked_out_owner_are_refused(
    gateway: Gateway, issued: IssuedKey, alice: User
) -> None:
    Wallet.objects.filter(pk=issued.key.wallet_id).update(suspended_at=timezone.now())
    assert gateway.authorize(issued.text).json()["error"]["code"] == "account_suspended"
    Wallet.objects.filter(pk=issued.key.wallet_id).update(suspended_at=None)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    response = gateway.authorize(issued.text)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "account_suspended")


def test_an_empty_wallet_is_refused(gateway: Gateway, alice: User) -> None:
    sell()
    issued = keys.issue(wallet_of(alice), "empty")
    response = gateway.authorize(issued.text)
    assert (response.status_code, response.json()["error"]["code"]) == (402, "insufficient_balance")


@pytest.mark.parametrize("name", ["gpt-5000", "GPT-4o", "gpt-4o ", "'; DROP TABLE x; --"])
def test_a_model_that_is_not_sold_is_404(gateway: Gateway, issued: IssuedKey, name: str) -> None:
    response = gateway.authorize(issued.text, name)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"key": 5},
        {"key": None},
        {"model": ["gpt-4o"]},
        {"model": "x" * 201},
        {"model": "a\x00"},
        {"input_tokens": -1},
        {"input_tokens": 1.5},
        {"input_tokens": True},
        {"max_output_tokens": 10**30},
        {"client_ip": "::::"},
    ],
)
def test_a_bad_field_is_400_and_named(gateway: Gateway, issued: IssuedKey, change: dict[str, object]) -> None:
    response = gateway.post("authorize", {"key": issued.text, "model": "gpt-4o", **change})
    assert response.status_code == 400
    assert next(iter(change)) in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic abc", "Bearer " + "g" * 60, "Bearer é" * 20]
)
def test_only_a_gateway_may_ask(gateway: Gateway, issued: IssuedKey, header: str) -> None:
    for name in ("authorize", "calls", "release"):
        response = gateway.post(name, {}, Authorization=header)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_gateway_key")
    with_user_key = gateway.post("authorize", {}, Authorization=f"Bearer {issued.text}")
    assert with_user_key.status_code == 401


def test_get_is_not_allowed(gateway: Gateway) -> None:
    response = gateway.client.get("/metering/v1/authorize")
    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_the_statement_is_planned_once(gateway: Gateway, issued: IssuedKey) -> None:
    """Planning it takes longer than running it."""
    for _ in range(3):
        gateway.authorize(issued.text)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(custom_plans), sum(generic_plans) FROM pg_prepared_statements"
            " WHERE statement LIKE '%%INTO wallet_hold%%' AND statement NOT LIKE '%%pg_prepared%%'"
        )
        custom, generic = cursor.fetchone()
    assert custom == 0
    assert generic >= 3
