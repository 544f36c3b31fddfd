"""Exports of months that lie in files are those of when they lay in the table."""

from typing import Any
from uuid import UUID

import pytest

from logs import archive
from logs.account_api import exporting, looking
from logs.archive import Unreadable, files, moving
from logs.export_copies import Copies
from logs.export_progress import Progress
from logs.export_streams import Export
from logs.exporting import Format
from logs.models import Call
from logs.wanted import Wanted, of_days
from tests.account_api.conftest import Asker, access_token
from tests.logs.archive.conftest import FIRST, KEPT_ONE, SECOND, Past, has_table, noon, write


def exported(wanted: Wanted, form: Format) -> bytes:
    export = Export(Progress(wanted.wallet_id), form, lambda: Copies(wanted, form))
    try:
        return b"".join(export)
    finally:
        export.close()


def test_nothing_changes_when_months_move_into_files(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logs.export_copies.ARCHIVED_ROWS", 2)
    monkeypatch.setattr(files, "GROUP_ROWS", 3)
    key = past.keys[0]
    within = of_days(noon(FIRST).date(), noon(SECOND).date())
    views = [
        Wanted(key.wallet_id),
        Wanted(key.wallet_id, within),
        Wanted(key.wallet_id, of_days(KEPT_ONE, None)),
        Wanted(key.wallet_id, status="failed"),
        Wanted(key.wallet_id, key_id=key.pk, stream=True),
        Wanted(key.wallet_id, call_id=UUID(filled[0])),
        Wanted(key.wallet_id, within, call_id=UUID(filled[-1])),
        Wanted(past.keys[-1].wallet_id),
    ]
    before = [exported(view, form) for view in views for form in Format]
    ids = [str(call.pk) for call in Call.objects.filter(wallet_id=key.wallet_id).order_by("-id")]
    moving.run()
    assert not has_table(FIRST)
    assert Call.objects.filter(wallet_id=key.wallet_id).count() < len(ids)
    assert [exported(view, form) for view in views for form in Format] == before
    assert all(pk.encode() in before[0] for pk in ids)
    assert b"INCOMPLETE" not in b"".join(before)
    for path in past.folder.iterdir():
        path.unlink()
    # Of so few, all is read before the file begins; else its last line would say so.
    with pytest.raises(Unreadable):
        exported(views[0], Format.CSV)
    monkeypatch.setattr("logs.export_streams.BLOCK_BYTES", 1)
    assert b'"INCOMPLETE: an error' in exported(views[0], Format.CSV)
    assert b'"export_incomplete"' in exported(views[0], Format.JSONL)


def test_programs_export_the_same_when_months_move_into_files(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a filter leaves of the table it leaves of files; and each call once, when its month moves while it is read."""
    monkeypatch.setattr(exporting, "BATCH", 2)
    write("UPDATE logs_call SET upstream_id = 'up-1' WHERE id = %s", filled[2])
    asker = Asker(access_token(past.keys[0].wallet.owner))
    stranger = Asker(access_token(past.keys[-1].wallet.owner))
    key, first = past.keys[0], Call.objects.get(pk=filled[0])
    middle = int(noon(FIRST, 20).timestamp())
    views: list[dict[str, Any]] = [
        {}, {"type": 2}, {"type": 5}, {"type": 1}, {"token_name": key.name}, {"token_name": "nothing"},
        {"model_name": first.model.name, "end_timestamp": middle}, {"model_name": "nothing"}, {"start_timestamp": middle},
        {"request_id": filled[0]}, {"response_id": "up-1"}, {"group": "default"}, {"group": "nobody"},
    ]  # fmt: skip
    before = [asker.get("/api/log/self/export", **view).getvalue() for view in views]
    theirs = stranger.get("/api/log/self/export").getvalue()
    sought = looking.Sought([key.wallet_id])
    under_way = filter(None, exporting.OwnLog(sought))
    half = [next(under_way) for _ in range(6)]
    moving.run()
    assert not Call.objects.filter(pk=half[-1].split(b",")[2].decode()).exists(), (
        "it has begun with what moved"
    )
    assert b"".join([*half, *under_way]) == before[0]
    assert [asker.get("/api/log/self/export", **view).getvalue() for view in views] == before
    assert stranger.get("/api/log/self/export").getvalue() == theirs
    assert len(set(before)) == 9, "filters differ"
    assert filled[0].encode() in before[0]


def test_what_finds_nothing_in_the_archive_is_ended_all_the_same(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no line is found: each tells that it lives, month by month at least."""
    monkeypatch.setattr(exporting, "BATCH", 1)
    wallet = past.keys[0].wallet_id
    moving.run()
    held = sum(1 for _ in archive.calls_of(wallet))
    assert held > 3
    nothing = looking.Sought([wallet], call=looking.of_response("nothing"), codes=frozenset())
    _, *programs = exporting.OwnLog(nothing)
    assert set(programs) == {b""}
    assert len(programs) >= held
    copies = Copies(Wanted(wallet, call_id=UUID(int=1)), Format.JSONL)
    try:
        assert list(copies) == [b""] * len(archive.months())
    finally:
        copies.close()


def test_programs_are_told_of_an_archive_that_can_not_be_read(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moving.run()
    for path in past.folder.iterdir():
        path.unlink()
    asker = Asker(access_token(past.keys[0].wallet.owner))
    refused = asker.get("/api/log/self/export")
    assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    assert "archived month" in refused.json()["message"]
    monkeypatch.setattr("logs.export_streams.BLOCK_BYTES", 1)
    assert b'"INCOMPLETE: an error' in asker.get("/api/log/self/export").getvalue()
