"""A month leaves the database: the books hold before, during and after, and every step can be done again."""

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from io import StringIO
from threading import Event
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from pytest_django import Settings

from logs import archive, call_ids, partitions, tasks
from logs.archive import files, moving, sealing
from logs.models import ArchivedMonth, Call, SealedTransfers
from logs.recording import record
from tests.books import assert_books
from tests.logs.archive.conftest import (
    FIRST,
    KEPT,
    KEPT_ONE,
    SECOND,
    Past,
    broken,
    damage,
    has_table,
    month,
    name,
    noon,
    write,
)
from tests.metering.gateway import call
from tests.parallel import at_once
from wallet import alone, invariants, seals
from wallet.models import DaySeal
from wallet.transactions import snapshot


def archived(past: Past) -> dict[UUID, dict[str, Any]]:
    return {row["id"]: row for key in past.keys for row in archive.calls_of(key.wallet_id)}


def assert_each_once(past: Past, ids: list[str]) -> None:
    """Each call is either archived or kept, never both and never neither."""
    bound = archive.kept_from() or archive.FIRST
    kept = {str(pk) for pk in Call.objects.filter(pk__gte=bound).values_list("pk", flat=True)}
    gone = {str(pk) for pk in archived(past)}
    assert (kept | gone, kept & gone) == (set(ids), set())


def test_the_books_hold_and_nothing_is_lost(past: Past, filled: list[str]) -> None:
    before = {one.pk: one for one in Call.objects.all()}
    assert broken() == set()
    moving.run()
    assert broken() == set()
    assert_books()
    assert [has_table(first_day) for first_day in (FIRST, SECOND, KEPT_ONE)] == [False, False, True]
    assert [(one.month, one.dropped_at is not None) for one in ArchivedMonth.objects.all()] == [
        (SECOND, True),
        (FIRST, True),
    ]
    assert_each_once(past, filled)
    found = archived(past)
    assert len(found) == 13
    for call_id, row in found.items():
        assert {column: getattr(before[call_id], column) for column in row} == row
    moving.run()
    assert ArchivedMonth.objects.count() == 2


def test_a_file_has_every_column_of_a_call(past: Past) -> None:
    assert set(files.SCHEMA.names) == {field.column for field in Call._meta.local_concrete_fields}


def test_a_transfer_over_the_end_of_a_month_is_kept_with_its_part(past: Past, filled: list[str]) -> None:
    months = defaultdict(set)
    for one in Call.objects.all():
        for transfer in {one.promotional_transfer_id, one.paid_transfer_id} - {None}:
            months[transfer].add(call_ids.moment(one.pk).date().replace(day=1))
    of_two = {transfer: its for transfer, its in months.items() if len(its) > 1}
    assert len(of_two) >= 3
    moving.run()
    parts = SealedTransfers.objects.exclude(transfer=None).values_list("transfer", "month")
    assert set(parts) == {(transfer, each) for transfer, its in of_two.items() for each in its - {KEPT_ONE}}


STEPS: list[tuple[str, Any, str]] = [
    ("writing", pq.ParquetWriter, "write_table"),
    ("writing", os, "fsync"),
    ("comparing", moving, "_compare"),
    ("sealing", sealing, "_run"),
    ("detaching", partitions, "detach"),
    ("looking", partitions, "is_there"),
    ("dropping", moving, "_drop"),
]


