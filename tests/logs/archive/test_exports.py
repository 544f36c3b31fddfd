"""Exports of months that lie in files are those of when they lay in the table."""

from uuid import UUID

import pytest

from logs.archive import Unreadable, files, moving
from logs.export_progress import Progress
from logs.export_streams import Export
from logs.exporting import Format
from logs.models import Call
from logs.wanted import Wanted, of_days
from tests.logs.archive.conftest import FIRST, KEPT_ONE, SECOND, Past, has_table, noon


def exported(wanted: Wanted, form: Format) -> bytes:
    export = Export(wanted, form, Progress(wanted.wallet_id, None, None))
    try:
        return b"".join(export)
    finally:
        export.close()


def test_nothing_changes_when_months_move_into_files(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logs.export_streams.ARCHIVED_ROWS", 2)
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
