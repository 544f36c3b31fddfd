"""Numbers, ids and times at and beyond every bound: exact, or refused by name; never wrapped, never a 500."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.utils import timezone

from accounts.models import User
from logs import call_ids
from logs.models import Call, RejectedCall
from pricing.units import UNITS
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, sell
from tokens.keys import IssuedKey
from tokens.models import DailyUsage
from wallet import invariants, ledger
from wallet.models import Code, Hold, HouseBalance, Transfer
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)  # The day on which clocks in Europe skip an hour.
MILLION_DOLLARS = 10**15
BIG = 10**18


def code_of(result: dict[str, Any]) -> str:
    return str(result.get("error", {}).get("code", result["result"]))


def raw(gateway: Gateway, report: dict[str, Any], field: str, text: str) -> dict[str, Any]:
    """The report with `field` written as this very text of JSON."""
    body = json.dumps({"calls": [report | {field: "HERE"}]}).replace('"HERE"', text)
    response = gateway.post("calls", body.encode())
    assert response.status_code == 200, response.content
    result: dict[str, Any] = response.json()["results"][0]
    return result


# Quantities


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_is_exact_up_to_its_bound_and_refused_beyond(
    gateway: Gateway, issued: IssuedKey, unit: str
) -> None:
    bound = UNITS[unit].bound
    sell("everything", dict.fromkeys(UNITS, 1_000))  # A nano-dollar each.
    exact, beyond, below = gateway.record(
        *[call(issued.key, model="everything", usage={unit: n}) for n in (bound, bound + 1, -1)]
    )
    assert (exact["result"], exact["charged_nanousd"]) == ("accepted", bound)
    for refused in (beyond, below):
        assert code_of(refused) == "quantity_out_of_bounds"
        assert unit in refused["error"]["message"]
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9 - bound
    assert_books()


def test_all_units_at_their_bounds_in_one_call(gateway: Gateway, issued: IssuedKey) -> None:
    sell("everything", dict.fromkeys(UNITS, 1_000))
    usage = {unit.code: unit.bound for unit in UNITS.values()}
    (result,) = gateway.record(call(issued.key, model="everything", usage=usage))
    assert result["charged_nanousd"] == sum(usage.values())
    assert DailyUsage.objects.get().input_tokens == 8 * 100_000_000
    assert_books()


@pytest.mark.parametrize(
    "text",
    [
        "-0.0",
        "1.0",
        "1e2",
        "1E400",
        "-1e-400",
        "9" * 400,
        "-" + "9" * 400,
        "true",
        "null",
        '"5"',
        "[]",
        "{}",
        '"٥"',
    ],
)
def test_a_quantity_of_another_form_is_refused_by_name(
    gateway: Gateway, issued: IssuedKey, text: str
) -> None:
    result = raw(gateway, call(issued.key), "usage", f'{{"input_tokens": {text}}}')
    assert code_of(result) == "quantity_out_of_bounds"
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9


def test_minus_nothing_is_nothing(gateway: Gateway, issued: IssuedKey) -> None:
    result = raw(gateway, call(issued.key), "usage", '{"input_tokens": -0}')
    assert (result["result"], result["charged_nanousd"]) == ("accepted", 0)


@pytest.mark.parametrize("field", ["latency_ms", "first_token_ms", "upstream_cost_nanousd", "token_id"])
@pytest.mark.parametrize("text", ["-1", "1.0", "1e400", str(2**63), "9" * 4000, "true"])
def test_other_numbers_are_refused_by_name(
    gateway: Gateway, issued: IssuedKey, field: str, text: str
) -> None:
    result = raw(gateway, call(issued.key), field, text)
    assert code_of(result) == "invalid_field"
    assert field in result["error"]["message"]
    assert not Call.objects.exists()


def test_other_numbers_are_kept_up_to_their_bounds(gateway: Gateway, issued: IssuedKey) -> None:
    most = {"latency_ms": 2**31 - 1, "first_token_ms": 2**31 - 1, "upstream_cost_nanousd": 2**63 - 1}
    gateway.record(*[call(issued.key, **most) for _ in range(3)])
    assert Call.objects.filter(**most).count() == 3
    assert code_of(gateway.record(call(issued.key, latency_ms=2**31))[0]) == "invalid_field"


# Amounts


def test_a_call_of_a_million_dollars_is_the_dearest(gateway: Gateway, issued: IssuedKey) -> None:
    sell("dear", {"calls": 10**14, "images": 1_000})
    most, beyond = gateway.record(
        call(issued.key, model="dear", usage={"calls": 10_000}),
        call(issued.key, model="dear", usage={"calls": 10_000, "images": 1}),
    )
    assert (most["result"], most["charged_nanousd"]) == ("accepted", MILLION_DOLLARS)
    assert (code_of(beyond), beyond["charged_nanousd"]) == ("charge_out_of_bounds", 0)
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9 - MILLION_DOLLARS
    assert_books()


def test_balances_beyond_64_bits_are_refused_by_the_database(alice: User) -> None:
    """Nine transfers of 10**18 fit, the tenth doesn't, in the wallet's balance as in the house's."""
    wallet = wallet_of(alice)

    def post(number: int) -> None:
        with transaction.atomic():
            ledger.post(
                code=Code.GRANT,
                reference=f"large:{number}",
                debit=ledger.house("promotions"),
                credit=ledger.paid(wallet),
                amount_nanousd=BIG,
            )

    for number in range(9):
        post(number)
    with pytest.raises(DataError):
        post(9)
    assert ledger.balances(wallet).paid_nanousd == 9 * BIG
    assert Transfer.objects.count() == 9
    assert min(HouseBalance.objects.values_list("balance_nanousd", flat=True)) == -9 * BIG
    assert_books()


