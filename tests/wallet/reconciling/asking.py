"""What the tests of reconciliation share: many top-ups, and a run after which everything is right."""

from tests.books import assert_books
from tests.wallet.test_topups import started
from wallet import invariants
from wallet.models import Reconciliation, TopUp, Wallet
from wallet.reconciliation import runs


def good(run: Reconciliation) -> Reconciliation:
    assert run.differences == []
    assert run.is_good
    assert_books()
    assert invariants.check() == []
    return run


def many(wallet: Wallet, count: int) -> list[TopUp]:
    return [started(wallet, 100 + number) for number in range(count)]


def run_where_nobody_does() -> Reconciliation | None:
    try:
        return runs.run()
    except runs.AlreadyRunning:
        return None
