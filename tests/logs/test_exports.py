"""Exports of the log: what stands in the files, for whom, how many at a time, and how they end."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from accounts.models import User
from logs import export_progress, export_streams
from logs.export_progress import Progress
from logs.export_streams import Export
from logs.exporting import Format
from logs.models import Call, CallDetails
from logs.wanted import Wanted
from pricing import spreadsheets
from pricing.models import Kind
from pricing.units import UNITS
from tests.logs import recorded
from tests.plugin import CLUSTER
from tokens.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)

STARTED = datetime(2026, 11, 3, 4, 5, 6, 789_000, tzinfo=UTC)


@pytest.fixture
def owner() -> User:
    return recorded.person("owner")


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def key(owner: User) -> ApiKey:
    return recorded.key_of(owner)


def text(client: Client, query: str = "") -> str:
    response = client.get(f"/logs/export/?{query}")
    assert response.status_code == 200, response.text
    return response.getvalue().decode()


def rows(client: Client, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text(client, query))))


def objects(client: Client, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(client, f"format=jsonl&{query}").splitlines()]


def running(number: int = 0) -> int:
    """How many exports the database has under way, once their ends have come through."""
    for _ in range(50):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            (found,) = cursor.fetchone()
        if found == number:
            break
        time.sleep(0.1)
    return int(found)


def test_a_call_in_both_forms(signed_in: Client, key: ApiKey) -> None:
    version = recorded.model(multiplier_bp=8_000)
    call = recorded.call(
        key, version, {"input_tokens": 1_200, "output_tokens": 301}, at=STARTED, promotional_nanousd=1_000,
        promotional_transfer_id=1, held_nanousd=5,
        balance_after_nanousd=-1, stream=True, latency_ms=900, first_token_ms=80, endpoint="/v1/chat", upstream_id="c-1",
    )  # fmt: skip
    CallDetails.objects.create(
        call_id=call.pk, wallet_id=key.wallet_id, client_ip="2001:db8::1", error='a\n"b", c\\d'
    )
    common = {
        "id": str(call.pk), "started_at": "2026-11-03T04:05:06.789Z", "model": "gpt-test", "token": "Laptop",
        "status": "succeeded", "charged_usd": "0.004808000", "given_usd": "0.000001000", "bought_usd": "0.004807000",
        "price_multiplier": "0.8000", "held_usd": "0.000000005", "balance_after_usd": "-0.000000001", "endpoint": "/v1/chat",
        "upstream_id": "c-1", "client_ip": "2001:db8::1", "error": 'a\n"b", c\\d',
    }  # fmt: skip
    numbers = {"token_id": key.pk, "price_version": version.pk, "latency_ms": 900, "first_token_ms": 80}
    usage = dict.fromkeys(UNITS, "") | {"input_tokens": "1200", "output_tokens": "301"}
    told = {name: str(number) for name, number in numbers.items()}
    assert rows(signed_in) == [common | told | usage | {"stream": "true", "group_multiplier": ""}]
    assert objects(signed_in) == [
        common
        | numbers
        | {"stream": True, "group_multiplier": None, "usage": {"input_tokens": 1200, "output_tokens": 301}}
    ]
    assert Decimal(common["charged_usd"]).scaleb(9) == call.charged_nanousd


def test_answers_are_files(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    for form, kind in (("csv", "text/csv"), ("jsonl", "application/jsonl")):
        response = signed_in.get(f"/logs/export/?format={form}")
        assert response["Content-Type"] == f"{kind}; charset=utf-8"
        assert response["Content-Disposition"] == f'attachment; filename="calls.{form}"'
        assert not response.getvalue().startswith(b"\xef\xbb\xbf"), "no byte order mark"
    assert running() == 0


def test_formulas_are_neutral_in_csv_and_numbers_stay_numbers(signed_in: Client, owner: User) -> None:
    nasty = ["=1+1", " \t@x", "-2", "+3", "\u3000＝4", "'=5", "fine", "é", "", '=",\n"', "\x1f=6"]
    key = recorded.key_of(owner, "=cmd|' /C calc'!A0")
    version = recorded.model("-gpt")
    for number, word in enumerate(nasty):
        recorded.call(
            key, version, at=STARTED - timedelta(seconds=number), endpoint=word, balance_after_nanousd=-5
        )
    found = rows(signed_in)
    assert [row["endpoint"] for row in found] == [spreadsheets.cell(word) for word in nasty]
    assert {row["token"] for row in found} == {"'=cmd|' /C calc'!A0"}
    assert {row["model"] for row in found} == {"'-gpt"}
    assert {row["balance_after_usd"] for row in found} == {"-0.000000005"}
    assert [each["endpoint"] for each in objects(signed_in)] == nasty, "JSON has no formulas"


def test_the_view_that_was_filtered_newest_first(signed_in: Client, owner: User, key: ApiKey) -> None:
    other, gpt, suno = (
        recorded.key_of(owner, "Server"),
        recorded.model(),
        recorded.model("suno", ((0, {"calls": 5}),), kind=Kind.MUSIC),
    )
    calls = [
        recorded.call(key, gpt, at=STARTED),
        recorded.call(other, gpt, at=STARTED - timedelta(days=1), status=Call.Status.FAILED, stream=True),
        recorded.call(key, suno, {"calls": 1}, at=STARTED - timedelta(days=40)),
    ]
    names = {str(call.pk): name for name, call in zip("abc", calls, strict=True)}
    for query, expected in {
        "": "abc", "model=suno": "c", "model=nothing": "", f"token={other.pk}": "b", "status=failed": "b", "stream=yes": "b",
        "from=2026-11-01": "ab", "to=2026-11-02": "bc", "above=0.001": "a", f"call={calls[2].pk}": "c",
        f"call={uuid4()}": "", "model=%25": "",
    }.items():  # fmt: skip
        assert "".join(names[row["id"]] for row in rows(signed_in, query)) == expected, query
        assert "".join(names[each["id"]] for each in objects(signed_in, query)) == expected, query
    assert text(signed_in, "model=nothing").startswith("id,started_at,")


def test_only_ones_own(signed_in: Client, key: ApiKey) -> None:
    strangers = recorded.key_of(recorded.person("stranger"))
    theirs = recorded.call(strangers, recorded.model())
    for query in ("", f"token={strangers.pk}", f"call={theirs.pk}"):
        assert rows(signed_in, query) == []
    response = Client().get("/logs/export/")
    assert response["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [("format=xlsx", "csv or jsonl"), ("format=", "csv or jsonl"), ("from=2026-02-02&to=2026-02-01", "before"),
     ("call=x", "request ID"),
     ("token=-1", "token")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(query: str, sentence: str, signed_in: Client) -> None:
    response = signed_in.get(f"/logs/export/?{query}")
    assert response.status_code == 400
    assert sentence in response.text


@pytest.fixture
def long_one(key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Export]]:
    """Begins an export of many blocks."""
    monkeypatch.setattr(export_streams, "BLOCK_BYTES", 1_000)
    version = recorded.model()
    for number in range(60):
        recorded.call(key, version, at=STARTED - timedelta(seconds=number))
    begun: list[Export] = []

    def begin(form: Format = Format.CSV, progress: Progress | None = None) -> Export:
        begun.append(Export(Wanted(key.wallet_id), form, progress or Progress(key.wallet_id, None, None)))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


def test_a_wallet_has_two_at_a_time(signed_in: Client, long_one: Callable[..., Export]) -> None:
    first, second = long_one(), long_one()
    response = signed_in.get("/logs/export/")
    assert response.status_code == 429
    assert response["Retry-After"] == "30"
    first.close()
    assert running(1) == 1
    assert len(rows(signed_in)) == 60
    second.close()


def test_a_process_bears_only_so_many(
    signed_in: Client, long_one: Callable[..., Export], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_streams, "PER_WALLET", 10)
    begun = [long_one() for _ in range(export_streams.PER_PROCESS)]
    assert signed_in.get("/logs/export/").status_code == 503
    begun[0].close()
    begun[0].close()  # Gives one place back, not two.
    assert len(rows(signed_in)) == 60
    for each in begun[1:]:
        each.close()


def test_who_leaves_ends_it(long_one: Callable[..., Export], key: ApiKey) -> None:
    progress_id = uuid4()
    export = long_one(Format.CSV, Progress(key.wallet_id, progress_id, 60, head_rows=1))
    next(export)
    assert running(1) == 1
    export.close()
    assert running(0) == 0
    assert list(export) == []
    told = export_progress.told(key.wallet_id, progress_id)
    assert told is not None
    assert told.state == "left"


def test_an_error_half_way_is_told_in_the_last_line(
    long_one: Callable[..., Export], key: ApiKey, caplog: pytest.LogCaptureFixture
) -> None:
    for form in Format:
        export = long_one(form, Progress(key.wallet_id, name := uuid4(), 60))
        taken = [next(export)]
        with psycopg.connect(CLUSTER.url(str(connection.settings_dict["NAME"])), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            assert running(0) == 0
        export._blocks = raising(psycopg.OperationalError("the connection is lost"))
        taken += list(export)
        last = b"".join(taken).decode().splitlines()[-1]
        if form is Format.CSV:
            assert last.startswith('"INCOMPLETE: an error')
        else:
            assert json.loads(last)["error"]["code"] == "export_incomplete"
        told = export_progress.told(key.wallet_id, name)
        assert told is not None
        assert told.state == "broken"
    assert "broke off" in caplog.text
    assert running(0) == 0


def raising(error: Exception) -> Iterator[bytes]:
    yield from ()
    raise error


def test_progress_and_stop(
    signed_in: Client, long_one: Callable[..., Export], key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_progress, "EVERY_S", 0)
    name = uuid4()
    assert "begins" in signed_in.get(f"/logs/exports/{name}/").text
    assert "did not begin" in signed_in.get(f"/logs/exports/{name}/?asked=15").text
    export = long_one(Format.CSV, Progress(key.wallet_id, name, 60, head_rows=1))
    next(export)
    next(export)
    page = signed_in.get(f"/logs/exports/{name}/").text
    assert 'max="60"' in page
    assert "of 60 calls exported" in page
    stranger = Client()
    stranger.force_login(recorded.person("stranger"))
    stranger.post(f"/logs/exports/{name}/stop/")
    assert "calls exported" not in stranger.get(f"/logs/exports/{name}/").text, "an id is its owner's"
    assert b"INCOMPLETE" not in next(export)
    signed_in.post(f"/logs/exports/{name}/stop/")
    assert b"".join(export).endswith(b'"INCOMPLETE: this export was stopped."\n')
    assert "Stopped after" in signed_in.get(f"/logs/exports/{name}/").text
    assert running(0) == 0
    whole = text(signed_in, f"export={name}")
    assert len(whole.splitlines()) == 61, "the next one with this id is not stopped"
    assert "complete: 60 calls" in signed_in.get(f"/logs/exports/{name}/").text


def test_one_that_stands_still_lets_go_of_the_database(
    long_one: Callable[..., Export], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_streams, "STILL_S", 0.5)
    export = long_one()
    next(export)
    assert running(1) == 1
    time.sleep(0.7)
    assert running(0) == 0


def test_the_list_links_them(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    page = signed_in.get("/logs/?model=gpt-test&status=succeeded").text
    for form in ("csv", "jsonl"):
        assert f'href="/logs/export/?format={form}&amp;export=' in page
    assert "&amp;model=gpt-test&amp;status=succeeded" in page
    cache.clear()
