"""What everybody did, for staff alone."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from logs import call_ids
from pricing import catalogue
from tests.account_api.conftest import USD, Asker, Sold, access_token
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from wallet.models import TopUp, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def both(sold: Sold, charlie: User) -> list[dict[str, Any]]:
    """What charlie called, after alice's three calls."""
    sell("o-other")
    catalogue.forget()
    issued = keys.issue(give(charlie, USD), "phone")
    sent = [call(issued.key), call(issued.key, model="o-other", upstream_id="up-1")]
    now_ms = int(time.time() * 1000)
    for age, each in enumerate(reversed(sent)):
        each["call_id"] = str(call_ids.new(now_ms - age))
    Gateway().record(*sent)
    return sent


def test_the_log_of_everybody(
    operator: Asker, both: list[dict[str, Any]], alice: User, charlie: User
) -> None:
    found = operator.data("/api/log/")
    assert found["total"] == len(found["items"]) == 7
    assert {row["user_id"] for row in found["items"]} == {alice.pk, charlie.pk}
    newest = found["items"][0]
    assert (newest["username"], newest["request_id"], newest["response_id"]) == (
        f"user-{charlie.pk}",
        both[1]["call_id"],
        "up-1",
    )
    assert operator.data("/api/log/self")["total"] == 0
    assert not AuditEntry.objects.exists()


def test_filters(operator: Asker, both: list[dict[str, Any]], alice: User, charlie: User) -> None:
    for parameters, count in (
        ({"user_id": charlie.pk}, 3),
        ({"username": f"user-{alice.pk}"}, 4),
        ({"username": "Charlie@example.com"}, 3),
        ({"username": "%"}, 0),
        ({"username": f"user-{alice.pk}", "user_id": charlie.pk}, 0),
        ({"user_id": 10**18}, 0),
        ({"token_name": "phone"}, 2),
        ({"token_name": "phone", "user_id": alice.pk}, 0),
        ({"model_name": "o-other"}, 1),
        ({"request_id": both[0]["call_id"]}, 1),
        ({"response_id": "up-1"}, 1),
        ({"response_id": "up"}, 0),
        ({"type": 3}, 2),
        ({"type": 5}, 1),
        ({"type": 2, "p": 2, "page_size": 3}, 4),
    ):
        found = operator.data("/api/log/", **parameters)
        assert found["total"] == count, parameters
        assert len(found["items"]) == (1 if "p" in parameters else count)
    assert operator.data("/api/log/stat", user_id=charlie.pk) == {"quota": 6_000, "rpm": 2, "tpm": 3_000}
    assert operator.data("/api/log/stat")["quota"] == 12_000


@pytest.mark.parametrize("name", ["user_id", "type", "p"])
def test_what_makes_no_sense_is_refused_by_name(operator: Asker, name: str) -> None:
    assert operator.refused("/api/log/", **{name: "me"}).startswith(name)


def test_anybody_finds_their_own_call_by_its_id_and_nothing_else(
    asker: Asker, sold: Sold, both: list[dict[str, Any]]
) -> None:
    """Clients ask the staff's address first, and only then among the newest hundred of one's own."""
    own = sold.sent[0]["call_id"]
    assert [row["request_id"] for row in asker.data("/api/log/", request_id=own)["items"]] == [own]
    assert asker.data("/api/log/", request_id=own, type=5)["items"] == []
    assert asker.data("/api/log/", request_id=both[0]["call_id"])["items"] == []
    assert (
        asker.data("/api/log/", request_id=both[0]["call_id"], username="charlie@example.com")["total"] == 0
    )
    for parameters in ({}, {"request_id": ""}, {"response_id": "up-1"}, {"user_id": 1}):
        assert asker.get("/api/log/", **parameters).status_code == 403


def test_staff_who_are_staff_no_more(operator: Asker, staff: User) -> None:
    assert operator.get("/api/log/").status_code == 200
    User.objects.filter(pk=staff.pk).update(is_staff=False)
    assert operator.get("/api/log/").status_code == 403


def test_usage_by_day_and_model(
    operator: Asker, both: list[dict[str, Any]], alice: User, charlie: User, sold: Sold
) -> None:
    day = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = day - timedelta(hours=5)
    sent = call(
        sold.issued.key,
        call_id=str(call_ids.new(int(yesterday.timestamp() * 1000))),
        started_at=yesterday.isoformat(),
    )
    Gateway().record(sent)
    rows = operator.data("/api/data/", default_time="day")
    assert [(row["model_name"], row["count"], row["quota"], row["token_used"]) for row in rows] == [
        ("gpt-4o", 1, 3_000, 1_500),
        ("gpt-4o", 4, 9_000, 4_500),
        ("o-other", 1, 3_000, 1_500),
    ]
    assert [row["created_at"] for row in rows] == [int(day.timestamp()) - 86_400, *[int(day.timestamp())] * 2]
    (mine, *_) = operator.data("/api/data/", user_id=charlie.pk)
    assert (mine["user_id"], mine["username"], mine["count"]) == (charlie.pk, f"user-{charlie.pk}", 1)
    # A day that is cut by the time asked for counts for what of it lies within.
    moment = int(yesterday.timestamp())
    for start, count in ((moment, 1), (moment + 1, 0)):
        end = int(day.timestamp()) - 60
        rows = operator.data("/api/data/", user_id=alice.pk, start_timestamp=start, end_timestamp=end)
        assert sum(row["count"] for row in rows) == count


