"""What a batch leaves in a second try, between statements, and in the connection that it ran on."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from accounts.models import User
from cometsite.patience import Patience, patience
from logs import call_ids
from logs.models import Call, CallDetails
from logs.recording import record
from tests.books import assert_books
from tests.ledger.test_lost_commits import faults
from tests.metering.gateway import Gateway, call, give, sell
from tests.parallel import at_once, deadlocks
from tests.plugin import CLUSTER
from tokens import keys
from tokens.keys import IssuedKey
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import Code
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db(transaction=True)
RICH = 10**9


@pytest.fixture
def rich(alice: User) -> IssuedKey:
    sell()
    return keys.issue(give(alice, RICH), "laptop")


def another() -> "psycopg.Connection[Any]":
    return psycopg.connect(CLUSTER.url(str(connection.settings_dict["NAME"])), autocommit=True)


def withdraw_all_credit(key: ApiKey) -> None:
    with transaction.atomic():
        left = ledger.lock([key.wallet_id])[key.wallet_id].promotional_nanousd
        ledger.post(
            code=Code.GRANT_VOID,
            reference=f"test:{call_ids.new()}",
            debit=ledger.promotional(key.wallet),
            credit=ledger.house("promotions"),
            amount_nanousd=left,
        )


def test_a_second_try_splits_the_charge_by_what_is_left_then(
    rich: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given credit that paid in the first try is gone in the second: all of it is paid by bought money."""
    give(rich.key.wallet.owner, RICH, "promotional")
    monkeypatch.setattr("wallet.transactions.time.sleep", lambda _: withdraw_all_credit(rich.key))
    with faults(1, "40001", "DEFERRED"):
        assert record([call(rich.key)])[0].result == "accepted"
    funds = ledger.balances(rich.key.wallet)
    assert (funds.promotional_nanousd, funds.paid_nanousd) == (0, RICH - 6_000_000)
    assert Call.objects.get().promotional_transfer_id is None
    assert_books()


def test_opposite_ids_of_two_wallets_never_deadlock(rich: IssuedKey, charlie: User) -> None:
    """The ids are the same, so the wallets' locks do not keep the two batches apart."""
    other = keys.issue(give(charlie, RICH * 1000), "k").key
    give(rich.key.wallet.owner, RICH * 1000)
    before = deadlocks()
    for _ in range(4):
        mine = [call(rich.key) for _ in range(300)]
        batches = [mine, [{**report, "token_id": other.pk} for report in reversed(mine)]]
        told = at_once(2, lambda number: record(batches[number]))  # noqa: B023 (used within the round)
        counted = Counter(result.result for results in told for result in results)
        assert counted == {"accepted": 300, "rejected": 300}
    time.sleep(1.2)  # Statistics are told with a delay.
    assert deadlocks() == before
    assert_books()


def test_a_lock_that_does_not_come_undoes_all_and_the_next_try_is_good(
    rich: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of several statements that were sent at once fails, on a connection that has prepared none of them."""
    tries: list[float] = []
    with another() as blocker, blocker.transaction(force_rollback=True):
        blocker.execute("SELECT FROM wallet_account WHERE wallet_id = %s FOR UPDATE", [rich.key.wallet_id])
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")

        def wait(_: float) -> None:
            tries.append(time.monotonic())
            if len(tries) == 2:
                raise psycopg.Rollback

        monkeypatch.setattr("wallet.transactions.time.sleep", wait)
        with pytest.raises(psycopg.Rollback):
            record([call(rich.key)])
    monkeypatch.undo()
    assert not Call.objects.exists()
    assert record([call(rich.key)])[0].result == "accepted"
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
    assert_books()


def test_a_request_without_time_left_ends_and_the_next_one_is_good(rich: IssuedKey) -> None:
    with another() as blocker, blocker.transaction(force_rollback=True):
        blocker.execute("SELECT FROM wallet_account WHERE wallet_id = %s FOR UPDATE", [rich.key.wallet_id])
        token = patience.set(Patience(0.4, time.monotonic() + 0.4))
        try:
            with pytest.raises(OperationalError):
                record([call(rich.key)])
        finally:
            patience.reset(token)
    assert not Call.objects.exists()
    assert record([call(rich.key)])[0].result == "accepted"
    assert_books()


def test_what_is_set_for_one_statement_does_not_outlive_it(rich: IssuedKey) -> None:
    gateway = Gateway()
    for _ in range(3):
        admission = gateway.authorize(rich.text).json()
        gateway.record(call(rich.key, call_id=admission["call_id"]))
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')")
        assert cursor.fetchone() == ("on", "force_generic_plan")
        cursor.execute("SELECT setting, reset_val FROM pg_settings WHERE name = 'synchronous_commit'")
        now, usual = cursor.fetchone()
    assert now == usual


def test_only_letting_in_does_not_wait_for_the_disk(rich: IssuedKey) -> None:
    """Its commit, and no other: recording after it, on the same connection, waits as the server is set to."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = 'on'")
    seen: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE NOTICE '% %', TG_TABLE_NAME, current_setting('synchronous_commit'); RETURN NULL; END $$"
        )
        for table in ("wallet_hold", "wallet_transfer"):
            cursor.execute(f"CREATE TRIGGER tell AFTER INSERT ON {table} EXECUTE FUNCTION tell()")
    raw: Any = connection.connection
    raw.add_notice_handler(lambda notice: seen.append(notice.message_primary))
    gateway = Gateway()
    admission = gateway.authorize(rich.text).json()
    gateway.record(call(rich.key, call_id=admission["call_id"]))
    told = list(seen)
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION tell CASCADE")
        cursor.execute("RESET synchronous_commit")
    assert told == ["wallet_hold off", "wallet_transfer on"]


NASTY = [
    "\\.", "\\N", "a\tb\nc\rd\\e", "\\", "\x08\x0b\x0c\x1b\x7f", "\u2028\u2029\x85\u00a0\ufeff", "\ud800x\x00",
    "\U0010ffff\u202e", " ", "\\t", "N", "a\\\n", "'\"{},", "\\x41\\101",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_any_text_is_kept_as_it_came(rich: IssuedKey, text: str) -> None:
    nasty = call(rich.key, endpoint=text, upstream_id=text, error=text)
    assert [result.result for result in record([nasty, call(rich.key)])] == ["accepted"] * 2
    kept = text.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
    found = Call.objects.get(pk=nasty["call_id"])
    assert (found.endpoint, found.upstream_id) == (kept, kept)
    assert CallDetails.objects.get(call_id=found.pk).error == kept


def test_a_month_that_is_missing_is_made(rich: IssuedKey) -> None:
    """Where the scheduler stood still for months: no call is lost for it."""
    at = datetime.now(UTC) - timedelta(days=33)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE logs_call_{at:%Y_%m}")
    late = call(rich.key, call_id=str(call_ids.new(int(at.timestamp() * 1000))), started_at=at.isoformat())
    assert [result.result for result in record([late, call(rich.key)])] == ["accepted"] * 2
    assert_books()


def test_a_key_stays_in_its_wallet(rich: IssuedKey, charlie: User) -> None:
    with pytest.raises(DatabaseError, match="stays in its wallet"):
        ApiKey.objects.filter(pk=rich.key.pk).update(wallet=wallet_of(charlie))
