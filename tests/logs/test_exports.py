"""Exports of the log: what stands in the files, for whom, how many at a time, and how they end."""

import csv
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client

from accounts.models import User
from logs import export_copies, exporting
from logs.models import Call, CallDetails
from logs.wanted import Wanted
from pricing import spreadsheets
from pricing.models import Kind
from pricing.units import UNITS
from tests.logs import recorded
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
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s",
                [export_copies.APPLICATION],
            )
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
        "status": "succeeded", "charged_usd": "0.004808000", "promotional_usd": "0.000001000", "paid_usd": "0.004807000",
        "price_multiplier": "0.8000", "held_usd": "0.000000005", "balance_after_usd": "-0.000000001", "endpoint": "/v1/chat",
        "upstream_id": "c-1", "client_ip": "2001:db8::1", "error": 'a\n"b", c\\d',
    }  # fmt: skip
    numbers = {"token_id": key.pk, "price_version": version.pk, "latency_ms": 900, "first_token_ms": 80}
    usage = dict.fromkeys(UNITS, "") | {"input_tokens": "1200", "output_tokens": "301"}
    told = {name: str(number) for name, number in numbers.items()}
    in_csv = {"stream": "true", "group_multiplier": "", "is_estimated": "false"}
    assert rows(signed_in) == [common | told | usage | in_csv]
    assert objects(signed_in) == [
        common
        | numbers
        | {"stream": True, "group_multiplier": None, "usage": {"input_tokens": 1200, "output_tokens": 301}}
        | {"is_estimated": False}
    ]
    assert Decimal(common["charged_usd"]).scaleb(9) == call.charged_nanousd


def test_answers_are_files(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    for form, kind in (("csv", "text/csv"), ("jsonl", "application/jsonl")):
        response = signed_in.get(f"/logs/export/?format={form}")
        assert response["Content-Type"] == f"{kind}; charset=utf-8"
        name = rf'attachment; filename="calls-20\d{{6}}-\d{{6}}\.{form}"'
        assert re.fullmatch(name, response["Content-Disposition"])
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


def test_the_list_links_them(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    page = signed_in.get("/logs/?model=gpt-test&status=succeeded").text
    for form in ("csv", "jsonl"):
        assert f'href="/logs/export/?format={form}&amp;model=gpt-test&amp;status=succeeded"' in page


def test_calls_are_read_along_the_index_of_their_wallet(key: ApiKey) -> None:
    """PostgreSQL would rather pass everybody's calls by their ids where a wallet has made a good part of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        one = recorded.call(key, recorded.model())
        names = ", ".join(str(field.column) for field in Call._meta.concrete_fields)
        values = names.replace("id, wallet_id", "uuidv7(), wallet_id + number % 3 * 1000", 1)
        cursor.execute(
            f"INSERT INTO logs_call ({names}) SELECT {values} FROM logs_call, generate_series(1, 9000) AS number"
        )
        cursor.execute("ANALYZE logs_call, logs_calldetails")
        for setting in exporting.SESSION:
            cursor.execute(setting.replace("SET ", "SET LOCAL ", 1))
        asked = exporting.statement(Wanted(one.wallet_id), exporting.Format.CSV).as_string(cursor.connection)
        query = re.sub(r"^COPY \((.*)\) TO STDOUT.*$", r"\1", asked, flags=re.DOTALL)
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("SELECT DISTINCT tableoid::regclass::text FROM logs_call")
        ((month,),) = cursor.fetchall()
    assert f"{month}_wallet_id_id_idx on {month}" in plan, plan
    assert "Index Scan using logs_calldetails_pkey" in plan
    assert not re.search("Sort|Materialize", plan), plan