class Killed(BaseException):
    """Ends the process, as far as the code under test can see."""


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize(("step", "owner", "attribute"), STEPS)
@pytest.mark.parametrize("times", [1, 2])
def test_killed_before_or_after_any_step_it_goes_on(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch, step: str, owner: Any, attribute: str,
    is_done: bool, times: int,
) -> None:  # fmt: skip
    done: Callable[..., object] = getattr(owner, attribute)
    left = [times]

    def killed(*args: object, **more: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            if is_done:
                done(*args, **more)
            raise Killed
        return done(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(owner, attribute, killed)
        with pytest.raises(Killed):
            moving.run()
    assert broken() == set()
    assert_each_once(past, filled)
    moving.run()
    assert broken() == set()
    assert_books()
    assert_each_once(past, filled)
    assert not moving.due()


def test_a_detachment_that_was_cut_off_is_finished(past: Past, filled: list[str]) -> None:
    """Somebody reads calls; the database is told to stop waiting for them; the month is in between then."""
    other = connection.copy()
    with other.cursor() as reader, connection.cursor() as cursor:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM logs_call")
        cursor.execute("SET statement_timeout = 400")
        try:
            with pytest.raises(DatabaseError):
                moving.run()
        finally:
            cursor.execute("RESET statement_timeout")
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
        assert cursor.fetchone() == (1,)
        assert broken() == set()
        assert_each_once(past, filled)
        reader.execute("ROLLBACK")
    other.close()
    moving.run()
    assert broken() == set()
    assert_each_once(past, filled)


def test_a_check_that_began_before_sees_the_month_that_leaves(past: Past, filled: list[str]) -> None:
    """Without the lock it does not: the month is gone from its snapshot, and its seals are not in it yet."""
    other = connection.copy()
    with other.cursor() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM logs_archivedmonth")
        moving.run()
        reader.execute("SELECT (SELECT count(*) FROM logs_archivedmonth), (SELECT count(*) FROM logs_call)")
        archives, calls = reader.fetchone()
        assert (archives, calls < len(filled)) == (0, True)
        reader.execute("ROLLBACK")
    other.close()


def test_with_the_lock_the_month_waits(past: Past, filled: list[str]) -> None:
    """Without it the month leaves the table before it is looked at, as in the test above."""
    has_snapshot = Event()

    def look() -> int:
        with snapshot("logs_call"):
            assert not ArchivedMonth.objects.exists()
            has_snapshot.set()
            wait_until_detaching()
            return Call.objects.count()

    def both(number: int) -> int:
        if number:
            assert has_snapshot.wait(30)
            moving.run()
            return 0
        return look()

    assert at_once(2, both)[0] == len(filled)
    assert not moving.due()


def wait_until_detaching() -> None:
    other = connection.copy()
    with other.cursor() as cursor:
        for _ in range(600):
            cursor.execute(
                "SELECT pg_sleep(0.05), (SELECT count(*) FROM pg_inherits WHERE inhdetachpending) > 0"
                " OR to_regclass(%s) IS NULL",
                [name(FIRST)],
            )
            if cursor.fetchone()[1]:
                break
        else:
            pytest.fail("nothing was detached")
    other.close()


def test_calls_are_recorded_and_books_checked_meanwhile(past: Past, filled: list[str]) -> None:
    going = [True]

    def work(number: int) -> int:
        if number == 0:
            try:
                moving.run()
            finally:
                going[0] = False
            return 0
        return sum(1 for _ in rounds(number))

    def rounds(number: int) -> Iterator[None]:
        while going[0]:
            if number == 1:
                assert [one.result for one in record([call(past.keys[0])])] == ["accepted"]
            else:
                assert invariants.check() == []
            yield

    _, recorded, checked = at_once(3, work)
    assert recorded > 0
    assert checked > 0
    assert broken() == set()
    assert_books()


def test_one_at_a_time(past: Past, filled: list[str]) -> None:
    with alone.at("archive-calls") as is_ours:
        assert is_ours
        with pytest.raises(moving.AlreadyRunning):
            moving.run()
    assert not ArchivedMonth.objects.exists()


def test_only_whole_months_that_are_old_enough_are_due(past: Past, settings: Settings) -> None:
    assert [partition.month for partition in moving.due()] == [FIRST, SECOND]
    settings.CALLS_KEPT_MONTHS = 0
    assert moving.due() == []


def test_what_was_begun_is_finished_though_all_is_kept_now(
    past: Past, filled: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(partitions, "detach", lambda partition: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            moving.run()
    settings.CALLS_KEPT_MONTHS = 0
    moving.run()
    assert [has_table(first_day) for first_day in (FIRST, SECOND)] == [False, True]


def test_an_empty_month_goes_too(past: Past) -> None:
    invariants.run(full=True)
    moving.run()
    assert [one.calls for one in ArchivedMonth.objects.all()] == [0, 0]
    assert broken() == set()


def test_a_day_that_is_not_what_was_sealed_stays(past: Past, filled: list[str]) -> None:
    write(f"UPDATE {name(FIRST)} SET held_nanousd = 5 WHERE status = 'failed'")
    with pytest.raises(moving.NotArchived, match="rows were sealed"):
        moving.run()
    assert (has_table(FIRST), ArchivedMonth.objects.exists()) == (True, False)


def test_calls_that_came_today_stay_until_their_day_is_sealed(past: Past, filled: list[str]) -> None:
    write(f"UPDATE {name(FIRST)} SET recorded_at = now() WHERE status = 'failed'")
    with pytest.raises(moving.NotArchived, match="is not sealed yet"):
        moving.run()
    assert not ArchivedMonth.objects.exists()


def test_nothing_goes_while_the_books_are_wrong(past: Past, filled: list[str]) -> None:
    write("UPDATE tokens_dailyusage SET calls = calls + 1")
    invariants.run(full=True)
    found = "The last check of the books found daily_usage: .* manage.py check_invariants"
    with pytest.raises(moving.NotArchived, match=found):
        moving.run()
    with pytest.raises(CommandError, match=found):
        call_command("archive_calls", "--dry-run", stdout=StringIO())
    assert not ArchivedMonth.objects.exists()


def test_nothing_goes_while_a_file_is_not_what_was_sealed(
    past: Past, filled: list[str], settings: Settings
) -> None:
    settings.CALLS_KEPT_MONTHS = KEPT + 1
    moving.run()
    damage(past.folder / f"calls-{FIRST:%Y-%m}.parquet")
    tasks.check_archive()
    settings.CALLS_KEPT_MONTHS = KEPT
    with pytest.raises(
        moving.NotArchived, match="The last check of the archived months found archived_months"
    ):
        moving.run()
    assert ArchivedMonth.objects.count() == 1


@pytest.mark.parametrize(
    "runs",
    [
        "finished_at = NULL",
        "is_full = false",
        "started_at = now() - interval '36 hours 1 minute'",
        "subject = 'archived months'",
    ],
)
def test_nothing_goes_without_a_good_check_of_all_the_books_of_late(
    past: Past, filled: list[str], runs: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(f"UPDATE wallet_checkrun SET {runs}")
    sentence = "No check of all the books ended well in the last 36 hours"
    with pytest.raises(CommandError, match=sentence):
        call_command("archive_calls")
    tasks.archive_calls()
    assert sentence in caplog.text
    assert (has_table(FIRST), list(past.folder.iterdir())) == (True, [])
    assert not ArchivedMonth.objects.exists()
    write("UPDATE wallet_checkrun SET finished_at = now()")
    invariants.run(full=True)
    assert not invariants.run(full=False).is_full
    moving.run()
    assert ArchivedMonth.objects.count() == 2


def test_a_file_that_was_written_wrongly_is_noticed(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = files.write

    def wrongly(path: Any, groups: Any) -> int:
        return written(path, (group.slice(0, group.num_rows - 1) for group in groups))

    monkeypatch.setattr(files, "write", wrongly)
    with pytest.raises(moving.NotArchived, match="is not what the database has"):
        moving.run()
    assert (has_table(FIRST), ArchivedMonth.objects.exists()) == (True, False)


def test_the_table_stays_where_the_file_was_damaged_meanwhile(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    detach = partitions.detach

    def damaging(partition: partitions.Partition) -> None:
        detach(partition)
        path = past.folder / f"calls-{partition.month:%Y-%m}.parquet"
        damage(path)

    monkeypatch.setattr(partitions, "detach", damaging)
    with pytest.raises(moving.NotArchived, match="is not the file that was sealed"):
        moving.run()
    assert has_table(FIRST)
    assert ArchivedMonth.objects.get().dropped_at is None


@pytest.mark.parametrize("owner_and_name", [(pq.ParquetWriter, "write_table"), (os, "fsync")])
def test_a_full_disk_keeps_the_month_and_nothing_of_its_file(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch, owner_and_name: tuple[Any, str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*owner_and_name, full)
        with pytest.raises(moving.NotArchived, match="No space left on device"):
            moving.run()
    assert list(past.folder.iterdir()) == []
    assert (has_table(FIRST), ArchivedMonth.objects.exists()) == (True, False)
    moving.run()
    assert not moving.due()


def test_a_folder_that_is_not_there_is_not_made(past: Past, filled: list[str], settings: Settings) -> None:
    settings.CALLS_ARCHIVE_DIR = str(past.folder / "unmounted")
    with pytest.raises(moving.NotArchived, match="CALLS_ARCHIVE_DIR"):
        moving.run()
    assert not (past.folder / "unmounted").exists()


@pytest.mark.parametrize("is_empty", [True, False])
def test_nothing_goes_to_a_folder_without_the_files_of_before(
    past: Past,
    filled: list[str],
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
    is_empty: bool,
) -> None:
    """A mount point whose disk is away, or a folder in which a file was cut short."""
    settings.CALLS_KEPT_MONTHS = KEPT + 1
    moving.run()
    settings.CALLS_KEPT_MONTHS = KEPT
    path = past.folder / f"calls-{FIRST:%Y-%m}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    if is_empty:
        path.write_bytes(whole)
        settings.CALLS_ARCHIVE_DIR = str(tmp_path_factory.mktemp("unmounted"))
    for _ in range(2):
        with pytest.raises(moving.NotArchived, match=f"lacks {path.name}, or has it in another length"):
            moving.run()
        assert (has_table(SECOND), ArchivedMonth.objects.count()) == (True, 1)
    settings.CALLS_ARCHIVE_DIR = str(past.folder)
    path.write_bytes(whole)
    moving.run()
    assert ArchivedMonth.objects.count() == 2


def test_an_archived_month_gets_no_table_again(past: Past, filled: list[str]) -> None:
    moving.run()
    for first_day in (FIRST, month(30)):
        with pytest.raises(DatabaseError, match="are archived"), connection.cursor() as cursor:
            cursor.execute("SELECT logs_make_partition(%s)", [first_day])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE logs_archivedmonth SET calls = calls + 1",
        "DELETE FROM logs_archivedmonth",
        "UPDATE logs_sealedusage SET calls = calls + 1",
        "DELETE FROM logs_sealedusage",
        "TRUNCATE logs_sealedusage",
        "UPDATE logs_sealedtransfers SET number = number + 1",
        "DELETE FROM logs_sealedtransfers",
        "DELETE FROM wallet_dayrest",
    ],
)
def test_what_was_sealed_is_final(past: Past, filled: list[str], statement: str) -> None:
    moving.run()
    with pytest.raises(DatabaseError, match="is refused"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_command_says_what_it_does(past: Past, filled: list[str], settings: Settings) -> None:
    def told(*arguments: str) -> str:
        out = StringIO()
        call_command("archive_calls", *arguments, stdout=out)
        return out.getvalue()

    assert told("--dry-run") == f"{FIRST:%Y-%m} is due.\n{SECOND:%Y-%m} is due.\n"
    assert not ArchivedMonth.objects.exists()
    lines = told().splitlines()
    assert lines[0].startswith(f"{FIRST:%Y-%m}: 7 calls are in calls-{FIRST:%Y-%m}.parquet, ")
    assert lines[1] == f"{FIRST:%Y-%m}: the database has them no more."
    nothing = f"No month is due: those from {KEPT_ONE:%Y-%m} on are kept.\n"
    assert (told(), told("--dry-run")) == (nothing, nothing)
    settings.CALLS_KEPT_MONTHS, settings.CALLS_ARCHIVE_DIR = 3, ""
    for arguments in ((), ("--dry-run",)):
        with pytest.raises(CommandError, match="CALLS_ARCHIVE_DIR"):
            told(*arguments)
    settings.CALLS_KEPT_MONTHS = 0
    everything = "No month is due: CALLS_KEPT_MONTHS is 0, so all are kept.\n"
    assert (told(), told("--dry-run")) == (everything, everything)


def test_a_dry_run_seals_nothing(past: Past, filled: list[str]) -> None:
    write("DELETE FROM wallet_dayseal WHERE day >= %s", noon(SECOND).date())
    sealed = DaySeal.objects.count()
    call_command("archive_calls", "--dry-run", stdout=StringIO())
    assert DaySeal.objects.count() == sealed


def test_every_night_where_it_is_wanted(past: Past, filled: list[str], settings: Settings) -> None:
    settings.CALLS_KEPT_MONTHS = 0
    tasks.archive_calls()
    assert not ArchivedMonth.objects.exists()
    settings.CALLS_KEPT_MONTHS = 4
    tasks.archive_calls()
    assert ArchivedMonth.objects.count() == 2


def test_days_that_lost_a_part_are_sealed_for_the_rest(past: Past, filled: list[str]) -> None:
    """The late call was recorded with calls that stay: their day is checked as before."""
    moving.run()
    assert seals.broken(None) == []
    write("DELETE FROM logs_call WHERE id = %s", filled[-2])
    assert seals.broken(None) == [
        f"logs_call of {noon(KEPT_ONE, 5):%Y-%m-%d}: 2 rows were sealed, 1 are there"
    ]
