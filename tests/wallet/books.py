"""The balance of a wallet in whole cents, after an audit of all books."""

from tests.books import assert_books
from wallet import ledger
from wallet.models import Wallet

CENT = 10_000_000


def balance_cents(wallet: Wallet) -> int:
    assert_books()
    cents, rest = divmod(ledger.balances(wallet).balance_nanousd, CENT)
    assert rest == 0
    return cents
