"""The product checks its own books: planted faults are found, each by name and with its id."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.models import User
from cometsite import staff_index
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from wallet import invariants, ledger, seals
from wallet.models import CheckRun, DaySeal, TopUp, Transfer, Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet(alice: User) -> Wallet:
    sell()
    wallet = give(alice, 1_000_000_000)
    give(alice, 3_000_000, "promotional")
    issued = keys.issue(wallet, "k")
    gateway = Gateway()
    gateway.record(call(issued.key), call(issued.key, status="failed"))
    gateway.record(
        call(issued.key, usage={"cached_input_tokens": 7, "output_tokens": 300, "reasoning_tokens": 5})
    )
    gateway.authorize(issued.text)
    return wallet


@contextmanager
def past_the_triggers() -> Iterator[None]:
    """As somebody with a superuser's rights can write."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def write(sql: str) -> None:
    with past_the_triggers(), connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.rowcount > 0, "the fault was not planted"


def broken() -> set[str]:
    return {finding.invariant.name for finding in invariants.check()}


def test_good_books_break_nothing(wallet: Wallet) -> None:
    assert broken() == set()
    assert {finding.invariant.name for finding in invariants.check([wallet.pk])} == set()


FAULTS = [
    ("UPDATE wallet_funds SET paid_nanousd = paid_nanousd + 1", {"wallet_balances", "sum_is_zero"}),
    (
        "UPDATE wallet_funds SET paid_nanousd = paid_nanousd - 1, promotional_nanousd = promotional_nanousd + 1",
        {"wallet_balances"},
    ),
    (
        "UPDATE wallet_housebalance SET balance_nanousd = balance_nanousd + 1 WHERE slot = 3 AND account_id = 2",
        {"house_balances", "sum_is_zero"},
    ),
    (
        "DELETE FROM wallet_transfer WHERE id = (SELECT max(id) FROM wallet_transfer WHERE code = 'usage')",
        {"wallet_balances", "house_balances", "charges", "usage_transfers"},
    ),
    (
        "UPDATE wallet_transfer SET amount_nanousd = amount_nanousd + 1 WHERE code = 'grant'",
        {"wallet_balances", "house_balances"},
    ),
    (
        "UPDATE logs_call SET charged_nanousd = charged_nanousd + 1 WHERE paid_transfer_id IS NOT NULL",
        {"charges", "usage_transfers", "daily_usage", "hourly_usage"},
    ),
    ("DELETE FROM logs_call WHERE status = 'failed'", {"daily_usage", "hourly_usage"}),
    *(
        (f"UPDATE tokens_{table} SET {column} = {column} + 1", {invariant})
        for table, invariant in (("dailyusage", "daily_usage"), ("hourlyusage", "hourly_usage"))
        for column in (
            "calls",
            "failed",
            "input_tokens",
            "cached_input_tokens",
            "output_tokens",
            "charged_nanousd",
        )
    ),
    ("UPDATE tokens_dailyusage SET largest_nanousd = largest_nanousd - 1", {"daily_usage"}),
    ("UPDATE tokens_dailyusage SET day = day - 1", {"daily_usage"}),
    ("UPDATE tokens_hourlyusage SET hour = hour - interval '1 hour'", {"hourly_usage"}),
    ("DELETE FROM tokens_dailyusage", {"daily_usage"}),
    ("DELETE FROM tokens_hourlyusage", {"hourly_usage"}),
    ("UPDATE wallet_funds SET held_nanousd = held_nanousd + 1", {"held_totals"}),
    ("DELETE FROM wallet_hold", {"held_totals"}),
    ("UPDATE wallet_hold SET expires_at = now() - interval '2 hours'", {"leaked_holds"}),
]


@pytest.mark.parametrize(("fault", "names"), FAULTS)
def test_a_planted_fault_is_found(wallet: Wallet, fault: str, names: set[str]) -> None:
    write(fault)
    found = broken()
    assert names <= found
    assert found - names <= {"sum_is_zero"}


@pytest.mark.parametrize("table", ["dailyusage", "hourlyusage"])
def test_a_roll_up_is_checked_for_its_wallet_alone(wallet: Wallet, charlie: User, table: str) -> None:
    other = give(charlie, 1)
    write(f"UPDATE tokens_{table} SET output_tokens = 0")
    [finding] = invariants.check([wallet.pk])
    assert f"of wallet {wallet.pk}" in finding.ids[0]
    assert invariants.check([other.pk]) == []


def test_a_wallet_without_its_accounts_is_found(wallet: Wallet, charlie: User) -> None:
    write(f"INSERT INTO wallet_wallet (owner_id) VALUES ({charlie.pk})")
    assert broken() == {"wallet_accounts"}


def test_a_payment_without_its_credit_and_a_credit_without_its_payment_are_found(wallet: Wallet) -> None:
    TopUp.objects.create(
        wallet=wallet, amount_cents=100, state="paid", received_cents=100, payment_intent_id="pi_lost"
    )
    assert broken() == {"payments", "stripe_clearing"}
    write("DELETE FROM wallet_topup")
    transfer = Transfer.objects.filter(code="grant").earliest("id")
    write(
        f"UPDATE wallet_transfer SET code = 'top_up', reference = 'top_up:pi_none' WHERE id = {transfer.pk}"
    )
    assert broken() == {"payments"}