def test_a_hold_is_never_dearer_than_a_call_can_be(gateway: Gateway, issued: IssuedKey) -> None:
    sell("dear", {"input_tokens": 10**14, "output_tokens": 10**14})
    told = gateway.authorize(issued.text, "dear", input_tokens=10**8, max_output_tokens=10**8).json()
    assert told["held_nanousd"] == MILLION_DOLLARS
    assert told["available_nanousd"] == 10**9 - MILLION_DOLLARS
    gateway.record(call(issued.key, call_id=told["call_id"], model="dear", usage={"input_tokens": 1}))
    assert ledger.balances(issued.key.wallet).held_nanousd == 0
    assert_books()


def test_no_column_is_inexact(db: None) -> None:
    """No float and no decimal with a scale, in any table of ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type IN ('real', 'double precision', 'numeric', 'money')"
            " AND table_name !~ '^(django|celery)_'"
        )
        assert cursor.fetchall() == []


def test_many_tiny_charges_sum_exactly(gateway: Gateway, issued: IssuedKey) -> None:
    """10,000 × $0.0000003 is $0.003, and the calls' charges are the transfers'."""
    sell("tiny", {"calls": 300_000})
    for _ in range(10):
        gateway.record(*[call(issued.key, model="tiny", usage={"calls": 1}) for _ in range(1000)])
    taken = 10**9 - ledger.balances(issued.key.wallet).balance_nanousd
    assert Decimal(taken).scaleb(-9) == Decimal("0.003")
    assert sum(Transfer.objects.filter(code=Code.USAGE).values_list("amount_nanousd", flat=True)) == taken
    assert invariants.check() == []
    assert_books()


# Ids


def test_an_id_is_the_same_in_capitals(gateway: Gateway, issued: IssuedKey) -> None:
    told = gateway.authorize(issued.text).json()
    report = call(issued.key, call_id=told["call_id"].upper())
    mixed = report | {"call_id": told["call_id"][:20].upper() + told["call_id"][20:]}
    results = gateway.record(report, mixed, report | {"call_id": told["call_id"]})
    assert [result["result"] for result in results] == ["accepted", "duplicate", "duplicate"]
    assert not Hold.objects.exists()
    assert Call.objects.count() == 1
    other = gateway.authorize(issued.text).json()["call_id"]
    assert gateway.post("release", {"call_id": other.upper()}).status_code == 204
    assert not Hold.objects.exists()
    assert_books()


@pytest.mark.parametrize(
    "form",
    ["{{{}}}", "urn:uuid:{}", " {}", "{}\n", "{}0", "\u200b{}"],
)
def test_an_id_of_another_form_is_refused(gateway: Gateway, issued: IssuedKey, form: str) -> None:
    text = form.format(call_ids.new())
    assert code_of(gateway.record(call(issued.key, call_id=text))[0]) == "invalid_field"
    assert gateway.post("release", {"call_id": text}).status_code == 400


def test_an_id_without_hyphens_or_in_other_digits_is_refused(gateway: Gateway, issued: IssuedKey) -> None:
    wide = str(call_ids.new()).translate({ord("0") + n: 0xFF10 + n for n in range(10)})
    for text in (call_ids.new().hex, wide):
        assert code_of(gateway.record(call(issued.key, call_id=text))[0]) == "invalid_field"


def test_the_age_of_an_id_is_exact_to_the_millisecond(
    gateway: Gateway, issued: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now().replace(microsecond=0)
    monkeypatch.setattr(timezone, "now", lambda: now)

    def told(at: datetime, shift_ms: int) -> str:
        call_id = call_ids.new(int(at.timestamp() * 1000) + shift_ms)
        started_at = min(call_ids.moment(call_id), now).isoformat()
        return code_of(gateway.record(call(issued.key, call_id=str(call_id), started_at=started_at))[0])

    oldest, newest = now - timedelta(days=35), now + timedelta(minutes=10)
    assert [told(oldest, 0), told(oldest, -1)] == ["accepted", "call_id_too_old"]
    assert [told(newest, 0), told(newest, 1)] == ["accepted", "call_id_in_future"]


@pytest.mark.parametrize(("days", "outcome"), [(33, "duplicate"), (400, "call_id_too_old")])
def test_a_replay_after_long_is_never_charged_again(
    gateway: Gateway, issued: IssuedKey, monkeypatch: pytest.MonkeyPatch, days: int, outcome: str
) -> None:
    report = call(issued.key)
    gateway.record(report)
    later = timezone.now() + timedelta(days=days)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert code_of(gateway.record(report)[0]) == outcome
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9 - 6_000_000


def test_a_hundred_reports_on_one_admission_are_one_call(gateway: Gateway, issued: IssuedKey) -> None:
    call_id = gateway.authorize(issued.text).json()["call_id"]
    reports = [call(issued.key, call_id=call_id, usage={"input_tokens": n + 1}) for n in range(100)]
    outcomes = [code_of(result) for result in gateway.record(*reports)]
    assert outcomes == ["accepted"] + ["conflict"] * 99
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9 - 2_500
    assert_books()


# Times


@pytest.mark.parametrize(
    "started_at",
    [
        "2026-03-29T12:00:00",
        "2026-03-29T12:00:00 Z",
        "2026-03-29 12:00:00Z",
        "2026-03-29T12:00Z",
        "2026-03-29T12:00:00+0200",
        "2026-03-29T12:00:00+24:00",
        "2026-03-29T12:00:00,5Z",
        "2026-03-29T24:00:00Z",
        "2026-03-29T12:00:60Z",
        "2026-03-29T12:00:00+02:60",
        "2026-02-29T12:00:00Z",
        "2026-03-28T11:59:59Z",
        "2026-03-29T12:10:01Z",
        "2026-03-30T12:00:00Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0000-00-00T00:00:00Z",
        "-2026-03-29T12:00:00Z",
        "２０２６-03-29T12:00:00Z",
        "1774785600",
        "",
        "Sun, 29 Mar 2026 12:00:00 GMT",
        1774785600,
        None,
        ["2026-03-29T12:00:00Z"],
    ],
)
def test_a_time_that_is_none_is_refused_by_name(
    gateway: Gateway, issued: IssuedKey, monkeypatch: pytest.MonkeyPatch, started_at: object
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    call_id = str(call_ids.new(int(NOW.timestamp() * 1000)))
    (result,) = gateway.record(call(issued.key, call_id=call_id, started_at=started_at))
    assert code_of(result) == "invalid_field"
    assert "started_at" in result["error"]["message"]
    assert RejectedCall.objects.get().call_id == call_id


@pytest.mark.parametrize("offset", ["Z", "z", "+00:00", "-00:00", "+14:00", "-11:30", "+05:45"])
@pytest.mark.parametrize("fraction", ["", ".5", ".123456789"])
def test_a_time_with_an_offset_is_one_moment(
    gateway: Gateway, issued: IssuedKey, offset: str, fraction: str
) -> None:
    """Wherever the clocks of the place stand; what is finer than a microsecond is cut."""
    moment = timezone.now().replace(microsecond=0) - timedelta(hours=1)
    zone = datetime.fromisoformat(f"2026-01-01T00:00:00{offset.upper()}").tzinfo
    text = f"{moment.astimezone(zone):%Y-%m-%dT%H:%M:%S}{fraction}{offset}"
    gateway.record(call(issued.key, started_at=text))
    kept = Call.objects.get().started_at
    assert kept == moment + timedelta(microseconds=int(f"{fraction[1:]:0<6}"[:6]))


# Prices, people and gateways that changed meanwhile


def test_a_model_without_a_complete_price_is_never_free(gateway: Gateway, issued: IssuedKey) -> None:
    sell("half", {"input_tokens": 1_000})
    assert gateway.authorize(issued.text, "half").status_code == 404
    results = gateway.record(
        call(issued.key, model="half"), call(issued.key, model="half", usage={"input_tokens": 5})
    )
    assert {code_of(result) for result in results} == {"unpriced_model"}
    assert RejectedCall.objects.filter(wallet=issued.key.wallet).count() == 2


def test_a_person_who_left_is_still_charged(gateway: Gateway, issued: IssuedKey, alice: User) -> None:
    call_id = gateway.authorize(issued.text).json()["call_id"]
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert gateway.authorize(issued.text).status_code == 403
    (result,) = gateway.record(call(issued.key, call_id=call_id))
    assert result["result"] == "accepted"
    assert ledger.balances(issued.key.wallet).held_nanousd == 0
    assert_books()


def test_a_batch_with_bad_ones_sent_twice_counts_the_good_ones_once(
    gateway: Gateway, issued: IssuedKey
) -> None:
    batch = [call(issued.key) for _ in range(500)]
    batch[7] |= {"usage": {"input_tokens": -1}}
    batch[250] |= {"model": "nothing"}
    batch[499] |= {"token_id": 2**60}
    bad = {7: "quantity_out_of_bounds", 250: "model_not_found", 499: "token_not_found"}
    for outcome in ("accepted", "duplicate"):
        told = [code_of(result) for result in gateway.record(*batch)]
        assert told == [bad.get(place, outcome) for place in range(500)]
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9 - 497 * 6_000_000
    assert RejectedCall.objects.count() == 3
    assert_books()


def test_a_signed_in_browser_is_no_gateway(gateway: Gateway, staff: User) -> None:
    gateway.client.force_login(staff)
    for name in ("authorize", "calls", "release"):
        answer = gateway.post(name, {}, Authorization="")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_gateway_key")


def test_a_number_of_thousands_of_digits_refuses_its_own_call_only(
    gateway: Gateway, issued: IssuedKey
) -> None:
    endless = call(issued.key, usage={"input_tokens": 0})
    body = json.dumps({"calls": [call(issued.key), endless]}).replace(
        '"input_tokens": 0', '"input_tokens": ' + "9" * 5001
    )
    good, bad = gateway.post("calls", body.encode()).json()["results"]
    assert good["result"] == "accepted"
    assert bad["error"]["code"] == "quantity_out_of_bounds"


def test_an_id_comes_back_as_it_was_sent(gateway: Gateway, issued: IssuedKey) -> None:
    report = call(issued.key)
    report["call_id"] = report["call_id"].upper()
    assert [result["call_id"] for result in gateway.record(report, report)] == [report["call_id"]] * 2
