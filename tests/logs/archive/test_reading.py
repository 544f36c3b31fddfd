"""Calls of an archived month are still answered for: one by its id, a wallet's in order, as pages and as data."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from django.test import Client

from accounts.models import User
from logs import archive, call_ids
from logs.archive import files, moving
from logs.models import Call
from tests.account_api.conftest import Asker, access_token
from tests.logs.archive.conftest import FIRST, KEPT_ONE, SECOND, Past, damage, noon, write

AS_JSON = {"Accept": "application/json"}


def test_a_wallets_calls_come_newest_first_within_their_bounds(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the table gave them before, for bounds on calls, between them and far away."""
    monkeypatch.setattr(files, "GROUP_ROWS", 3)
    rows = list(Call.objects.filter(pk__lt=call_ids.floor(noon(KEPT_ONE, 1) - timedelta(hours=12))))
    moving.run()
    chance = random.Random(7)
    ids = sorted(UUID(one) for one in filled)
    bounds = [*ids, *(UUID(int=one.int + 1) for one in ids), archive.FIRST, archive.LAST]
    for key in past.keys:
        for _ in range(60):
            lower, upper = chance.choice(bounds), chance.choice(bounds)
            wanted = [one.pk for one in rows if one.wallet_id == key.wallet_id and lower <= one.pk < upper]
            assert [row["id"] for row in archive.calls_of(key.wallet_id, lower, upper)] == wanted
    assert list(archive.calls_of(0)) == []


def test_one_call_is_found_by_its_owner_alone(past: Past, filled: list[str]) -> None:
    moving.run()
    alice, charlie = (key.wallet_id for key in past.keys)
    found = archive.find(alice, UUID(filled[0]))
    assert found is not None
    assert (str(found.pk), found.wallet_id, found.key) == (filled[0], alice, past.keys[0])
    assert archive.find(charlie, UUID(filled[0])) is None
    assert archive.find(alice, call_ids.new(int(noon(FIRST).timestamp() * 1000))) is None
    assert archive.find(alice, UUID(int=0)) is None
    assert archive.find(alice, archive.LAST) is None


@pytest.mark.parametrize("is_failed", [False, True])
def test_the_receipt_says_the_same_as_before(
    past: Past, filled: list[str], client: Client, is_failed: bool
) -> None:
    """Also what may identify a person, and why it failed, which lies apart from the call."""
    call = Call.objects.get(pk=filled[4 if is_failed else 0])
    assert (call.wallet, call.status == Call.Status.FAILED) == (past.keys[0].wallet, is_failed)
    address = f"/logs/{call.pk}/"
    client.force_login(past.keys[0].wallet.owner)
    before = [client.get(address, headers=AS_JSON).json(), client.get(address).text]
    for shown in ("203.0.113.9", "The model was overloaded."):
        assert (shown in before[1]) == is_failed
    moving.run()
    assert not Call.objects.filter(pk=call.pk).exists()
    answer = client.get(address, headers=AS_JSON)
    assert (answer.status_code, answer.json()) == (200, before[0])
    assert _without_nonces(client.get(address).text) == _without_nonces(before[1])
    client.force_login(past.keys[1].wallet.owner)
    assert client.get(address, headers=AS_JSON).status_code == 404
    assert client.get(address).status_code == 404