def test_the_command_names_what_is_wrong_and_exits_with_1(wallet: Wallet) -> None:
    out = StringIO()
    call_command("check_invariants", stdout=out)
    call_command("check_invariants", "--wallet", str(wallet.pk), stdout=out)
    call_command("check_invariants", "--since", "2020-01-01", stdout=out)
    assert "invariants hold over all wallets" in out.getvalue()
    assert "over 1 of the wallets" in out.getvalue()
    write("UPDATE wallet_funds SET paid_nanousd = paid_nanousd + 1")
    errors = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants", stderr=errors)
    assert ended.value.code == 1
    assert "FAILED wallet_balances: A wallet's cached balance is not" in errors.getvalue()
    funds = ledger.balances(wallet)
    told = (
        f"wallet {wallet.pk}: promotional {funds.promotional_nanousd} and paid {funds.paid_nanousd} nano-dollars,"
        f" its transfers sum to {funds.promotional_nanousd} and {funds.paid_nanousd - 1}\n"
    )
    assert told in errors.getvalue()


@pytest.mark.parametrize(
    "arguments", [["--wallet", "999999"], ["--since", "yesterday"], ["--since", "2026-02-30"]]
)
def test_the_command_refuses_what_it_cannot_read(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("check_invariants", *arguments)


def test_a_run_looks_at_what_moved_and_is_remembered(wallet: Wallet) -> None:
    first = invariants.run(full=False)
    assert (first.is_full, first.is_good, first.wallets) == (True, True, 1)
    second = invariants.run(full=False)
    assert (second.is_full, second.is_good, second.wallets) == (False, True, 1)
    assert invariants.last_good() == second
    write("UPDATE wallet_funds SET paid_nanousd = paid_nanousd + 1")
    third = invariants.run(full=False)
    [found] = third.failures["wallet_balances"]
    assert found.startswith(f"wallet {wallet.pk}: ")
    assert invariants.last_good() is None
    assert CheckRun.objects.count() == 3


def test_a_finding_stays_until_it_is_mended(wallet: Wallet, charlie: User) -> None:
    """A run over what moved would pass it by; so long as something is wrong, all wallets are looked at."""
    invariants.run(full=True)
    write("UPDATE wallet_funds SET paid_nanousd = paid_nanousd + 1")
    assert invariants.run(full=True).failures
    run = invariants.run(full=False)
    assert (run.is_full, bool(run.failures)) == (True, True)
    write("UPDATE wallet_funds SET paid_nanousd = paid_nanousd - 1")
    assert invariants.run(full=False).is_good
    assert not invariants.run(full=False).is_full


def test_staff_see_what_is_wrong_and_where(wallet: Wallet, staff: User, client: Client) -> None:
    client.force_login(staff)
    invariants.run(full=True)
    staff_index.forget()
    assert "Right" in client.get("/admin/").text
    page = f"/admin/wallet/wallet/{wallet.pk}/change/"
    assert "nothing found about this wallet" in client.get(page).text
    write("UPDATE wallet_funds SET paid_nanousd = paid_nanousd + 1")
    run = invariants.run(full=True)
    staff_index.forget()
    first = client.get("/admin/").text
    assert "2 wrong" in first
    assert f"/admin/wallet/checkrun/{run.pk}/change/" in first
    found = client.get(f"/admin/wallet/checkrun/{run.pk}/change/").text
    assert f'<a href="{page}">wallet {wallet.pk}</a>: promotional' in found
    assert "Wrong: wallet" in client.get(page).text


def yesterday(sql: str) -> None:
    write(sql.format(yesterday=(datetime.now(UTC) - timedelta(days=2)).isoformat()))


def test_an_edit_of_a_sealed_day_is_found(wallet: Wallet) -> None:
    yesterday("UPDATE wallet_transfer SET created_at = '{yesterday}'")
    yesterday("UPDATE logs_call SET recorded_at = '{yesterday}'")
    assert seals.seal_closed_days() == 2
    assert seals.seal_closed_days() == 0
    assert broken() == set()
    write("UPDATE wallet_transfer SET details = '{\"a\": 1}' WHERE code = 'grant'")
    (finding,) = invariants.check()
    assert finding.invariant.name == "sealed_days"
    assert "wallet_transfer of" in finding.ids[0]


def test_a_row_removed_from_a_sealed_day_is_found(wallet: Wallet) -> None:
    yesterday("UPDATE logs_call SET recorded_at = '{yesterday}'")
    seals.seal_closed_days()
    write("DELETE FROM logs_call WHERE status = 'failed'")
    assert "sealed_days" in broken()


def test_a_row_slipped_into_a_day_that_was_sealed_over_is_found(wallet: Wallet) -> None:
    yesterday("UPDATE logs_call SET recorded_at = '{yesterday}'")
    seals.seal_closed_days()
    write("UPDATE logs_call SET recorded_at = '2026-01-05T00:00Z' WHERE status = 'failed'")
    assert "sealed_days" in broken()


def test_seals_cannot_be_rewritten(wallet: Wallet) -> None:
    yesterday("UPDATE wallet_transfer SET created_at = '{yesterday}'")
    seals.seal_closed_days()
    first, *_ = DaySeal.objects.all()
    assert first.rows == Transfer.objects.count()
