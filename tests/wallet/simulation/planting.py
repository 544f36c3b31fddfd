"""Faults planted into copies of the two books, to see that the comparison finds each. The books themselves stay."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from tests.wallet.books import CENT
from tests.wallet.simulation.comparing import differences

A_CENT_LESS = f"""UPDATE wallet_housebalance SET balance_nanousd = balance_nanousd - {CENT} WHERE id =
    (SELECT min(h.id) FROM wallet_housebalance h JOIN wallet_account a ON a.id = account_id WHERE a.kind = '%s')"""
A_CENT_IN_A_WALLET = f"""UPDATE wallet_funds SET paid_nanousd = paid_nanousd + {CENT}
    WHERE wallet_id = (SELECT min(wallet_id) FROM wallet_stripecustomer)"""
ANOTHER_SHOWN = (
    "UPDATE wallet_topup SET presentment_amount = presentment_amount + 1 WHERE presentment_amount > 0"
)
FIRST_CREDIT = "WHERE id = (SELECT min(id) FROM wallet_transfer WHERE code = 'top_up')"
CREDITS = {
    "a cent too much": f"UPDATE wallet_transfer SET amount_nanousd = amount_nanousd + {CENT} {FIRST_CREDIT}",
    "posted twice": f"INSERT INTO wallet_transfer SELECT * FROM wallet_transfer {FIRST_CREDIT}",
    "another payment's": f"UPDATE wallet_transfer SET reference = 'top_up:pi_other' {FIRST_CREDIT}",
}
LOST = "DELETE FROM wallet_transfer WHERE id = (SELECT min(id) FROM wallet_transfer WHERE code = '%s')"
CODES = ("top_up", "tax", "refund", "refund_reversal", "dispute", "dispute_reversal")
HOUSE = ("stripe_clearing", "stripe_fees", "tax_payable", "refunds_pending", "disputes", "bank")
# What is done to a copy of a table of ours, by what it looks like from outside.
OURS = {
    **{f"a transfer of {code} was lost": ("wallet_transfer", LOST % code) for code in CODES},
    **{f"a credit is {wrong}": ("wallet_transfer", change) for wrong, change in CREDITS.items()},
    **{f"{kind} is a cent off": ("wallet_housebalance", A_CENT_LESS % kind) for kind in HOUSE},
    "a wallet has a cent too much": ("wallet_funds", A_CENT_IN_A_WALLET),
    "what a person was shown is another amount": ("wallet_topup", ANOTHER_SHOWN),
}


def overlooked(books: dict[str, Any]) -> tuple[list[str], int]:
    """The faults that the comparison does not find, and how many were planted: those that these books have room for."""
    planted = {name: found for name, how in OURS.items() if (found := _is_found(*how, books)) is not None}
    planted |= {name: bool(differences(spoilt)) for name, spoilt in _spoilt(books)}
    return [name for name, is_found in planted.items() if not is_found], len(planted)


def _spoilt(books: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Copies of the stand-in's books, each with one fault in a payment that is all there."""
    at = next(
        n
        for n, row in enumerate(books["payments"])
        if row["clearing"] == row["captured"] and not row["promised"]
    )
    for amount in ("clearing", "promised", "tax"):
        spoilt = copy.deepcopy(books)
        spoilt["payments"][at][amount] += 1
        yield f"a cent of {amount} more at Stripe", spoilt
    forgotten = copy.deepcopy(books)
    del forgotten["payments"][at]
    yield "a payment that Stripe has not", forgotten


def _is_found(table: str, change: str, books: dict[str, Any]) -> bool | None:
    """None where there is nothing to change."""
    with _copied(table) as cursor:
        cursor.execute(change)
        return bool(differences(books)) if cursor.rowcount else None


@contextmanager
def _copied(table: str) -> Iterator[Any]:
    """A copy without rules or triggers takes the table's place, for this connection and until the end of this block."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {table} AS SELECT * FROM public.{table}")
        yield cursor
        transaction.set_rollback(True)
