"""A person's account and keys, and who may ask at all."""

import io
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from logs import call_ids
from pricing import groups
from tests.account_api.conftest import USD, Asker, Sold, access_token
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import Rules
from tokens.models import ApiKey, DailyUsage
from wallet import ledger
from wallet.models import Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db

OWN = [
    "/api/user/self",
    "/api/user/self/stats",
    "/api/token/",
    "/api/token/search",
    "/api/log/self",
    "/api/log/self/search?keyword=x",
    "/api/log/self/stat",
    "/api/log/self/export",
    "/api/task/self",
]
STAFF = ["/api/log/", "/api/log/stat", "/api/user/topup", "/api/data/"]


def test_the_account(asker: Asker, sold: Sold, alice: User) -> None:
    alice.name = "Alice"
    alice.save()
    assert asker.data("/api/user/self") == {
        "id": alice.pk,
        "username": f"user-{alice.pk}",
        "display_name": "Alice",
        "email": "alice@example.com",
        "role": 1,
        "status": 1,
        "quota": 2_494_000,
        "used_quota": 6_000,
        "request_count": 3,
        "group": "default",
    }
    Wallet.objects.update(suspended_at=timezone.now(), customer_group=groups.create("Partners", 9_000))
    told = asker.data("/api/user/self")
    assert (told["status"], told["group"]) == (2, "Partners")


def test_staff_have_a_role_of_their_own(operator: Asker, staff: User) -> None:
    assert operator.data("/api/user/self")["role"] == 3
    User.objects.filter(pk=staff.pk).update(is_superuser=False)
    assert operator.data("/api/user/self")["role"] == 2


def test_what_is_left_and_used_is_what_was_granted(asker: Asker, sold: Sold) -> None:
    odd = call(sold.issued.key, usage={"cached_input_tokens": 1})
    assert Gateway().record(odd)[0]["charged_nanousd"] == 1_250
    told = asker.data("/api/user/self")
    assert told["quota"] + told["used_quota"] == 2_500_000
    assert told["quota"] == ledger.balances(sold.wallet).balance_nanousd // 2_000


def test_a_debt_is_never_told_as_unlimited(asker: Asker, alice: User) -> None:
    """Clients take a balance below zero for one without end."""
    sell()
    issued = keys.issue(give(alice, 5_000_000), "small")
    Gateway().record(call(issued.key))
    told = asker.data("/api/user/self")
    assert (told["quota"], told["used_quota"]) == (0, 3_000)


def test_this_month_beside_the_same_days_of_the_last_one(asker: Asker, alice: User) -> None:
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    model = sell()
    key = keys.issue(give(alice, 5 * USD), "laptop").key
    place = {"wallet": key.wallet, "key": key, "model": model}
    before = (month - timedelta(days=1)).replace(day=1)
    # Two months ago is not compared, and neither are calls of a month ago reported today: so they are counted by hand.
    for at, charged in ((before, 6_000_000), (before - timedelta(days=1), 10**12)):
        DailyUsage.objects.create(**place, day=at.date(), last_used_at=at, calls=1, charged_nanousd=charged)
    first = [
        call(key, call_id=str(call_ids.new(int(month.timestamp() * 1000))), started_at=month.isoformat())
        for _ in range(3)
    ]
    Gateway().record(*first, call(key, status="failed", usage={}))
    told = asker.data("/api/user/self/stats")
    assert told["month_req_count"] == 4
    assert told["month_usage"] == 0.018
    assert told["month_success_rate"] == 75.0
    assert (told["req_rate"], told["usage_rate"]) == (300.0, 200.0)


def test_nothing_used_lasts_for_ever(asker: Asker, alice: User) -> None:
    give(alice, USD)
    assert asker.data("/api/user/self/stats") == {
        "month_req_count": 0,
        "req_rate": 0.0,
        "month_usage": 0.0,
        "usage_rate": 0.0,
        "month_success_rate": 0.0,
        "predicted_days": -1,
    }


def test_days_left_at_the_pace_of_the_last_days(asker: Asker, sold: Sold) -> None:
    # $0.012 on the first day of all, of $5: 4.988 / 0.012 days.
    assert asker.data("/api/user/self/stats")["predicted_days"] == 415


