"""A planted difference in an archived month is found by name, in its file, its seals and on either side of its end."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client

from accounts.models import User
from cometsite import staff_index
from logs import tasks
from logs.archive import files, moving
from logs.invariants import ARCHIVED_MONTHS
from tests.logs.archive.conftest import FIRST, KEPT_ONE, SECOND, Past, broken, damage, findings, write
from wallet import alone, invariants
from wallet.models import DayRest

# With a superuser's rights, past the triggers. Of the sealed transfers those with an id are of two months.
FAULTS = [
    ("UPDATE logs_sealedusage SET charged_nanousd = charged_nanousd + 1", {"archived_months", "charges", "daily_usage"}),
    ("UPDATE logs_sealedusage SET failed = failed + 1", {"archived_months", "daily_usage"}),
    ("UPDATE logs_sealedusage SET largest_nanousd = largest_nanousd - 1", {"archived_months", "daily_usage"}),
    ("UPDATE logs_sealedusage SET output_tokens = output_tokens + 1", {"daily_usage"}),
    ("UPDATE logs_sealedusage SET promotional_nanousd = promotional_nanousd + 1", {"archived_months"}),
    ("DELETE FROM logs_sealedusage", {"archived_months", "charges", "daily_usage"}),
    ("UPDATE logs_sealedtransfers SET amount_nanousd = amount_nanousd + 1 WHERE transfer_id IS NULL", {"usage_transfers"}),
    ("UPDATE logs_sealedtransfers SET number = number + 1 WHERE transfer_id IS NULL", {"usage_transfers"}),
    ("UPDATE logs_sealedtransfers SET amount_nanousd = amount_nanousd + 1 WHERE transfer_id > 0", {"usage_transfers"}),
    ("DELETE FROM logs_sealedtransfers WHERE transfer_id > 0", {"usage_transfers"}),
    (
        f"UPDATE tokens_dailyusage SET calls = calls + 1 WHERE day < '{KEPT_ONE}'",
        {"daily_usage"},
    ),
    (
        f"""UPDATE tokens_dailyusage SET input_tokens = input_tokens + CASE WHEN day < '{SECOND}' THEN 1 ELSE -1 END
        WHERE day < '{KEPT_ONE}' AND extract(day FROM day) = 10""",
        {"daily_usage"},
    ),
    (
        """UPDATE logs_call SET promotional_nanousd = 0, promotional_transfer_id = NULL,
        paid_transfer_id = (SELECT min(id) FROM wallet_transfer WHERE code = 'usage')
        WHERE id = (SELECT min(id::text)::uuid FROM logs_call)""",
        {"usage_transfers", "sealed_days"},
    ),
    (
        """INSERT INTO wallet_transfer (code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,
            details)
        SELECT code, 'usage:forged', debit_account_id, credit_account_id, wallet_id, amount_nanousd, details
        FROM wallet_transfer WHERE code = 'usage' LIMIT 1""",
        {"usage_transfers", "charges", "wallet_balances", "house_balances"},
    ),
    (
        f"UPDATE logs_archivedmonth SET digest = sha256('x') WHERE month = '{SECOND}'",
        {"archived_months"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "names"), FAULTS)
def test_a_planted_fault_is_found(past: Past, filled: list[str], fault: str, names: set[str]) -> None:
    moving.run()
    assert broken() == set()
    write(fault)
    assert names <= broken()


@pytest.mark.parametrize("spoil", [damage, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_not_what_was_sealed_is_found(
    past: Past, filled: list[str], spoil: Callable[[Path], object]
) -> None:
    moving.run()
    path = past.folder / f"calls-{FIRST:%Y-%m}.parquet"
    spoil(path)
    [finding] = findings()
    assert (finding.invariant.name, len({one.split(":")[0] for one in finding.ids})) == ("archived_months", 1)
    assert finding.ids[0].startswith(f"{FIRST:%Y-%m}: calls-")


def test_a_file_with_other_calls_is_found_wallet_by_wallet(
    past: Past, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its digest was written anew; and where a wallet's calls lie in several groups."""
    monkeypatch.setattr(files, "GROUP_ROWS", 2)
    moving.run()
    assert broken() == set()
    path = past.folder / f"calls-{FIRST:%Y-%m}.parquet"
    groups = list(files.groups_of(path))
    assert len(groups) > 2
    files.write(path, iter(groups[:-1]))
    write("UPDATE logs_archivedmonth SET digest = %s WHERE month = %s", files.digest(path), FIRST)
    [finding] = findings()
    charlie = past.keys[1].wallet_id
    assert finding.ids == [f"{FIRST:%Y-%m}: wallet {charlie} has other calls in {path.name} than were sealed"]
    assert pq.ParquetFile(path).metadata.num_rows < 7


