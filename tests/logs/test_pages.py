"""The list of calls: whose, which, in what order, page by page."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import timezone as zone
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from logs import call_ids, listing, pages
from logs.models import Call
from pricing.models import Kind
from tests.logs import recorded
from tokens import keys
from tokens.models import ApiKey
from wallet.transactions import report_rows

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)


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


def shown(client: Client, query: str = "") -> list[str]:
    response = client.get(f"/logs/?{query}")
    assert response.status_code == 200, response.text
    return re.findall(r'data-call-id="([^"]+)"', response.text)


def many(key: ApiKey, count: int) -> list[str]:
    """Ids of that many calls, a second apart, newest first."""
    version = recorded.model()
    made = [recorded.call(key, version, at=NOW - timedelta(seconds=number)) for number in range(count)]
    return [str(call.pk) for call in made]


def test_an_empty_list_says_how_to_make_the_first_call(signed_in: Client) -> None:
    page = signed_in.get("/logs/").text
    assert "No calls yet" in page
    assert '<a class="btn btn-primary" href="/tokens/">' in page


def test_a_row_says_what_the_call_was(signed_in: Client, key: ApiKey) -> None:
    call = recorded.call(key, recorded.model())
    page = signed_in.get("/logs/").text
    for text in ("gpt-test", "Laptop", "1,200 → 300", "$0.006", "Succeeded", f'href="/logs/{call.pk}/"'):
        assert text in page, text
    assert f'hx-get="/logs/{call.pk}/"' in page


def test_times_are_written_as_on_other_pages() -> None:
    moment = datetime(2026, 11, 3, 7, 5, 9, 999_999, tzinfo=zone(timedelta(hours=9)))
    row = pages._row(uuid4(), moment, "gpt-test", "Laptop", "{}", "succeeded", False, 0)
    there = render_to_string("partials/time.html", {"at": moment, "format": "seconds"})
    assert f'datetime="{row.datetime}" data-format="seconds">{row.time}</time>' in there
    assert row.datetime == "2026-11-02T22:05:09Z"


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        ({}, ""),
        ({"calls": 1}, "1 call"),
        ({"images": 2, "input_tokens": 0}, "2 images"),
        ({"seconds": 1_000, "web_searches": 1}, "1,000 seconds, 1 web search"),
        ({"cached_input_tokens": 5, "input_audio_tokens": 1, "reasoning_tokens": 2}, "6 → 2"),
        ({"input_tokens": 5, "web_searches": 1}, "5 → 0"),
        ({"something_new": 5}, ""),
    ],
)
def test_usage_in_few_characters(usage: dict[str, int], text: str) -> None:
    assert pages.quantity(usage) == text


def test_newest_first_by_pages_of_fifty_there_and_back(signed_in: Client, key: ApiKey) -> None:
    ids = many(key, 120)
    pages, query = [], ""
    for _ in range(3):
        pages.append(shown(signed_in, query))
        older = re.search(r'href="/logs/\?([^"]+)" rel="next"', signed_in.get(f"/logs/?{query}").text)
        query = older[1] if older else ""
    assert [len(page) for page in pages] == [50, 50, 20]
    assert [pk for page in pages for pk in page] == ids
    assert query == "", "the last page has no older one"
    deep = signed_in.get(f"/logs/?status=succeeded&before={pages[1][-1]}").text
    assert '<a class="btn" href="/logs/?status=succeeded">Newest</a>' in deep
    assert "Newest</a>" not in signed_in.get("/logs/").text
    assert shown(signed_in, f"after={pages[2][0]}") == pages[1]
    assert shown(signed_in, f"after={pages[1][0]}") == pages[0]
    assert shown(signed_in, f"after={pages[0][10]}") == pages[0], (
        "near the top the newest page is shown, full"
    )


def test_filters_stay_in_the_address_of_the_next_page(signed_in: Client, key: ApiKey) -> None:
    many(key, 51)
    page = signed_in.get("/logs/?model=gpt-test&status=succeeded&unknown=1").text
    older = re.search(r'href="/logs/\?([^"]+)" rel="next"', page)
    assert older
    query = parse_qs(urlsplit("?" + older[1].replace("&amp;", "&")).query)
    assert query.keys() == {"model", "status", "before"}
    assert len(shown(signed_in, older[1].replace("&amp;", "&"))) == 1


def test_filters_combine(signed_in: Client, owner: User, key: ApiKey) -> None:
    other_key = recorded.key_of(owner, "Server")
    text, image = recorded.model(), recorded.model("mj_test", ((0, {"calls": 5}),), kind=Kind.IMAGE)
    old = datetime.combine(NOW.date() - timedelta(days=3), datetime.min.time(), UTC)
    calls = {
        "a": recorded.call(key, text),
        "b": recorded.call(other_key, text, status=Call.Status.FAILED),
        "c": recorded.call(key, image, {"calls": 1}),
        "d": recorded.call(key, text, at=old),
        "e": recorded.call(key, text, at=old - timedelta(milliseconds=1)),
    }
    names = {str(call.pk): name for name, call in calls.items()}

    def found(query: str) -> set[str]:
        return {names[pk] for pk in shown(signed_in, query)}

    assert found("") == set("abcde")
    assert found("model=gpt-test") == set("abde")
    assert found("model=gpt") == set()
    assert found("model=%25") == found("model=_______") == found("model=GPT-TEST") == set()
    assert found(f"token={other_key.pk}") == {"b"}
    assert found("status=failed") == {"b"}
    assert found(f"status=succeeded&token={key.pk}&model=mj_test") == {"c"}
    day = old.date()
    assert found(f"from={day}&to={day}") == {"d"}
    assert found(f"to={day}") == {"d", "e"}
    assert found(f"from={day}") == set("abcd")
    assert found(f"from={day}&model=mj_test") == {"c"}
    assert found(f"call={calls['c'].pk}") == {"c"}
    assert found(f"call=+{calls['c'].pk}+") == {"c"}
    assert found(f"call={uuid4()}") == set()
    assert found(f"preset=hour&token={key.pk}") == set("ac")
    assert found("above=0") == set("ade"), "c rounds to nothing"
    assert found("above=0.005999999") == set("ade")
    assert found("above=0.006") == set()


def test_streamed_not_streamed_and_untold(signed_in: Client, key: ApiKey) -> None:
    version = recorded.model()
    yes, no, untold = (str(recorded.call(key, version, stream=stream).pk) for stream in (True, False, None))
    assert shown(signed_in) == [untold, no, yes]
    assert shown(signed_in, "stream=yes") == [yes]
    assert shown(signed_in, "stream=no") == [no]


@pytest.mark.parametrize(
    "query",
    [
        "from=0001-01-01&to=9999-12-31",
        "from=1926-01-01&to=2126-01-01",
        "from=1970-01-01",
        "to=9999-12-31",
        "page_size=1e9&limit=1000000000&page=-1",
        "before=&after=",
        "before=x&after='--",
        "before=" + "9" * 5_000,
        "before=g0000000-0000-0000-0000-000000000000",
        "before={00000000-0000-0000-0000-0000000000}",
        "model=&token=&status=&from=&to=&call=",
        "from[]=x",
    ],
)
def test_odd_queries_show_what_they_can(signed_in: Client, key: ApiKey, query: str) -> None:
    call = recorded.call(key, recorded.model())
    assert shown(signed_in, query) == [str(call.pk)]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=yesterday", "Write the day as 2026-01-31."),
        ("to=2026-02-30", "Write the day as 2026-01-31."),
        ("from=10000-01-01", "Write the day as 2026-01-31."),
        ("from=0000-01-01", "Write the day as 2026-01-31."),
        ("from=2026-02-02&to=2026-02-01", "The last day lies before the first one."),
        ("status=both", "Choose succeeded or failed."),
        ("token=x", "Choose a token."),
        ("token=-1", "Choose a token."),
        ("token=1.5", "Choose a token."),
        ("call=123", "A request ID looks like"),
        ("stream=true", "Choose yes or no."),
        ("above=0.0000000001", "up to nine decimals"),
        ("above=1000000000", "nine digits before them"),
        ("above=-1", "Write an amount in dollars, for example 0.05."),
        ("above=NaN", "Write an amount in dollars, for example 0.05."),
        ("above=1e-9", "Write an amount in dollars, for example 0.05."),
        ("above=" + "9" * 5_000, "at most 30 characters"),
        ("preset=century", "Choose one of these times."),
        ("preset=today&from=2026-01-01", "Choose either one of these times or days."),
        (f"token={2**63}", "Choose a token."),
        ("model=" + "x" * 5_000, "at most 200 characters"),
    ],
)
def test_what_makes_no_sense_is_told_beside_the_field(signed_in: Client, query: str, sentence: str) -> None:
    response = signed_in.get(f"/logs/?{query}")
    assert response.status_code == 400
    assert re.search(rf'<p class="error"[^>]*>[^<]*{sentence}', response.text)
    assert "data-call-id" not in response.text


@pytest.mark.parametrize(
    "query",
    [f"token={'9' * 30}", f"token={'9' * 5_000}", "model=%FF", "model=a%0Ab", "from=%00", "model=%00"],
)
def test_hostile_queries_are_answered(signed_in: Client, query: str) -> None:
    assert signed_in.get(f"/logs/?{query}").status_code in (200, 400)


def test_cursors_past_either_end(signed_in: Client, key: ApiKey) -> None:
    call = recorded.call(key, recorded.model())
    first, last = "0" * 8 + "-0000-0000-0000-" + "0" * 12, "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12
    assert shown(signed_in, f"before={last}") == [str(call.pk)]
    assert shown(signed_in, f"after={first}") == [str(call.pk)]
    assert shown(signed_in, f"after={last}") == [str(call.pk)]
    page = signed_in.get(f"/logs/?before={first}").text
    assert "No older calls" in page
    assert 'href="/logs/"' in page


def test_names_are_shown_harmlessly(signed_in: Client, owner: User) -> None:
    hostile = recorded.key_of(owner, '"><script>alert(1)</script>')
    recorded.call(hostile, recorded.model())
    assert "<script>alert" not in signed_in.get("/logs/").text
    reflected = signed_in.get("/logs/", {"model": '"><script>alert(1)</script>', "call": "<script>alert(2)"})
    assert "<script>alert" not in reflected.text


def test_calls_and_names_of_others_are_never_shown(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    stranger = recorded.key_of(recorded.person("stranger"), "Not yours")
    other = recorded.call(stranger, recorded.model("secret-model"))
    assert str(other.pk) not in shown(signed_in)
    for query in (f"token={stranger.pk}", "model=secret-model", f"call={other.pk}"):
        assert shown(signed_in, query) == []
    assert shown(signed_in, f"after={other.pk}&before={call_ids.new()}") != [str(other.pk)]
    page = signed_in.get("/logs/").text
    assert "secret-model" not in page
    assert "Not yours" not in page


def test_tokens_to_choose_from(owner: User, key: ApiKey) -> None:
    wallet = key.wallet
    unused, used = recorded.key_of(owner, "Unused and revoked"), recorded.key_of(owner, "Used and revoked")
    recorded.call(used, recorded.model())
    for gone in (unused, used):
        keys.revoke(gone)
    recorded.key_of(owner, "Another")
    assert [found.name for found in listing.keys_of(wallet)] == ["Another", "Laptop", "Used and revoked"]


def test_nobody_sees_calls_without_signing_in(client: Client) -> None:
    response = client.get("/logs/?status=failed")
    assert (response.status_code, response["Location"]) == (
        302,
        "/accounts/login/?next=/logs/%3Fstatus%3Dfailed",
    )
    assert client.post("/logs/").status_code in (302, 405)


def test_more_calls_need_no_more_queries(
    signed_in: Client, owner: User, key: ApiKey, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    many(key, 30)
    for number in range(4):
        other = recorded.key_of(owner, f"Key {number}")
        recorded.call(other, recorded.model(f"model-{number}"))
    with django_assert_max_num_queries(6):
        assert len(shown(signed_in)) == 34


def test_ids_are_found_by_an_index_alone(
    signed_in: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole rows PostgreSQL looks for along everybody's calls where a wallet has made a good part of them."""
    many(key, 3)
    asked = recorded.statements(monkeypatch)
    shown(signed_in)
    ids, rows = (" ".join(sql.split()) for sql in asked)
    assert ids.startswith("SELECT c.id FROM logs_call c WHERE")
    assert "FROM logs_call c JOIN" in rows
    assert "WHERE c.id = ANY(" in rows


@pytest.mark.parametrize("query", ["", "model=gpt-test", "before=ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_a_page_is_read_by_an_index(
    signed_in: Client, key: ApiKey, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(key, 60)
    plans = []

    def rows(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        plans.append("\n".join(line for (line,) in report_rows(f"EXPLAIN {sql}", parameters)))
        return report_rows(sql, parameters)

    monkeypatch.setattr(pages, "report_rows", rows)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert len(shown(signed_in, query)) == 50
    ids, calls = plans
    assert "call_wallet" in ids or "wallet_id_id_idx" in ids or "wallet_id_model_id_id_idx" in ids, ids
    assert "Sort" not in ids, ids
    assert "_pkey" in calls, calls
    assert "Seq Scan on logs_call" not in calls, calls


def test_the_last_day_that_there_is_has_no_call(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    assert shown(signed_in, "from=9999-12-31") == []
