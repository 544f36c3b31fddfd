"""What the list asks for after it was shown: totals that take long, and the calls that arrive."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from logs import bounds, call_ids, pages, views, wanted
from logs.sums import Sums
from logs.wanted import Wanted
from tests.logs import recorded
from tokens.models import ApiKey
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true"}
NOW = datetime.now(UTC)


@pytest.fixture
def owner() -> User:
    return recorded.person("owner")


@pytest.fixture
def key(owner: User) -> ApiKey:
    return recorded.key_of(owner)


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def totals(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-total="(\w+)">([^<]*)<', page))


def rows(page: str) -> list[str]:
    return re.findall(r'data-call-id="([^"]+)"', page)


def test_totals_of_all_and_of_what_is_looked_for(signed_in: Client, key: ApiKey) -> None:
    version = recorded.model()
    for number in range(3):
        recorded.call(key, version, at=NOW - timedelta(days=number))
    recorded.call(key, version, status="failed")
    stranger = recorded.key_of(recorded.person("stranger"))
    recorded.call(stranger, version)
    assert totals(signed_in.get("/logs/").text) == {
        "calls": "4",
        "failed": "1",
        "tokens": "4,500",
        "spend": "$0.018",
    }
    failed = signed_in.get("/logs/?status=failed").text
    assert totals(failed) == {"calls": "1", "failed": "1", "tokens": "0", "spend": "$0.00"}
    day = (NOW - timedelta(days=1)).date()
    assert totals(signed_in.get(f"/logs/?from={day}&to={day}").text)["spend"] == "$0.006"
    assert totals(signed_in.get(f"/logs/?token={stranger.pk}").text)["calls"] == "0"


@pytest.mark.parametrize("query", ["stream=yes", "above=0.001", "preset=hour"])
def test_totals_that_are_counted_come_afterwards_or_by_a_link(
    signed_in: Client, key: ApiKey, query: str
) -> None:
    recorded.call(key, recorded.model(), stream=True)
    page = signed_in.get(f"/logs/?{query}").text
    assert totals(page) == {}
    assert re.search(rf'<p hx-get="/logs/\?{query}"\s+hx-trigger="load"', page)
    link = f"/logs/?{query}&amp;count=1"
    assert f'href="{link}"' in page
    expected = {"calls": "1", "failed": "0", "tokens": "1,500", "spend": "$0.006"}
    assert totals(signed_in.get(link.replace("&amp;", "&")).text) == expected
    part = signed_in.get(f"/logs/?{query}", headers=FRAGMENT)
    assert totals(part.text) == expected
    assert "<html" not in part.text
    assert "HX-Request" in part["Vary"]


def test_much_of_the_roll_up_is_summed_afterwards(
    signed_in: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = recorded.model()
    for number in range(3):
        recorded.call(key, version, at=NOW - timedelta(days=number))
    monkeypatch.setattr(wanted, "QUICKLY", 2)
    assert totals(signed_in.get("/logs/").text) == {}
    assert totals(signed_in.get("/logs/", headers=FRAGMENT).text)["calls"] == "3"
    day = (NOW - timedelta(days=1)).date()
    assert totals(signed_in.get(f"/logs/?from={day}").text)["calls"] == "2"


def test_what_is_too_much_to_count_is_said(
    signed_in: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: Wanted) -> Sums:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")
        return Sums()

    recorded.call(key, recorded.model())
    monkeypatch.setattr(views, "TOTALS_WAIT_MS", 50)
    monkeypatch.setattr(Wanted, "sums", slow)
    began = time.monotonic()
    part = signed_in.get("/logs/?stream=yes", headers=FRAGMENT)
    assert time.monotonic() - began < 5
    assert (part.status_code, totals(part.text)) == (200, {})
    assert "too many calls to count" in part.text
    page = signed_in.get("/logs/?stream=yes&count=1")
    assert (page.status_code, "too many calls to count" in page.text) == (200, True)


def test_only_the_newest_page_is_live(signed_in: Client, key: ApiKey) -> None:
    call = recorded.call(key, recorded.model())
    page = signed_in.get("/logs/?model=gpt-test").text
    assert 'href="/logs/?model=gpt-test&amp;live=1"' in page
    assert 'hx-trigger="poll"' not in page
    live = signed_in.get("/logs/?model=gpt-test&live=1").text
    assert re.search(r'hx-get="/logs/\?model=gpt-test"\s+hx-trigger="poll"', live)
    assert re.search(r'href="/logs/\?model=gpt-test"[^>]*>\s*(<svg.*?</svg>)?\s*Stop live', live, re.DOTALL)
    assert 'hx-trigger="poll"' not in signed_in.get(f"/logs/?live=1&before={call.pk}").text


def tail(call_id: object) -> str:
    return str(call_id)[-pages.SEEN_DIGITS :]


def test_what_arrived_is_what_is_not_shown_yet(signed_in: Client, key: ApiKey) -> None:
    version = recorded.model()

    def arrived(query: str = "") -> list[str]:
        response = signed_in.get(f"/logs/?{query}", headers=FRAGMENT)
        assert response.status_code in (200, 204)
        assert (response.status_code == 204) == (response.content == b"")
        return rows(response.text)

    assert arrived("seen=") == []
    first = recorded.call(key, version)
    # It took long: it was recorded after the other, and began before it.
    late = recorded.call(key, version, at=NOW - timedelta(minutes=5))
    recorded.call(recorded.key_of(recorded.person("stranger")), version)
    assert arrived("seen=") == [str(first.pk), str(late.pk)]
    assert arrived(f"seen={tail(first.pk)}") == [str(late.pk)]
    assert arrived(f"seen={tail(late.pk)},{tail(first.pk)}") == []
    assert arrived("status=failed&seen=") == []
    assert arrived("seen=" + "x" * 5_000) == [str(first.pk), str(late.pk)]


def test_a_poll_reads_one_page_by_one_query(
    signed_in: Client,
    key: ApiKey,
    django_assert_num_queries: Callable[[int], CaptureQueriesContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = recorded.model()
    seen = ",".join(tail(recorded.call(key, version).pk) for _ in range(3))
    asked = recorded.statements(monkeypatch)
    with django_assert_num_queries(3) as queries:
        assert signed_in.get(f"/logs/?seen={seen}", headers=FRAGMENT).status_code == 204
    assert not [query["sql"] for query in queries if "logs_call" in query["sql"]], "session, user and wallet"
    [of_calls] = asked
    assert f"LIMIT {pages.PAGE_SIZE + 1}" in of_calls


def test_parts_of_what_makes_no_sense_and_for_nobody(client: Client, owner: User) -> None:
    response = client.get("/logs/?seen=", headers=FRAGMENT)
    assert response["HX-Redirect"] == "/accounts/login/?next=/logs/"
    client.force_login(owner)
    for query in ("seen=&status=x", "above=x"):
        refused = client.get(f"/logs/?{query}", headers=FRAGMENT)
        assert (refused.status_code, refused.content) == (400, b"")


@pytest.mark.parametrize(
    "cursor", [str(call_ids.floor(NOW)), "ffffffff-ffff-ffff-ffff-ffffffffffff", "0" * 36, "x"]
)
@pytest.mark.parametrize("query", ["", "status=failed", "stream=no&above=1", "status=succeeded&preset=month"])
def test_any_cursor_is_answered(signed_in: Client, key: ApiKey, query: str, cursor: str) -> None:
    recorded.call(key, recorded.model())
    for name in ("before", "after"):
        assert signed_in.get(f"/logs/?{query}&{name}={cursor}").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_wallet_counts_one_thing_at_a_time(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = recorded.person("stranger")
    is_counting, may_end = threading.Event(), threading.Event()
    recorded.key_of(owner)

    def slow(wanted: Wanted) -> Sums:
        if wanted.wallet_id == wallet_of(owner).pk and not is_counting.is_set():
            is_counting.set()
            assert may_end.wait(20)
        return Sums(7)

    def asked(person: User, query: str = "stream=yes", **more: Any) -> str:
        client = Client()
        client.force_login(person)
        return client.get(f"/logs/?{query}", **more).text

    def first() -> str:
        try:
            return asked(owner, headers=FRAGMENT)
        finally:
            connection.close()

    monkeypatch.setattr(Wanted, "sums", slow)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert is_counting.wait(20)
        try:
            for again in (asked(owner, headers=FRAGMENT), asked(owner, "stream=yes&count=1")):
                assert totals(again) == {}
                assert "being counted already" in again
                assert 'href="/logs/?stream=yes&amp;count=1"' in again
            assert totals(asked(stranger, headers=FRAGMENT))["calls"] == "7"
        finally:
            may_end.set()
        assert totals(running.result())["calls"] == "7"
    assert totals(asked(owner, headers=FRAGMENT))["calls"] == "7"


def test_few_are_counted_for_at_a_time(signed_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "places", places := threading.BoundedSemaphore(1))
    for _ in range(2):  # Which gives its place back.
        assert totals(signed_in.get("/logs/?stream=yes", headers=FRAGMENT).text)["calls"] == "0"
    assert places.acquire(blocking=False)
    refused = signed_in.get("/logs/?stream=yes", headers=FRAGMENT)
    assert (refused.status_code, totals(refused.text)) == (200, {})
    assert "being counted already" in refused.text
    quick = signed_in.get("/logs/", headers=FRAGMENT)
    assert totals(quick.text)["calls"] == "0", "what the roll-up tells at once needs no place"


def test_a_search_that_takes_too_long_is_given_up(
    signed_in: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> list[UUID]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")
        return []

    call = recorded.call(key, recorded.model(), stream=True)
    monkeypatch.setattr(pages, "SEARCH_WAIT_MS", 50)
    monkeypatch.setattr(pages, "report_rows", slow)
    began = time.monotonic()
    for query in (
        "stream=yes",
        f"above=0.001&before={call.pk}",
        f"stream=no&after={call_ids.floor(NOW - timedelta(days=9))}",
    ):
        page = signed_in.get(f"/logs/?{query}")
        assert page.status_code == 200
        assert "This search takes too long" in page.text
        assert 'name="stream"' in page.text
    poll = signed_in.get("/logs/?stream=yes&seen=", headers=FRAGMENT)
    assert (poll.status_code, poll.content) == (204, b"")
    assert time.monotonic() - began < 10
    monkeypatch.undo()
    assert rows(signed_in.get("/logs/").text) == [str(call.pk)]


def test_a_poll_looks_back_a_day(signed_in: Client, key: ApiKey) -> None:
    version = recorded.model()
    recorded.call(key, version, at=NOW - timedelta(days=1, minutes=1), stream=False)
    late = recorded.call(key, version, at=NOW - timedelta(hours=23), stream=False)
    for query in ("", "stream=no&"):
        found = signed_in.get(f"/logs/?{query}seen=", headers=FRAGMENT)
        assert rows(found.text) == [str(late.pk)]
