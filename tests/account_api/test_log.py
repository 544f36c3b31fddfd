"""A person's log: rows, filters, pages, totals, statistics and the export."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from logs import archive, call_ids, export_streams
from logs.account_api import looking, rows
from logs.account_api.exporting import OwnLog
from logs.account_api.looking import Sought
from logs.export_places import PER_PROCESS, PER_WALLET
from logs.export_progress import Progress
from logs.export_streams import BLOCK_BYTES, Export
from logs.exporting import Format
from pricing import catalogue, groups
from tests.account_api.conftest import USD, Asker, Sold
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from wallet import ledger
from wallet.models import Code, Wallet

pytestmark = pytest.mark.django_db


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["request_id"] for row in rows]


def move(wallet: Wallet, code: Code, amount_nanousd: int, *, out: bool = False) -> None:
    house, own = ledger.house("refunds_pending"), ledger.paid(wallet)
    debit, credit = (own, house) if out else (house, own)
    reference = f"test:{call_ids.new()}"
    with transaction.atomic():
        ledger.post(code=code, reference=reference, debit=debit, credit=credit, amount_nanousd=amount_nanousd)


def test_a_row_says_what_clients_read(asker: Asker, sold: Sold, alice: User) -> None:
    found = asker.data("/api/log/self", type=2)
    assert (found["total"], found["page"], found["page_size"]) == (2, 1, 20)
    row = next(row for row in found["items"] if row["request_id"] == sold.sent[0]["call_id"])
    other = json.loads(row.pop("other"))
    assert row == {
        "id": sold.sent[0]["call_id"],
        "request_id": sold.sent[0]["call_id"],
        "response_id": "",
        "created_at": call_ids.milliseconds(sold.sent[0]["call_id"]) // 1000,
        "type": 2,
        "model_name": "gpt-4o",
        "token_name": "laptop",
        "username": f"user-{alice.pk}",
        "user_id": alice.pk,
        "group": "default",
        "quota": 3_000,
        "prompt_tokens": 1_200,
        "completion_tokens": 300,
        "use_time": 2,
        "is_stream": True,
        "ip": "203.0.113.7",
        "content": "1,200 → 300",
    }
    assert other == {
        "cache_tokens": 0,
        "group_ratio": 1.0,
        "model_ratio": 1.25,
        "completion_ratio": 4.0,
        "cache_ratio": 0.5,
        "model_price": -1,
        "total_ms": 1_600,
        "frt": 200,
        "request_path": "",
    }


def test_all_movements_and_calls_in_one_list_newest_first(asker: Asker, sold: Sold) -> None:
    move(sold.wallet, Code.TOP_UP, 3 * USD)
    move(sold.wallet, Code.REFUND, USD, out=True)
    move(sold.wallet, Code.REFUND_REVERSAL, USD // 4)
    move(sold.wallet, Code.STARTER_GRANT, USD // 10)
    rows = asker.data("/api/log/self")["items"]
    assert [(row["type"], row["quota"]) for row in rows] == [
        (4, 50_000),
        (6, -125_000),
        (6, 500_000),
        (1, 1_500_000),
        *[(row["type"], row["quota"]) for row in rows if row["type"] in (2, 5)],
        (3, 2_500_000),
    ]
    assert [row["content"] for row in rows[:4]] == [
        "Starter credit: $0.10",
        "Refund returned: $0.25",
        "Refund: -$1.00",
        "Top-up: $3.00",
    ]
    # Each counts as its type says, and all of them make the balance.
    balance = sum(row["quota"] * (-1 if row["type"] in (2, 6) else 1) for row in rows)
    assert balance == ledger.balances(sold.wallet).balance_nanousd // 2_000
    for kind, count in ((0, 8), (1, 1), (2, 2), (3, 1), (4, 1), (5, 1), (6, 2)):
        found = asker.data("/api/log/self", type=kind)
        assert (found["total"], len(found["items"])) == (count, count)


def test_pages_neither_miss_nor_repeat(asker: Asker, sold: Sold) -> None:
    for _ in range(4):
        move(sold.wallet, Code.TOP_UP, USD)
        Gateway().record(*(call(sold.issued.key) for _ in range(3)))
    whole = asker.data("/api/log/self", page_size=100)["items"]
    assert len(whole) == 4 * 4 + 3 + 1
    paged = [row for p in range(1, 8) for row in asker.data("/api/log/self", p=p, page_size=3)["items"]]
    assert paged == whole
    assert [row["created_at"] for row in whole] == sorted((row["created_at"] for row in whole), reverse=True)
    assert asker.data("/api/log/self", p=8, page_size=3) == {
        "items": [],
        "total": 20,
        "page": 8,
        "page_size": 3,
    }


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"model_name": "gpt-4o"}, 3),
        ({"model_name": "gpt-4o", "type": 2}, 2),
        ({"model_name": "gpt"}, 0),
        ({"token_name": "laptop", "type": 5}, 1),
        ({"token_name": "%"}, 0),
        ({"token_name": "laptop", "type": 1}, 0),
        ({"group": "default"}, 3),
        ({"group": "Partners"}, 0),
        ({"request_id": "nothing"}, 0),
    ],
)
def test_filters(asker: Asker, sold: Sold, parameters: dict[str, Any], count: int) -> None:
    found = asker.data("/api/log/self", **parameters)
    assert (found["total"], len(found["items"])) == (count, count)


def test_one_call_by_its_id(asker: Asker, stranger: Asker, sold: Sold) -> None:
    wanted = sold.sent[1]["call_id"]
    assert ids(asker.data("/api/log/self", request_id=wanted)["items"]) == [wanted]
    assert stranger.data("/api/log/self", request_id=wanted)["items"] == []


def test_times_bound_to_the_second(asker: Asker, sold: Sold) -> None:
    """Calls of three days ago, yesterday and now: by whole days from the roll-up, and by calls at the edges."""
    now = timezone.now()
    old = []
    for hours in (75, 74, 30, 1):
        at = now - timedelta(hours=hours)
        old.append(
            call(
                sold.issued.key,
                call_id=str(call_ids.new(int(at.timestamp() * 1000))),
                started_at=at.isoformat(),
            )
        )
    Gateway().record(*old)
    times = [call_ids.milliseconds(each["call_id"]) // 1000 for each in old]
    for first in (*times, times[0] - 100_000):
        for last in (*times, times[-1] + 600):
            if last < first:
                continue
            found = asker.data("/api/log/self", type=2, start_timestamp=first, end_timestamp=last)
            expected = [each["call_id"] for each, at in zip(old, times, strict=True) if first <= at <= last]
            assert ids(found["items"]) == expected[::-1]
            assert found["total"] == len(expected)
            told = asker.data("/api/log/self/stat", start_timestamp=first, end_timestamp=last)
            assert told["quota"] == 3_000 * len(expected)


def test_statistics(asker: Asker, sold: Sold) -> None:
    move(sold.wallet, Code.TOP_UP, 3 * USD)
    assert asker.data("/api/log/self/stat") == {"quota": 6_000, "rpm": 3, "tpm": 3_000}
    assert asker.data("/api/log/self/stat", type=5) == {"quota": 0, "rpm": 1, "tpm": 0}
    one = sold.sent[0]["call_id"]
    assert asker.data("/api/log/self/stat", request_id=one) == {"quota": 3_000, "rpm": 1, "tpm": 1_500}
    assert asker.data("/api/log/self/stat", model_name="gpt-5") == {"quota": 0, "rpm": 0, "tpm": 0}


@pytest.mark.parametrize(
    ("keyword", "count"),
    [("gpt", 3), ("LAP", 3), ("credit", 1), ("%_%_%", 0), ("\\", 0), ("4", 3), ("'--", 0)],
)
def test_words_are_searched_as_they_are_written(asker: Asker, sold: Sold, keyword: str, count: int) -> None:
    found = asker.data("/api/log/self/search", keyword=keyword)
    assert (found["total"], len(found["items"])) == (count, count)


def test_a_search_for_an_id(asker: Asker, stranger: Asker, sold: Sold) -> None:
    wanted = sold.sent[0]["call_id"]
    assert ids(asker.data("/api/log/self/search", keyword=wanted)["items"]) == [wanted]
    assert stranger.data("/api/log/self/search", keyword=wanted)["items"] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("start_timestamp", "yesterday"),
        ("start_timestamp", "-1"),
        ("end_timestamp", "1e9"),
        ("end_timestamp", "99999999999999"),
        ("end_timestamp", "1735689600000"),
        ("end_timestamp", "٣"),
        ("p", "0"),
        ("p", "one"),
        ("p", "999999999999999999999"),
        ("page_size", "0"),
        ("page_size", "many"),
        ("page_size", "1.5"),
        ("page_size", "nan"),
        ("type", "7"),
        ("type", "consume"),
        ("model_name", "x" * 201),
    ],
)
@pytest.mark.parametrize("path", ["/api/log/self", "/api/log/self/export"])
def test_what_makes_no_sense_is_refused_by_name(asker: Asker, path: str, name: str, told: str) -> None:
    if name in {"p", "page_size"} and path.endswith("export"):
        assert asker.get(path, **{name: told}).getvalue()
    else:
        assert asker.refused(path, **{name: told}).startswith(name)


def test_times_in_the_wrong_order(asker: Asker) -> None:
    assert "before start_timestamp" in asker.refused("/api/log/self", start_timestamp=2, end_timestamp=1)


@pytest.mark.parametrize("size", ["1e9", "1000000000", "101", "1E+300"])
def test_a_page_has_a_largest_size(asker: Asker, size: str) -> None:
    assert asker.data("/api/log/self", page_size=size)["page_size"] == 100


def test_pages_end_where_a_shorter_time_serves_better(asker: Asker) -> None:
    assert asker.data("/api/log/self", p=100, page_size=100)["items"] == []
    assert asker.refused("/api/log/self", p=101, page_size=100).startswith("p times page_size")


def test_the_export_has_every_row_and_runs_nothing(asker: Asker, sold: Sold, stranger: Asker) -> None:
    wallet = sold.wallet
    evil = keys.issue(wallet, "=HYPERLINK(1)").key
    Gateway().record(*(call(evil) for _ in range(3)), call(evil, status="failed", usage={}, error="+1+1"))
    move(wallet, Code.REFUND_REVERSAL, USD)
    response = asker.get("/api/log/self/export")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert (response["Cache-Control"], response["X-Accel-Buffering"]) == ("private, no-store", "no")
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert len(rows) == asker.data("/api/log/self")["total"] == 9
    assert {row["token_name"] for row in rows} == {"", "laptop", "'=HYPERLINK(1)"}
    assert "'+1+1" in {row["content"] for row in rows}
    returned = rows[0]
    assert (returned["type"], returned["quota"], returned["cost_usd"]) == ("refund", "-500000", "-1")
    spent = sum(float(row["cost_usd"]) for row in rows if row["type"] == "consume")
    assert round(spent, 9) == 0.03
    only = asker.get("/api/log/self/export", token_name="laptop", type=2).getvalue().decode()
    assert len(only.splitlines()) == 3
    assert len(stranger.get("/api/log/self/export").getvalue().decode().splitlines()) == 1


def test_the_export_reads_in_batches(asker: Asker, sold: Sold, monkeypatch: pytest.MonkeyPatch) -> None:
    move(sold.wallet, Code.TOP_UP, USD)
    Gateway().record(*(call(sold.issued.key) for _ in range(7)))
    whole = asker.get("/api/log/self/export").getvalue()
    for batch in (1, 2, 3):
        monkeypatch.setattr("logs.account_api.exporting.BATCH", batch)
        assert asker.get("/api/log/self/export").getvalue() == whole


def test_the_export_goes_no_further_when_its_reader_leaves(asker: Asker, sold: Sold) -> None:
    """Nor can one wallet take the places of all."""
    read: list[bytes] = []

    class Lines(OwnLog):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1_000):
                read.append(b"x" * BLOCK_BYTES)
                yield read[-1]

    def opened() -> OwnLog:
        return Lines(Sought([sold.wallet.pk]))

    left = [Export(Progress(sold.wallet.pk), Format.CSV, opened) for _ in range(PER_WALLET)]
    assert {next(each)[:2] for each in left} == {b"xx"}
    refused = asker.get("/api/log/self/export")
    assert (refused.status_code, refused["Retry-After"]) == (429, "30")
    assert "must end" in refused.json()["message"]
    others = [Export(Progress(-1), Format.CSV, opened) for _ in range(PER_PROCESS - PER_WALLET)]
    left[0].close()
    others.append(Export(Progress(-2), Format.CSV, opened))
    refused = asker.get("/api/log/self/export")
    assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    assert "can't begin now" in refused.json()["message"]
    for each in left + others:
        each.close()
    assert list(left[0]) == []
    assert len(read) < 10
    assert len(asker.get("/api/log/self/export").getvalue().splitlines()) == 5


def test_the_export_tells_how_time_goes_by_where_it_finds_nothing(
    asker: Asker, sold: Sold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logs.account_api.exporting.BATCH", 2)
    Gateway().record(*(call(sold.issued.key) for _ in range(7)))
    head, *others = OwnLog(Sought([sold.wallet.pk], call=looking.of_response("nothing"), codes=frozenset()))
    assert head.startswith(b"time,")
    assert len(others) >= 10 // 2
    assert set(others) == {b""}


def test_a_call_that_left_the_table_meanwhile_has_no_row(asker: Asker, sold: Sold) -> None:
    places = Sought([sold.wallet.pk]).page(0, 3)
    gone = places[0]._replace(key=call_ids.new().int, is_call=True)
    assert list(rows.of([gone, *places])) == list(rows.of(places))


def test_what_can_not_be_told_of_an_archived_call_is_refused(sold: Sold) -> None:
    """Rather than taken for something else."""
    row = {"wallet_id": sold.wallet.pk, "endpoint": "/v1/x", "status": "succeeded", "group_rate_id": None}
    own = [sold.wallet.pk]
    assert Sought(own, call=Q(endpoint__in=["/v1/x"]) & Q(group_rate=None)).has(row)
    assert not Sought(own, call=Q(endpoint__exact="/v1/y")).has(row)
    for unclear in (~Q(endpoint="/v1/y"), Q(endpoint__iendswith="/x"), Q(endpoint="/v1/x") ^ Q(status="x")):
        with pytest.raises(NotImplementedError):
            Sought(own, call=unclear).has(row)


def test_an_id_bounds_where_it_is_looked_for(sold: Sold) -> None:
    wanted = call_ids.new()
    first, after = Sought(
        [sold.wallet.pk], call=Q(group_rate=None) & looking.of_request(str(wanted))
    ).id_bounds
    assert (first, after.int) == (wanted, wanted.int + 1)
    assert Sought([1], call=Q(id=wanted) | Q(status="failed")).id_bounds == (archive.FIRST, archive.LAST)


def test_an_export_that_breaks_off_says_so(
    asker: Asker, sold: Sold, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = list(rows.of(Sought([sold.wallet.pk]).page(0, 2)))

    def broken(*_: object, **__: object) -> Iterator[dict[str, Any]]:
        yield from read
        raise RuntimeError

    monkeypatch.setattr("logs.account_api.rows.of", broken)
    monkeypatch.setattr(export_streams, "BLOCK_BYTES", 1)
    lines = asker.get("/api/log/self/export").getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith(b'"INCOMPLETE: an error')
    assert "broke off" in caplog.text


USAGES = [
    {"input_tokens": 1_000, "output_tokens": 7},
    {"input_tokens": 900, "cached_input_tokens": 350, "output_tokens": 11},
    {"cached_input_tokens": 350, "output_tokens": 11},
    {"output_tokens": 3},
    {"input_tokens": 7, "input_audio_tokens": 13, "cache_write_tokens": 3, "output_tokens": 5},
    {"input_tokens": 7, "output_tokens": 5, "reasoning_tokens": 19, "output_audio_tokens": 2},
    {"input_tokens": 250_000, "cached_input_tokens": 10, "output_tokens": 5},
    {"input_tokens": 7, "web_searches": 2, "output_tokens": 5},
    {"images": 3},
    {},
]
PRICES = {
    "input_tokens": 2_500_000,
    "cached_input_tokens": 1_250_000,
    "cache_write_tokens": 3_125_000,
    "output_tokens": 10_000_000,
    "reasoning_tokens": 12_000_000,
    "input_audio_tokens": 40_000_000,
    "output_audio_tokens": 80_000_000,
    "web_searches": 10_000_000_000,
    "images": 40_000_000_000,
}


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("rate", [None, 9_000, 12_345])
def test_the_clients_arithmetic_gives_our_price(
    asker: Asker, sold: Sold, usage: dict[str, int], rate: int | None
) -> None:
    sell("tiered", PRICES)
    if rate:
        Wallet.objects.update(customer_group=groups.create("Partners", rate))
    catalogue.forget()
    sent = call(sold.issued.key, model="tiered", usage=usage)
    (result,) = Gateway().record(sent)
    (row,) = asker.data("/api/log/self", request_id=sent["call_id"])["items"]
    other = json.loads(row["other"])
    if other["model_price"] == -1:
        weighed = (
            row["prompt_tokens"]
            - other["cache_tokens"]
            + other["cache_tokens"] * other["cache_ratio"]
            + row["completion_tokens"] * other["completion_ratio"]
        )
        units = weighed * other["model_ratio"] * other["group_ratio"]
    else:
        units = other["model_price"] * 500_000 * other["group_ratio"]
    # What is charged is rounded to whole nano-dollars, of which a unit has 2,000.
    assert units == pytest.approx(result["charged_nanousd"] / 2_000, rel=1e-12, abs=1 / 4_000)
    assert row["quota"] == -(-result["charged_nanousd"] // 2_000)
    assert row["group"] == ("Partners" if rate else "default")


def test_members_of_a_group_find_their_calls_by_it(asker: Asker, sold: Sold) -> None:
    Wallet.objects.update(customer_group=groups.create("Partners", 9_000))
    catalogue.forget()
    Gateway().record(call(sold.issued.key))
    found = asker.data("/api/log/self", group="Partners")
    assert (found["total"], found["items"][0]["quota"]) == (1, 2_700)
    assert asker.data("/api/log/self", group="default")["total"] == 3
    assert asker.data("/api/log/self/stat", group="Partners")["quota"] == 2_700
    assert_books()


def test_nobody_sees_what_is_not_theirs(stranger: Asker, sold: Sold) -> None:
    assert stranger.data("/api/log/self")["total"] == 0
    assert stranger.data("/api/log/self", token_name="laptop")["items"] == []
    assert stranger.data("/api/log/self/search", keyword="gpt")["items"] == []
    assert stranger.data("/api/log/self/stat") == {"quota": 0, "rpm": 0, "tpm": 0}


def test_a_wallet_without_calls(asker: Asker, alice: User) -> None:
    give(alice, USD)
    assert asker.data("/api/log/self")["total"] == 1
