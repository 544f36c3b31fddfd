"""Recording: what is charged, what is refused by name, and what happens when it is sent again."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from accounts.models import User
from logs import call_ids, estimating
from logs.models import Call, CallDetails, RejectedCall
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from tokens.models import DailyUsage
from wallet import ledger
from wallet.models import Hold, Transfer

pytestmark = pytest.mark.django_db


def test_a_call_is_charged_to_the_nano_dollar(gateway: Gateway, issued: IssuedKey) -> None:
    (result,) = gateway.record(call(issued.key))
    assert (result["result"], result["charged_nanousd"]) == ("accepted", 6_000_000)
    stored = Call.objects.get(pk=result["call_id"])
    assert (stored.charged_nanousd, stored.balance_after_nanousd) == (6_000_000, 994_000_000)
    assert stored.paid_transfer is not None
    assert stored.paid_transfer.amount_nanousd == 6_000_000
    assert stored.promotional_transfer_id is None
    assert_books()


def test_given_credit_is_used_before_paid(gateway: Gateway, issued: IssuedKey, alice: User) -> None:
    wallet = give(alice, 10_000_000, "promotional")
    first, second, third = gateway.record(call(issued.key), call(issued.key), call(issued.key))
    funds = ledger.balances(wallet)
    assert (funds.promotional_nanousd, funds.paid_nanousd) == (0, 992_000_000)
    parts = [Call.objects.get(pk=r["call_id"]).promotional_nanousd for r in (first, second, third)]
    assert parts == [6_000_000, 4_000_000, 0]
    assert Transfer.objects.filter(code="usage").count() == 2
    assert_books()


def test_the_same_call_again_changes_nothing(gateway: Gateway, issued: IssuedKey) -> None:
    report = call(issued.key)
    gateway.record(report)
    (again,) = gateway.record(report)
    assert (again["result"], again["charged_nanousd"]) == ("duplicate", 6_000_000)
    (shouted,) = gateway.record({**report, "call_id": str(report["call_id"]).upper()})
    assert shouted["result"] == "duplicate"
    assert Call.objects.count() == 1
    assert_books()


def test_a_thousand_copies_in_one_batch_are_one_call(gateway: Gateway, issued: IssuedKey) -> None:
    report = call(issued.key)
    results = gateway.record(*[report] * 1000)
    assert [r["result"] for r in results] == ["accepted"] + ["duplicate"] * 999
    assert {r["charged_nanousd"] for r in results} == {6_000_000}
    assert_books()


@pytest.mark.parametrize(
    "other",
    [{"usage": {"input_tokens": 1}}, {"status": "failed"}, {"model": "gpt-4o-mini"}],
)
def test_the_same_id_with_other_content_conflicts(
    gateway: Gateway, issued: IssuedKey, other: dict[str, object]
) -> None:
    sell("gpt-4o-mini")
    report = call(issued.key)
    gateway.record(report)
    (result,) = gateway.record({**report, **other})
    assert result["result"] == "rejected"
    assert result["error"]["code"] == "conflict"
    assert_books()


def test_the_same_id_for_another_key_conflicts(gateway: Gateway, issued: IssuedKey, charlie: User) -> None:
    other = keys.issue(give(charlie, 1_000_000_000), "elsewhere")
    report = call(issued.key)
    gateway.record(report)
    (result,) = gateway.record({**report, "token_id": other.key.pk})
    assert result["error"]["code"] == "conflict"
    assert ledger.balances(other.key.wallet).balance_nanousd == 1_000_000_000
    assert_books()


def test_an_id_given_to_one_key_is_refused_for_another(
    gateway: Gateway, issued: IssuedKey, charlie: User
) -> None:
    other = keys.issue(give(charlie, 1_000_000_000), "elsewhere")
    admitted = gateway.authorize(issued.text).json()
    (result,) = gateway.record(call(other.key, call_id=admitted["call_id"]))
    assert result["error"]["code"] == "token_mismatch"
    assert Hold.objects.filter(pk=admitted["call_id"], state="open").exists()
    assert_books()


def test_the_balance_may_go_negative(gateway: Gateway, issued: IssuedKey) -> None:
    gateway.record(call(issued.key, usage={"input_tokens": 1_000_000}))
    assert ledger.balances(issued.key.wallet).balance_nanousd == -1_500_000_000
    refused = gateway.authorize(issued.text)
    assert refused.status_code == 402
    assert refused.json()["error"]["code"] == "insufficient_balance"
    assert_books()


def test_a_failed_call_is_logged_and_costs_nothing(gateway: Gateway, issued: IssuedKey) -> None:
    (result,) = gateway.record(call(issued.key, status="failed", error="upstream said 500", client_ip="::1"))
    assert (result["result"], result["charged_nanousd"]) == ("accepted", 0)
    details = CallDetails.objects.get(pk=result["call_id"])
    assert (details.error, details.client_ip) == ("upstream said 500", "::1")
    assert_books()


def test_late_usage_is_charged_after_the_key_was_revoked(gateway: Gateway, issued: IssuedKey) -> None:
    admitted = gateway.authorize(issued.text).json()
    keys.revoke(issued.key)
    assert gateway.authorize(issued.text).status_code == 401
    (result,) = gateway.record(call(issued.key, call_id=admitted["call_id"]))
    assert result["result"] == "accepted"
    assert_books()


def test_a_positive_quantity_without_a_price_is_kept_for_staff(gateway: Gateway, issued: IssuedKey) -> None:
    (result,) = gateway.record(call(issued.key, usage={"input_tokens": 5, "web_searches": 1}))
    assert (result["result"], result["error"]["code"]) == ("rejected", "unpriced_unit")
    kept = RejectedCall.objects.get()
    assert (kept.call_id, kept.reason, kept.wallet) == (
        result["call_id"],
        "unpriced_unit",
        issued.key.wallet,
    )
    (zero,) = gateway.record(call(issued.key, usage={"input_tokens": 5, "web_searches": 0}))
    assert zero["result"] == "accepted"


def test_a_bad_call_does_not_hold_up_the_others(gateway: Gateway, issued: IssuedKey) -> None:
    good, bad, good_too = call(issued.key), call(issued.key, token_id=2**62), call(issued.key)
    results = gateway.record(good, bad, good_too)
    assert [r["result"] for r in results] == ["accepted", "rejected", "accepted"]
    assert results[1]["error"]["code"] == "token_not_found"
    assert DailyUsage.objects.get().calls == 2
    assert_books()


def days_ago(days: float) -> str:
    return str(call_ids.new(int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"call_id": str(uuid.uuid4())}, "invalid_field"),
        ({"call_id": 7}, "invalid_field"),
        ({"call_id": days_ago(36)}, "call_id_too_old"),
        # Far ahead: it was made when the tests were collected.
        ({"call_id": days_ago(-1)}, "call_id_in_future"),
        ({"started_at": "2026-11-22T10:00:00"}, "invalid_field"),
        ({"started_at": "1970-01-01T00:00:00Z"}, "invalid_field"),
        ({"started_at": "9999-12-31T23:59:59+14:00"}, "invalid_field"),
        ({"started_at": "2026-11-22T24:00:00Z"}, "invalid_field"),
        ({"started_at": "2026-02-30T10:00:00Z"}, "invalid_field"),
        ({"usage": {"input_tokens": -1}}, "quantity_out_of_bounds"),
        ({"usage": {"input_tokens": 1.0}}, "quantity_out_of_bounds"),
        ({"usage": {"input_tokens": True}}, "quantity_out_of_bounds"),
        ({"usage": {"input_tokens": "5"}}, "quantity_out_of_bounds"),
        ({"usage": {"input_tokens": 100_000_001}}, "quantity_out_of_bounds"),
        ({"usage": {"prompt": 5}}, "unknown_unit"),
        ({"usage": [5]}, "invalid_field"),
        ({"status": "done"}, "invalid_field"),
        ({"model": "no-such"}, "model_not_found"),
        ({"model": "GPT-4o"}, "model_not_found"),
        ({"model": "a\x00b"}, "invalid_field"),
        ({"token_id": "1"}, "invalid_field"),
        ({"latency_ms": -1}, "invalid_field"),
        ({"stream": 1}, "invalid_field"),
        ({"estimated": "yes"}, "invalid_field"),
        ({"client_ip": "1.2.3"}, "invalid_field"),
        ({"upstream_cost_nanousd": 2**63}, "invalid_field"),
    ],
)
def test_a_bad_field_is_refused_by_name(
    gateway: Gateway, issued: IssuedKey, change: dict[str, Any], code: str
) -> None:
    (result,) = gateway.record(call(issued.key, **change))
    assert (result["result"], result["error"]["code"]) == ("rejected", code)
    assert ledger.balances(issued.key.wallet).balance_nanousd == 1_000_000_000
    assert not Call.objects.exists()


def test_hostile_text_is_stored_harmlessly(gateway: Gateway, issued: IssuedKey) -> None:
    (result,) = gateway.record(
        call(
            issued.key, status="failed", error="\x00\ud800<script>" + "x" * 10_000, upstream_id="=cmd\n" * 100
        )
    )
    assert result["result"] == "accepted"
    assert CallDetails.objects.get().error.startswith("\ufffd\ufffd<script>")
    assert len(CallDetails.objects.get().error) == 4000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"calls": []}',
        b'{"calls": {}}',
        b'{"calls": [1], "calls": [2]}',
        b'{"calls": [NaN]}',
        b'{"calls": [Infinity]}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"a=b&c=d",
        b'{"calls": [' + b"{}," * 1000 + b"{}]}",
    ],
)
def test_a_body_of_another_form_is_refused_whole(gateway: Gateway, body: bytes) -> None:
    response = gateway.post("calls", body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "malformed_body"


def test_a_huge_number_in_a_call_is_refused_by_name(gateway: Gateway, issued: IssuedKey) -> None:
    raw = b'{"calls": [{"call_id": 1e400, "usage": {"input_tokens": 1e3}}]}'
    response = gateway.post("calls", raw)
    assert response.status_code == 200
    assert response.json()["results"][0]["result"] == "rejected"


def test_a_body_over_two_mebibytes_is_413(gateway: Gateway) -> None:
    assert gateway.post("calls", b" " * (2 * 1024 * 1024 + 1)).status_code == 413


def test_sums_beyond_64_bits_are_refused_by_name(gateway: Gateway, issued: IssuedKey) -> None:
    sell("dear", {"calls": 10**14})
    results = gateway.record(*[call(issued.key, model="dear", usage={"calls": 10_000}) for _ in range(1000)])
    assert [r["result"] for r in results] == ["accepted"] * 10 + ["rejected"] * 990
    assert results[-1]["error"]["code"] == "balance_out_of_bounds"
    assert ledger.balances(issued.key.wallet).balance_nanousd == 10**9 - 10 * 10**15
    assert_books()


def test_ten_thousand_calls_of_a_nano_dollar(gateway: Gateway, issued: IssuedKey) -> None:
    sell("tiny", {"calls": 1000})
    for _ in range(10):
        gateway.record(*[call(issued.key, model="tiny", usage={"calls": 1}) for _ in range(1000)])
    assert ledger.balances(issued.key.wallet).balance_nanousd == 1_000_000_000 - 10_000
    assert_books()


def test_a_rejected_copy_does_not_answer_for_the_next(
    gateway: Gateway, issued: IssuedKey, charlie: User
) -> None:
    wrong = keys.issue(give(charlie, 1_000_000_000), "elsewhere")
    admitted = gateway.authorize(issued.text).json()
    report = call(wrong.key, call_id=admitted["call_id"])
    results = gateway.record(report, report, {**report, "token_id": issued.key.pk})
    assert [r["result"] for r in results] == ["rejected", "rejected", "accepted"]
    assert [r["charged_nanousd"] for r in results] == [0, 0, 6_000_000]
    assert Call.objects.get().key == issued.key
    assert_books()


@pytest.mark.parametrize(
    "other",
    [
        {"token_id": 2**60},
        {"model": "no-such-model"},
        {"usage": {"web_searches": 1}},
        {"usage": {"no_such_unit": 1}},
        {"usage": {"input_tokens": 10**12}},
    ],
)
def test_a_known_id_conflicts_also_with_what_could_never_be_charged(
    gateway: Gateway, issued: IssuedKey, other: dict[str, object]
) -> None:
    report = call(issued.key)
    gateway.record(report)
    (result,) = gateway.record({**report, **other})
    assert result["error"]["code"] == "conflict"
    assert_books()


def test_a_number_that_cannot_be_stored_does_not_undo_the_answer(gateway: Gateway, issued: IssuedKey) -> None:
    good, bad = call(issued.key), call(issued.key)
    body = json.dumps({"calls": [good, {**bad, "latency_ms": "HUGE"}]}).replace('"HUGE"', "1e400")
    response = gateway.post("calls", body.encode())
    assert response.status_code == 200
    assert [r["result"] for r in response.json()["results"]] == ["accepted", "rejected"]
    assert "cut" in RejectedCall.objects.get().payload


def test_a_key_in_a_wrong_field_is_kept_nowhere(gateway: Gateway, issued: IssuedKey) -> None:
    gateway.record(call(issued.key, model=issued.text))
    kept = RejectedCall.objects.get()
    assert issued.text not in kept.message + json.dumps(kept.payload)
    assert issued.text not in gateway.authorize(issued.text, issued.text).content.decode()


def test_failed_calls_do_not_raise_what_others_are_expected_to_cost(
    gateway: Gateway, issued: IssuedKey
) -> None:
    gateway.record(*[call(issued.key, status="failed", usage={"input_tokens": 1_000_000}) for _ in range(20)])
    gateway.record(call(issued.key))
    estimating.forget()
    assert gateway.authorize(issued.text).json()["held_nanousd"] == 6_000_000


def test_images_that_come_out_as_tokens_are_expected_again(gateway: Gateway, issued: IssuedKey) -> None:
    """At the price of text; they are charged at their own."""
    sell(
        "painter", {"input_tokens": 1_000_000, "output_tokens": 10_000_000, "output_image_tokens": 30_000_000}
    )
    painted = call(issued.key, model="painter", usage={"input_tokens": 100, "output_image_tokens": 1290})
    (result,) = gateway.record(painted)
    assert result["charged_nanousd"] == 38_800_000
    estimating.forget()
    assert gateway.authorize(issued.text, "painter").json()["held_nanousd"] == 100_000 + 12_900_000


def test_the_wallets_are_locked_in_order_before_anything_is_charged(
    gateway: Gateway, issued: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = psycopg.Cursor.execute

    def watched(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(query))
        return real(self, query, *rest, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", watched)
    gateway.record(call(issued.key))
    locks = [number for number, sql in enumerate(asked) if "FOR UPDATE" in sql]
    writes = [
        number for number, sql in enumerate(asked) if sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
    ]
    assert "ORDER BY wallet_id FOR UPDATE" in asked[locks[0]]
    assert locks[0] < min(writes)


def test_an_address_that_does_not_exist_answers_in_json(gateway: Gateway) -> None:
    for name in ("nothing", "calls/"):
        response = gateway.post(name, {})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_what_the_gateway_counted_itself_is_marked_for_ever(gateway: Gateway, issued: IssuedKey) -> None:
    ours, theirs = call(issued.key, estimated=True), call(issued.key, estimated=False)
    gateway.record(ours, theirs, call(issued.key))
    marked = Call.objects.filter(is_estimated=True)
    assert [str(found.pk) for found in marked] == [ours["call_id"]]
    (again,) = gateway.record({**ours, "estimated": False})
    assert again["result"] == "duplicate"
    assert marked.exists()


def test_statements_count_calls_that_cost_something_however_they_are_reported(
    gateway: Gateway, issued: IssuedKey
) -> None:
    sell("free", {"input_tokens": 0, "output_tokens": 0})
    gateway.record(
        call(issued.key),
        call(issued.key, status="failed"),
        call(issued.key, model="free"),
        call(issued.key),
    )
    gateway.record(call(issued.key))
    gateway.record(call(issued.key, status="failed"))
    counted = Transfer.objects.filter(code="usage").order_by("pk").values_list("details__calls", flat=True)
    assert list(counted) == [2, 1]
