"""A planted difference in an archived month is found by name, in its file, its seals and on either side of its end."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from logs.archive import files, moving
from tests.logs.archive.conftest import FIRST, KEPT_ONE, SECOND, Past, broken, damage, write
from wallet import invariants

# With a superuser's rights, past the triggers. Of the sealed transfers those with an id are of two months.
FAULTS = [
    ("UPDATE logs_sealedusage SET charged_nanousd = charged_nanousd + 1", {"archived_months", "charges", "daily_usage"}),
    ("UPDATE logs_sealedusage SET failed = failed + 1", {"archived_months", "daily_usage"}),
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
    [finding] = invariants.check()
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
    [finding] = invariants.check()
    charlie = past.keys[1].wallet_id
    assert finding.ids == [f"{FIRST:%Y-%m}: wallet {charlie} has other calls in {path.name} than were sealed"]
    assert pq.ParquetFile(path).metadata.num_rows < 7


def test_a_run_over_some_wallets_reads_no_file(past: Past, filled: list[str]) -> None:
    moving.run()
    (past.folder / f"calls-{FIRST:%Y-%m}.parquet").unlink()
    for key in past.keys:
        assert invariants.check([key.wallet_id]) == []