def test_a_file_from_before_estimates_were_told_is_read(past: Past, filled: list[str]) -> None:
    moving.run()
    path = next(past.folder.iterdir())
    older = pq.read_table(path).drop_columns("is_estimated")
    with pq.ParquetWriter(path, older.schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(older)
    (group,) = files.groups_of(path)
    assert group.schema.equals(files.SCHEMA)
    rows = [
        row for key in past.keys for row in files.rows_of(path, [key.wallet_id], archive.FIRST, archive.LAST)
    ]
    assert len(rows) == older.num_rows
    assert {row["is_estimated"] for row in rows} == {False}


def _without_nonces(page: str) -> list[str]:
    return [line for line in page.splitlines() if "nonce" not in line and "csrf" not in line]


def test_the_list_says_from_when_on_it_is_whole(past: Past, filled: list[str], client: Client) -> None:
    client.force_login(past.keys[0].wallet.owner)
    sentence = f"Calls before {KEPT_ONE.day} {KEPT_ONE:%B %Y} (UTC) are archived"
    assert sentence not in client.get("/logs/").text
    moving.run()
    page = client.get("/logs/")
    assert sentence in page.text
    shown = [one for one in filled if f'data-call-id="{one}"' in page.text]
    assert shown == [
        str(pk) for pk in Call.objects.filter(key=past.keys[0]).order_by("pk").values_list("pk", flat=True)
    ]
    assert f'<a href="/logs/{filled[0]}/">' in client.get(f"/logs/?call={filled[0]}").text


def test_what_is_archived_is_not_called_missing(past: Past, filled: list[str], client: Client) -> None:
    client.force_login(past.keys[0].wallet.owner)
    days = f"from={FIRST}&to={noon(FIRST, 20):%Y-%m-%d}"
    assert "Not known of archived calls" not in client.get(f"/logs/statistics/?{days}").text
    moving.run()
    since = f"since {KEPT_ONE.day} {KEPT_ONE:%B %Y}"
    assert f"No call matches {since}" in client.get(f"/logs/?{days}").text
    # All that cost as much is archived, and nothing older is left to look through.
    dear = client.get(f"/logs/?above=0.001&to={SECOND}")
    assert f"No call matches {since}" in dear.text
    assert "Look further back" not in dear.text
    assert "Not known of archived calls" in client.get(f"/logs/statistics/?{days}").text
    assert "Not known of archived calls" not in client.get("/logs/statistics/").text
    write("DELETE FROM logs_call")
    page = client.get("/logs/").text
    assert (f"No calls {since}" in page, "No calls yet" in page) == (True, False)


def test_a_file_that_is_away_is_an_outage_and_no_lost_call(
    past: Past, filled: list[str], client: Client
) -> None:
    moving.run()
    client.force_login(past.keys[0].wallet.owner)
    client.raise_request_exception = False
    path = past.folder / f"calls-{FIRST:%Y-%m}.parquet"
    kept = path.read_bytes()
    for spoil in (damage, type(path).unlink):
        path.write_bytes(kept)
        spoil(path)
        page = client.get(f"/logs/{filled[0]}/")
        assert page.status_code == 503
        assert "archived month can&#x27;t be read" in page.text or "archived month can't be read" in page.text
        assert "paying" not in page.text
        with pytest.raises(archive.Unreadable):
            archive.find(past.keys[0].wallet_id, UUID(filled[0]))
    path.write_bytes(kept)
    assert client.get(f"/logs/{filled[0]}/").status_code == 200


@pytest.mark.parametrize("query", ["", "&status=failed", f"&to={noon(FIRST, 20):%Y-%m-%d}", "&above=0.001"])
@pytest.mark.parametrize("written", ["csv", "jsonl"])
def test_an_export_is_the_same_as_before(
    past: Past, filled: list[str], client: Client, written: str, query: str
) -> None:
    client.force_login(past.keys[0].wallet.owner)

    def exported() -> bytes:
        return b"".join(client.get(f"/logs/export/?format={written}{query}"))

    before = exported()
    assert before.count(b"\n") > 1 or query == "&status=failed"
    moving.run()
    assert exported() == before


def test_programs_count_the_rows_that_they_can_page_through(past: Past, filled: list[str]) -> None:
    """What was spent is told of all calls, as before."""
    alice = past.keys[0]
    asker = Asker(access_token(alice.wallet.owner))
    spent = asker.data("/api/log/self/stat", type=2)["quota"]
    assert asker.data("/api/log/self", type=2)["total"] == 9
    moving.run()
    page = asker.data("/api/log/self", type=2)
    assert page["total"] == len(page["items"]) == Call.objects.filter(key=alice).count() == 2
    assert asker.data("/api/log/self/stat", type=2)["quota"] == spent
    end = int(noon(FIRST, 20).timestamp())
    assert asker.data("/api/log/self", type=2, end_timestamp=end)["total"] == 0


# From hour to hour: within a day, over days and ends of months, to a day that is kept; and how many calls Alice paid for.
TIMES = [
    (noon(FIRST) - timedelta(hours=1), noon(FIRST) + timedelta(hours=1), 1),
    (noon(FIRST) + timedelta(hours=1), noon(FIRST) + timedelta(hours=2), 0),
    (noon(FIRST) + timedelta(hours=1), noon(FIRST, 11) + timedelta(hours=1), 1),
    (noon(FIRST, 11), noon(SECOND, 1), 3),
    (noon(FIRST, 11) + timedelta(seconds=1), noon(KEPT_ONE, 5) + timedelta(hours=1), 7),
    (noon(SECOND, 20), noon(KEPT_ONE, 5) - timedelta(hours=1), 3),
]


@pytest.mark.parametrize(("start", "end", "paid"), TIMES)
def test_programs_sum_up_parts_of_archived_days(
    past: Past, filled: list[str], staff: User, start: datetime, end: datetime, paid: int
) -> None:
    """To the call: of everybody, of one wallet, and of its keys and models."""
    alice, charlie = past.keys
    owner, operator = (Asker(access_token(one)) for one in (alice.wallet.owner, staff))
    times = {"start_timestamp": int(start.timestamp()), "end_timestamp": int(end.timestamp())}
    views: list[dict[str, Any]] = [
        {},
        {"token_name": "k"},
        {"model_name": "gpt-4o"},
        {"model_name": "other"},
        {"type": 2},
    ]

    def told() -> list[Any]:
        return [
            *(owner.data("/api/log/self/stat", **times, **view) for view in views),
            *(operator.data("/api/log/stat", **times, **view) for view in views),
            operator.data("/api/data/", **times),
            operator.data("/api/data/", **times, user_id=charlie.wallet.owner_id),
        ]

    before = told()
    assert before[0]["quota"] == paid * 3_000
    moving.run()
    assert told() == before
