"""What a key may do: every rule on its own, exactly, also under many parallel calls."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from logs import call_ids
from logs.models import CallDetails
from pricing.units import UNITS, Family, Unit
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tests.parallel import at_once
from tokens import keys, limits, spending
from tokens.keys import IssuedKey, Rules
from tokens.models import ApiKey, DailyUsage
from wallet import ledger
from wallet.models import Hold

pytestmark = pytest.mark.django_db

# A call of this size is expected to cost $0.006, and to take 1,500 tokens.
SIZE: dict[str, Any] = {"input_tokens": 1200, "max_output_tokens": 300}
COST = 6_000_000


def rule(issued: IssuedKey, **rules: object) -> None:
    keys.change(issued.key, issued.key.name, replace(keys.FREE, **rules))  # type: ignore[arg-type]


def ask(gateway: Gateway, issued: IssuedKey, **more: object) -> tuple[int, str]:
    response = gateway.authorize(issued.text, **{**SIZE, **more})
    return response.status_code, response.json().get("error", {}).get("code", "")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("inference", (200, "")), ("query", (401, "invalid_key")), ("account", (401, "invalid_key"))],
)
def test_only_a_key_for_inference_may_call(
    gateway: Gateway, issued: IssuedKey, kind: str, answer: tuple[int, str]
) -> None:
    other = keys.issue(issued.key.wallet, "other", ApiKey.Kind(kind))
    assert other.text.startswith({"inference": "sk-", "query": "sk-query-", "account": "at-"}[kind])
    assert ask(gateway, other) == answer


def test_an_expired_and_a_disabled_key_are_refused_by_name(gateway: Gateway, issued: IssuedKey) -> None:
    rule(issued, expires_at=timezone.now() - timedelta(seconds=1))
    expired = gateway.authorize(issued.text)
    assert (expired.status_code, expired.json()["error"]["message"]) == (401, "This API key has expired.")
    rule(issued, expires_at=timezone.now() + timedelta(hours=1))
    assert ask(gateway, issued) == (200, "")
    keys.disable(issued.key)
    disabled = gateway.authorize(issued.text)
    assert (disabled.status_code, disabled.json()["error"]["message"]) == (401, "This API key is disabled.")
    keys.enable(issued.key)
    assert ask(gateway, issued) == (200, "")


def test_models_that_a_key_may_not_call(gateway: Gateway, issued: IssuedKey) -> None:
    other = sell("o-other")
    rule(issued, model_ids=[other.pk])
    assert ask(gateway, issued) == (403, "model_not_allowed")
    assert ask(gateway, issued, model="o-other") == (200, "")
    assert ask(gateway, issued, model="no-such") == (404, "model_not_found")
    assert Hold.objects.count() == 1


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("192.0.2.77", 200), ("::ffff:192.0.2.77", 200), ("192.0.3.1", 403), ("2001:db8:5::1", 200), ("2001:db9::1", 403),
        ("2001:db8:5::1%eth0", 200), (None, 403),
    ],
)  # fmt: skip
def test_addresses_that_a_key_may_be_used_from(
    gateway: Gateway, issued: IssuedKey, address: str | None, status: int
) -> None:
    rule(issued, networks=["192.0.2.0/24", "2001:db8::/32"])
    answer = ask(gateway, issued, client_ip=address)
    assert answer == (status, "" if status == 200 else "ip_not_allowed")


def test_the_interface_in_an_address_is_left_out(gateway: Gateway, issued: IssuedKey) -> None:
    """PostgreSQL has no addresses with one, neither to compare with nor to keep."""
    told = gateway.authorize(issued.text, client_ip="fe80::1%eth0", **SIZE).json()["call_id"]
    (result,) = gateway.record(call(issued.key, call_id=told, client_ip="fe80::1%eth0"))
    assert result["result"] == "accepted"
    assert CallDetails.objects.get(call_id=told).client_ip == "fe80::1"


def test_a_limit_over_the_whole_life_counts_charges_and_holds(gateway: Gateway, issued: IssuedKey) -> None:
    rule(issued, limit_nanousd=2 * COST)
    first = gateway.authorize(issued.text, **SIZE).json()["call_id"]
    assert ask(gateway, issued) == (200, "")
    refused = gateway.authorize(issued.text, **SIZE)
    assert refused.json()["error"] == {
        "code": "key_limit_reached",
        "message": "This key has spent its limit of $0.012. That does not reset: raise the limit, or use another key.",
    }
    assert int(refused["Retry-After"]) == limits.LATER_S
    # Recorded for less than was held: what is left lets another call in.
    gateway.record(call(issued.key, call_id=first, usage={"input_tokens": 1, "output_tokens": 1}))
    assert ask(gateway, issued) == (200, "")
    assert ask(gateway, issued) == (429, "key_limit_reached")
    assert_books()


def test_a_limit_of_a_period_is_lifted_by_the_next_one(gateway: Gateway, issued: IssuedKey) -> None:
    gateway.record(call(issued.key))
    rule(issued, period="day", period_limit_nanousd=COST)
    refused = gateway.authorize(issued.text, **SIZE)
    assert refused.status_code == 429
    reset = limits.resets_at("day", timezone.now())
    assert f"It is reset at {reset:%Y-%m-%d %H:%M} UTC." in refused.json()["error"]["message"]
    assert 0 < int(refused["Retry-After"]) <= 86_401
    DailyUsage.objects.update(day=timezone.now().astimezone(UTC).date() - timedelta(days=1))
    assert ask(gateway, issued) == (200, "")


@pytest.mark.parametrize(
    ("period", "start", "reset"),
    [
        ("day", datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)),
        ("week", datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)),
        ("month", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_periods_are_those_of_the_calendar(period: str, start: datetime, reset: datetime) -> None:
    for now in (start, datetime(2026, 3, 4, 23, 59, 59, 999_999, tzinfo=UTC)):
        assert (limits.period_start(period, now), limits.resets_at(period, now)) == (start, reset)


def test_calls_at_once_are_those_that_are_open(gateway: Gateway, issued: IssuedKey) -> None:
    rule(issued, calls_in_flight=1)
    first = gateway.authorize(issued.text, **SIZE).json()["call_id"]
    assert gateway.authorize(issued.text, **SIZE)["Retry-After"] == "1"
    assert ask(gateway, issued) == (429, "rate_limited")
    gateway.post("release", {"call_id": first})
    assert ask(gateway, issued) == (200, "")
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert ask(gateway, issued) == (200, "")


@pytest.mark.parametrize("is_recorded", [False, True])
def test_requests_and_tokens_of_the_last_minute(
    gateway: Gateway, issued: IssuedKey, is_recorded: bool
) -> None:
    """Whether a call is still open or recorded already, it counts for a minute from when it was let in."""
    told = gateway.authorize(issued.text, **SIZE).json()["call_id"]
    if is_recorded:
        gateway.record(call(issued.key, call_id=told))
    rule(issued, requests_per_minute=1)
    refused = gateway.authorize(issued.text, **SIZE)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 55 <= int(refused["Retry-After"]) <= 60
    rule(issued, tokens_per_minute=1500)
    assert ask(gateway, issued) == (429, "rate_limited")
    rule(issued, tokens_per_minute=1501)
    assert ask(gateway, issued) == (200, "")


@pytest.mark.parametrize(
    ("rules", "wait_s"),
    [
        ({"requests_per_minute": 3}, 10), ({"requests_per_minute": 2}, 30), ({"requests_per_minute": 1}, 50),
        ({"tokens_per_minute": 4500}, 10), ({"tokens_per_minute": 3001}, 10), ({"tokens_per_minute": 3000}, 30),
        ({"tokens_per_minute": 1}, 50),
    ],
)  # fmt: skip
def test_who_is_refused_is_told_when_the_minute_has_room_again(
    gateway: Gateway, issued: IssuedKey, rules: dict[str, int], wait_s: int
) -> None:
    """Three calls of 1,500 tokens, let in 50, 30 and 10 seconds ago; two of them recorded, one still open."""
    now = timezone.now()
    ages = (50, 30)
    for age in ages:
        call_id = str(call_ids.new(int(now.timestamp() - age) * 1000 + 900))
        usage = {"input_tokens": 1000, "cached_input_tokens": 200, "output_tokens": 300}
        gateway.record(call(issued.key, call_id=call_id, usage=usage))
    assert ask(gateway, issued) == (200, "")
    Hold.objects.update(created_at=now - timedelta(seconds=10))
    rule(issued, **rules)
    refused = gateway.authorize(issued.text, **SIZE)
    assert refused.json()["error"]["code"] == "rate_limited"
    assert wait_s - 2 <= int(refused["Retry-After"]) <= wait_s + 2


@pytest.mark.parametrize("unit", [unit for unit in UNITS.values() if unit.family is Family.TOKENS])
def test_tokens_of_every_sort_count(gateway: Gateway, issued: IssuedKey, unit: Unit) -> None:
    sell("every", {each.code: 1 for each in UNITS.values() if each.family is Family.TOKENS})
    gateway.record(call(issued.key, model="every", usage={unit.code: 10}))
    rule(issued, tokens_per_minute=10)
    assert ask(gateway, issued) == (429, "rate_limited")
    rule(issued, tokens_per_minute=11)
    assert ask(gateway, issued) == (200, "")


def test_what_is_older_than_a_minute_does_not_count(gateway: Gateway, issued: IssuedKey) -> None:
    before = int((timezone.now() - timedelta(seconds=61)).timestamp() * 1000)
    gateway.record(call(issued.key, call_id=str(call_ids.new(before))))
    gateway.authorize(issued.text, **SIZE)
    Hold.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    rule(issued, requests_per_minute=1, tokens_per_minute=1)
    assert ask(gateway, issued) == (200, "")


def test_other_keys_of_the_wallet_do_not_count(gateway: Gateway, issued: IssuedKey) -> None:
    other = keys.issue(issued.key.wallet, "other")
    gateway.record(call(other.key))
    gateway.authorize(other.text, **SIZE)
    rule(issued, limit_nanousd=1, requests_per_minute=1, tokens_per_minute=1, calls_in_flight=1)
    assert ask(gateway, issued) == (200, "")


def test_a_key_of_a_program_that_knows_no_rules_has_none(gateway: Gateway, issued: IssuedKey) -> None:
    """While a new version is rolled out, the one before makes keys on."""
    text = issued.text
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (UPDATE tokens_apikey SET digest = '' RETURNING wallet_id)"
            " INSERT INTO tokens_apikey (wallet_id, name, prefix, last_four, digest)"
            " SELECT wallet_id, 'of before', 'sk-', '0000', %s FROM gone",
            [keys.digest(text)],
        )
    assert ask(gateway, issued) == (200, "")
    assert keys.rules_of(ApiKey.objects.get(name="of before")) == keys.FREE


@pytest.mark.django_db(transaction=True)  # What is good until now is asked of the database's clock.
def test_a_rotated_key_lives_through_the_overlap_under_both_texts(
    gateway: Gateway, issued: IssuedKey
) -> None:
    gateway.record(call(issued.key))
    rotated = keys.rotate(issued.key, timedelta(hours=1))
    assert rotated.text != issued.text
    assert {keys.find(each.text) for each in (issued, rotated)} == {issued.key}
    assert ask(gateway, issued) == ask(gateway, rotated) == (200, "")
    rule(rotated, limit_nanousd=COST)
    assert ask(gateway, issued) == ask(gateway, rotated) == (429, "key_limit_reached")
    rule(rotated)
    keys.end_overlap(rotated.key)
    assert (ask(gateway, issued), ask(gateway, rotated)) == ((401, "invalid_key"), (200, ""))
    assert keys.find(issued.text) is None
    keys.revoke(rotated.key)
    assert ask(gateway, rotated) == (401, "invalid_key")
    with pytest.raises(keys.KeyRevoked):
        keys.rotate(rotated.key, timedelta(0))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        (Rules(limit_nanousd=7 * COST), 7),
        (Rules(period="month", period_limit_nanousd=7 * COST), 7),
        (Rules(requests_per_minute=7), 7),
        (Rules(tokens_per_minute=7 * 1500), 7),
        (Rules(calls_in_flight=7), 7),
    ],
)
def test_limits_hold_exactly_under_a_hundred_parallel_calls(
    gateway: Gateway, issued: IssuedKey, rules: Rules, admitted: int
) -> None:
    keys.change(issued.key, "limited", rules)
    answers = at_once(25, lambda _: [ask(gateway, issued)[0] for _ in range(4)])
    told = sorted(status for each in answers for status in each)
    assert told == [200] * admitted + [429] * (100 - admitted)
    assert ledger.balances(issued.key.wallet).held_nanousd == admitted * COST
    assert_books()


@pytest.mark.django_db(transaction=True)
def test_the_race_is_there_without_the_lock(gateway: Gateway, issued: IssuedKey) -> None:
    """What the lock of the funds prevents: one counts while another, which counted before it, places its hold."""
    keys.change(issued.key, "limited", Rules(calls_in_flight=1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('logs_limit_reached'::regproc)")
        (as_it_is,) = cursor.fetchone()
        lock = "PERFORM FROM wallet_funds WHERE wallet_id = k.wallet_id FOR NO KEY UPDATE;"
        assert lock in as_it_is
        # Without it, and long enough for all to have counted before the first is answered.
        without = as_it_is.replace(lock, "").replace("RETURN '';", "PERFORM pg_sleep(0.3); RETURN '';")
        try:
            cursor.execute(without)
            statuses = [status for status, _ in at_once(8, lambda _: ask(gateway, issued))]
        finally:
            cursor.execute(as_it_is)
    assert statuses.count(200) > 1
    assert ask(gateway, issued) == (429, "rate_limited")


@pytest.mark.django_db(transaction=True)
def test_recording_beside_it_never_lets_more_in(gateway: Gateway, alice: User) -> None:
    """A call that is recorded in this moment counts once: as a hold or as a charge, never as neither."""
    sell()
    issued = keys.issue(give(alice, 10**12), "busy")
    keys.change(issued.key, "busy", Rules(limit_nanousd=20 * COST))

    def work(_: int) -> int:
        done = 0
        for _ in range(10):
            response = gateway.authorize(issued.text, **SIZE)
            if response.status_code == 200:
                gateway.record(call(issued.key, call_id=response.json()["call_id"]))
                done += 1
        return done

    assert sum(at_once(8, work)) == 20
    assert spending.of_keys([issued.key])[issued.key.pk].spent_nanousd == 20 * COST
    assert_books()