def test_usage_of_too_long_a_time(operator: Asker) -> None:
    assert operator.refused("/api/data/", start_timestamp=0).startswith("start_timestamp")
    assert operator.refused("/api/data/", default_time="hour").startswith("default_time")
    assert operator.data("/api/data/", start_timestamp=0, end_timestamp=86_400 * 300) == []


@pytest.fixture
def paid(alice: User, charlie: User) -> list[TopUp]:
    now = timezone.now()
    states: list[tuple[User, dict[str, Any]]] = [
        (alice, {"state": "paid", "received_cents": 500, "tax_cents": 95, "payment_intent_id": "pi_1"}),
        (alice, {"state": "open", "session_id": "cs_1"}),
        (charlie, {"state": "failed", "is_automatic": True}),
    ]
    made = []
    for age, (user, fields) in enumerate(reversed(states)):
        top_up = TopUp.objects.create(wallet=wallet_of(user), amount_cents=500, **fields)
        TopUp.objects.filter(pk=top_up.pk).update(created_at=now - timedelta(hours=age), paid_at=now)
        made.append(top_up)
    return made[::-1]


def test_top_ups(operator: Asker, paid: list[TopUp], alice: User) -> None:
    found = operator.data("/api/user/topup")
    assert found["total"] == 3
    assert [row["status"] for row in found["items"]] == ["failed", "pending", "success"]
    row = found["items"][2]
    assert row.pop("create_time") <= row.pop("complete_time")
    assert row == {
        "id": str(paid[0].pk),
        "trade_no": str(paid[0].pk),
        "user_id": alice.pk,
        "email": "alice@example.com",
        "amount": 5.0,
        "money": 5.95,
        "payment_intent_id": "pi_1",
        "payment_channel": "stripe",
        "status": "success",
        "is_auto_top_up": False,
    }
    assert found["items"][0]["is_auto_top_up"] is True


def test_top_ups_are_found(operator: Asker, paid: list[TopUp], alice: User) -> None:
    now = int(timezone.now().timestamp())
    for parameters, count in (
        ({"user_id": alice.pk}, 2),
        ({"email": "ALICE@example.com"}, 2),
        ({"trade_no": str(paid[1].pk)}, 1),
        ({"trade_no": "USR1"}, 0),
        ({"payment_intent_id": "pi_1"}, 1),
        ({"payment_channel": "stripe"}, 3),
        ({"payment_channel": "cash"}, 0),
        ({"keyword": "pi_1"}, 1),
        ({"keyword": "cs_1"}, 1),
        ({"keyword": str(paid[2].pk)}, 1),
        ({"keyword": "alice@example.com"}, 2),
        ({"keyword": "%_%_%"}, 0),
        ({"start_time": now - 5_400}, 2),
        ({"end_time": now - 5_400}, 1),
        ({"start_time": now - 5_400, "end_time": now - 1_800}, 1),
    ):
        found = operator.data("/api/user/topup", **parameters)
        assert (found["total"], len(found["items"])) == (count, count), parameters
    assert len(operator.data("/api/user/topup", p=2, page_size=2)["items"]) == 1
    assert operator.refused("/api/user/topup", start_time="x").startswith("start_time")


def test_a_wallet_is_never_opened_by_looking(operator: Asker, alice: User) -> None:
    assert operator.data("/api/log/", user_id=alice.pk)["total"] == 0
    assert not Wallet.objects.filter(owner=alice).exists()


def test_a_person_as_they_are_told_themselves(
    operator: Asker, both: list[dict[str, Any]], alice: User, charlie: User
) -> None:
    asker = Asker(access_token(charlie))
    assert operator.data(f"/api/user/{charlie.pk}") == asker.data("/api/user/self")
    for stranger in (alice.pk, charlie.pk):
        assert asker.get(f"/api/user/{stranger}").status_code == 403
    for number in (10**9, 10**30):
        missing = operator.get(f"/api/user/{number}")
        assert (missing.status_code, missing.json()["success"]) == (404, False)
    assert Client(enforce_csrf_checks=True).post(f"/api/user/{alice.pk}").status_code == 405