def test_keys(asker: Asker, sold: Sold) -> None:
    wallet, now = sold.wallet, timezone.now()
    for name, rules in (
        ("spent", Rules(limit_nanousd=1)),
        ("of a day", Rules(limit_nanousd=USD, period="day", period_limit_nanousd=USD // 2)),
        ("late", Rules(expires_at=now - timedelta(seconds=5))),
    ):
        made = keys.issue(wallet, name, rules=rules)
        if name != "late":
            Gateway().record(call(made.key))
    off = keys.issue(wallet, "off", ApiKey.Kind.QUERY)
    keys.disable(off.key)
    keys.revoke(keys.issue(wallet, "gone").key)
    found = asker.data("/api/token/")
    rows = {row["name"]: row for row in found["items"]}
    assert found["total"] == len(rows) == 5
    assert [row["id"] for row in found["items"]] == sorted((row["id"] for row in rows.values()), reverse=True)
    laptop = rows["laptop"]
    assert laptop == {
        "id": sold.issued.key.pk,
        "name": "laptop",
        "key": f"{sold.issued.text[:11]}…{sold.issued.text[-4:]}",
        "status": 1,
        "unlimited_quota": True,
        "remain_quota": -1,
        "used_quota": 6_000,
        "created_time": int(sold.issued.key.created_at.timestamp()),
        "accessed_time": laptop["accessed_time"],
        "expired_time": -1,
        "group": "default",
    }
    assert abs(laptop["accessed_time"] - now.timestamp()) < 60
    told = {
        name: (row["status"], row["unlimited_quota"], row["remain_quota"], row["used_quota"])
        for name, row in rows.items()
    }
    assert told["spent"] == (4, False, 0, 3_000)
    assert told["of a day"] == (1, False, 247_000, 3_000)
    assert told["late"] == (3, True, -1, 0)
    assert told["off"] == (2, True, -1, 0)
    assert rows["late"]["expired_time"] == int(now.timestamp()) - 5
    assert [row["id"] for row in asker.data("/api/token/", p=2, page_size=2)["items"]] == [
        row["id"] for row in found["items"][2:4]
    ]


@pytest.mark.parametrize(
    ("keyword", "count"), [("LAP", 1), ("%_%_%", 0), ("_", 0), ("\\", 0), ("", 2), ("sk-", 2), ("top", 2)]
)
def test_keys_are_searched_by_name_as_it_is_written(
    asker: Asker, sold: Sold, keyword: str, count: int
) -> None:
    keys.issue(sold.wallet, "desktop")
    assert len(asker.data("/api/token/search", keyword=keyword)) == count


@pytest.mark.parametrize("parameter", ["keyword", "token"])
def test_a_key_is_found_by_its_text_which_goes_nowhere(
    asker: Asker, stranger: Asker, sold: Sold, parameter: str, caplog: pytest.LogCaptureFixture
) -> None:
    other, text = keys.issue(sold.wallet, "other"), sold.issued.text
    with CaptureQueriesContext(connection) as asked, caplog.at_level(logging.DEBUG):
        found = asker.data("/api/token/search", **{parameter: text})
    assert [row["id"] for row in found] == [sold.issued.key.pk]
    assert text not in str(found) + caplog.text + "".join(query["sql"] for query in asked)
    (other_row,) = asker.data("/api/token/search", **{parameter: other.key.prefix})
    assert other_row["id"] == other.key.pk
    assert asker.data("/api/token/search", **{parameter: text[:-1]}) == []
    assert asker.data("/api/token/search", **{parameter: text + "x" * 500}) == []
    assert stranger.data("/api/token/search", **{parameter: text}) == []


@pytest.mark.parametrize("address", [*OWN, *STAFF])
def test_only_access_tokens_may_ask(address: str, sold: Sold, asker: Asker) -> None:
    def status(text: str) -> int:
        headers = {"Authorization": f"Bearer {text}"} if text else {}
        response = Client().get(address, headers=headers)
        if response.status_code != 200:
            assert response.json()["success"] is False
            assert response.json()["message"]
            assert set(response.json()) == {"success", "message"}
        return response.status_code

    assert status("") == status("at-nobody") == status(asker.token[:-1]) == 401
    assert status(sold.issued.text) == 403
    assert status(keys.issue(sold.wallet, "asks", ApiKey.Kind.QUERY).text) == 403
    assert status(asker.token) == (403 if address in STAFF else 200)
    token = ApiKey.objects.get(kind=ApiKey.Kind.ACCOUNT)
    keys.disable(token)
    assert status(asker.token) == 403
    keys.enable(token)
    User.objects.update(is_active=False)
    assert status(asker.token) == 403
    User.objects.update(is_active=True)
    keys.revoke(token)
    assert status(asker.token) == 401


@pytest.mark.parametrize("address", [*OWN, *STAFF])
def test_pages_of_other_sites_may_not_ask_and_nothing_is_kept(address: str, operator: Asker) -> None:
    """Its clients run in a terminal."""
    preflight = Client().options(address, headers={"Origin": "https://example.com"})
    assert (preflight.status_code, preflight["Allow"]) == (405, "GET, HEAD")
    for response in (
        preflight,
        operator.get(address),
        Client().get(address),
        Client().get(f"{address}?a=%00"),
    ):
        assert not [name for name in response.headers if name.startswith("Access-Control-")]
        assert response["Cache-Control"] == "private, no-store"
    assert Client().post(address).status_code == 405


def test_who_asks_too_often_is_told_to_wait(asker: Asker, settings: Any) -> None:
    settings.API_QUESTIONS_PER_MINUTE = 2
    statuses = [asker.get(path).status_code for path in OWN[:3]]
    assert statuses == [200, 200, 429]


def test_the_command_prints_a_token_and_nothing_else(alice: User) -> None:
    out = io.StringIO()
    call_command("create_access_token", " Alice@example.com", stdout=out)
    text = out.getvalue()
    found = keys.find(text.strip())
    assert found is not None
    assert text == f"{text.strip()}\n"
    assert (found.kind, found.wallet.owner_id, found.digest) == (
        "account",
        alice.pk,
        keys.digest(text.strip()),
    )
    assert Asker(text.strip()).data("/api/user/self")["id"] == alice.pk


def test_the_command_refuses_who_is_not_there(alice: User, settings: Any) -> None:
    settings.KEYS_PER_WALLET = 1
    access_token(alice)
    User.objects.filter(pk=alice.pk).update(is_active=True)
    for email in ("bob@example.com", "", "alice@example.com"):
        with pytest.raises(CommandError):
            call_command("create_access_token", email, stdout=io.StringIO())
    User.objects.filter(pk=alice.pk).update(is_active=False)
    settings.KEYS_PER_WALLET = 100
    with pytest.raises(CommandError):
        call_command("create_access_token", "alice@example.com", stdout=io.StringIO())
    assert ApiKey.objects.filter(wallet=wallet_of(alice)).count() == 1
