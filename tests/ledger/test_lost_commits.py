"""A transaction that is undone, or whose COMMIT nobody answered, is done again from its start, and counts once."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from pytest_django.plugin import DjangoDbBlocker

from accounts.models import AuditEntry, User
from logs.models import Call
from tests.books import assert_books
from tests.ledger.crew import Crew, crew
from tests.ledger.jobs import call as report_of
from tests.ledger.postings import paid_top_up, staff_wants
from tests.ledger.proxy import Proxy, proxy
from tests.metering.gateway import Gateway, call, give, sell
from tests.plugin import CLUSTER
from tokens import keys
from tokens.keys import IssuedKey
from wallet import acts, ledger, transactions
from wallet.models import Code, Transfer, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db(transaction=True)
RICH = 10**12
COST = 6_000_000


@contextmanager
def faults(count: int, sqlstate: str, moment: str) -> Iterator[None]:
    """The database undoes the first `count` transactions that insert a transfer, at once or when they commit."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE faults")
        cursor.execute(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('faults') <= {count} THEN RAISE EXCEPTION 'injected' USING ERRCODE = '{sqlstate}'; END IF;"
            " RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER fault AFTER INSERT ON wallet_transfer"
            f" DEFERRABLE INITIALLY {moment} FOR EACH ROW EXECUTE FUNCTION fault()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER fault ON wallet_transfer")
            cursor.execute("DROP FUNCTION fault")
            cursor.execute("DROP SEQUENCE faults")


@pytest.fixture
def rich(alice: User) -> IssuedKey:
    sell()
    return keys.issue(give(alice, RICH), "laptop")


UNDONE = [
    ("40001", "DEFERRED"),
    ("40001", "IMMEDIATE"),
    ("40P01", "DEFERRED"),
    ("40P01", "IMMEDIATE"),
    ("55P03", "IMMEDIATE"),
    ("57P01", "DEFERRED"),
]


@pytest.mark.parametrize(("sqlstate", "moment"), UNDONE)
def test_a_batch_that_was_undone_is_recorded_once(rich: IssuedKey, sqlstate: str, moment: str) -> None:
    gateway = Gateway()
    with faults(3, sqlstate, moment):
        results = gateway.record(*[call(rich.key) for _ in range(3)])
    assert [result["result"] for result in results] == ["accepted"] * 3
    assert ledger.balances(rich.key.wallet).balance_nanousd == RICH - 3 * COST
    assert Call.objects.count() == 3
    assert_books()


def test_a_batch_that_is_undone_every_time_leaves_nothing_behind(rich: IssuedKey) -> None:
    gateway, report = Gateway(), call(rich.key)
    with faults(transactions.ATTEMPTS, "40001", "DEFERRED"):
        answer = gateway.post("calls", {"calls": [report]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer["Retry-After"]
    assert not Call.objects.exists()
    assert ledger.balances(rich.key.wallet).balance_nanousd == RICH
    assert gateway.record(report)[0]["result"] == "accepted"
    assert_books()


@pytest.mark.parametrize(("sqlstate", "moment"), UNDONE)
def test_staff_and_stripe_are_heard_once(alice: User, staff: User, sqlstate: str, moment: str) -> None:
    wallet = wallet_of(alice)
    with faults(2, sqlstate, moment):
        acts.give_credit(staff_wants(staff), wallet, 10**9)
    with faults(2, sqlstate, moment):
        paid_top_up(wallet, cents=100)
    funds = ledger.balances(wallet)
    assert (funds.promotional_nanousd, funds.paid_nanousd) == (10**9, 10**9)
    assert AuditEntry.objects.count() == 1
    assert_books()


def test_another_error_is_not_tried_again(alice: User, staff: User) -> None:
    with faults(1, "53100", "IMMEDIATE"), pytest.raises(OperationalError):
        acts.give_credit(staff_wants(staff), wallet_of(alice), 10**9)
    assert not Transfer.objects.exists()
    assert not AuditEntry.objects.exists()


# A line that breaks at the worst moment.


@pytest.fixture(scope="module")
def line(django_db_setup: None) -> Iterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="line-") as folder, proxy(Path(folder), CLUSTER.sockets) as made:
        yield made


@pytest.fixture(scope="module")
def far_away(line: Proxy, django_db_blocker: DjangoDbBlocker) -> Iterator[Crew]:
    """A process that reaches the database only through the line."""
    with django_db_blocker.unblock(), crew(1, str(Path(line.listener.getsockname()).parent)) as working:
        yield working


LOST = [["reply"], ["request"], ["reply", "reply"], ["request", "reply"], ["reply", "request", "reply"]]


@pytest.mark.parametrize("what", LOST, ids="-".join)
def test_a_call_whose_commit_got_lost_is_charged_once(
    line: Proxy, far_away: Crew, rich: IssuedKey, what: list[str]
) -> None:
    line.lose, line.lost = [*what], []
    told = far_away.all_at_once("same", reports=[report_of(rich.key.pk)], threads=1)
    assert line.lost == what
    # Who asks learns the first charge, whichever of the tries it was.
    assert told == [[["duplicate" if "reply" in what else "accepted", str(COST)]]]
    assert Call.objects.count() == Transfer.objects.filter(code=Code.USAGE).count() == 1
    assert ledger.balances(rich.key.wallet).balance_nanousd == RICH - COST
    assert_books()


@pytest.mark.parametrize("what", LOST[:3], ids="-".join)
def test_a_grant_whose_commit_got_lost_is_given_once(
    line: Proxy, far_away: Crew, alice: User, staff: User, what: list[str]
) -> None:
    wallet = wallet_of(alice)
    line.lose, line.lost = [*what], []
    far_away.all_at_once("grant", wallet_id=wallet.pk, staff_id=staff.pk, amount=10**9)
    assert line.lost == what
    assert ledger.balances(wallet).balance_nanousd == 10**9
    assert AuditEntry.objects.count() == 1
    assert_books()


@pytest.mark.parametrize("what", LOST[:3], ids="-".join)
def test_a_payment_whose_commit_got_lost_is_credited_once(
    line: Proxy, far_away: Crew, alice: User, what: list[str]
) -> None:
    wallet: Wallet = wallet_of(alice)
    line.lose, line.lost = [*what], []
    far_away.all_at_once("top_up", wallet_id=wallet.pk, cents=100)
    assert line.lost == what
    assert ledger.balances(wallet).balance_nanousd == 10**9
    assert_books()