def test_the_books_check_reads_no_file(past: Past, filled: list[str]) -> None:
    """So a file that is away does not make each of its runs a full one, as slow as the archive is large."""
    moving.run()
    (past.folder / f"calls-{FIRST:%Y-%m}.parquet").unlink()
    assert invariants.check() == []
    assert [invariants.run(full=False).is_full for _ in range(2)] == [False, False]


def test_the_archive_is_checked_each_night_and_staff_see_what_is_found(
    past: Past, filled: list[str], staff: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def seen() -> str:
        staff_index.forget()
        return client.get("/admin/").text

    client.force_login(staff)
    tasks.check_archive()
    assert invariants.last(ARCHIVED_MONTHS) is None
    assert "Archive" not in seen()
    moving.run()
    tasks.check_archive()
    good = invariants.last(ARCHIVED_MONTHS)
    assert (good is not None and good.is_good, caplog.text) == (True, "")
    assert "Archive" in seen()
    damage(past.folder / f"calls-{FIRST:%Y-%m}.parquet")
    tasks.check_archive()
    run = invariants.last(ARCHIVED_MONTHS)
    assert run is not None
    assert list(run.failures) == ["archived_months"]
    assert f"The books break archived_months: {FIRST:%Y-%m}: calls-" in caplog.text
    assert f"/admin/wallet/checkrun/{run.pk}/change/" in seen()
    assert "archived months" in client.get("/admin/wallet/checkrun/").text
    assert "put it back from a backup" in client.get(f"/admin/wallet/checkrun/{run.pk}/change/").text
    with alone.at("check-archive"):
        tasks.check_archive()
    assert invariants.last(ARCHIVED_MONTHS) == run


def test_the_command_checks_books_and_archive(past: Past, filled: list[str]) -> None:
    moving.run()
    call_command("check_invariants")
    (past.folder / f"calls-{FIRST:%Y-%m}.parquet").unlink()
    with pytest.raises(SystemExit):
        call_command("check_invariants")


@pytest.mark.parametrize(
    "change",
    [
        "SET rows = rows + 1",
        "SET digest = sha256('x')",
        "SET chain = sha256('x')",
        "SET day = day - 400",
    ],
)
@pytest.mark.parametrize("which", ["min", "max"])
def test_a_seal_of_a_rest_that_was_changed_is_found(
    past: Past, filled: list[str], change: str, which: str
) -> None:
    moving.run()
    assert broken() == set()
    write(f"UPDATE wallet_dayrest {change} WHERE id = (SELECT {which}(id) FROM wallet_dayrest)")
    assert broken() == {"sealed_days"}


def test_a_seal_of_a_rest_that_is_gone_is_found_also_of_one_that_counts_no_more(
    past: Past, filled: list[str]
) -> None:
    moving.run()
    superseded = [rest.pk for rest in DayRest.objects.all() if is_superseded(rest)]
    assert superseded
    write("DELETE FROM wallet_dayrest WHERE id = %s", superseded[0])
    assert broken() == {"sealed_days"}


def is_superseded(rest: DayRest) -> bool:
    return DayRest.objects.filter(day=rest.day, pk__gt=rest.pk).exists()


def test_the_migration_chains_the_seals_of_rests_that_are_there(past: Past, filled: list[str]) -> None:
    moving.run()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE wallet_dayrest SET chain = ''")
        cursor.execute("SET session_replication_role = DEFAULT")
        assert broken() == {"sealed_days"}
        cursor.execute(import_module("wallet.migrations.0027_checks_by_subject").CHAIN)
    assert broken() == set()
    with pytest.raises(DatabaseError, match="is refused"):
        DayRest.objects.update(chain=b"")
