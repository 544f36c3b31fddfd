"""The ledger. Owns accounts, transfers and cached balances; the only module that writes transfers.

Never: changes or removes a transfer, writes a balance (the database does, in the statement that inserts the transfer),
or moves an amount ≤ 0. Invariants: over all accounts credits − debits sum to zero; every cached balance equals its
account's credits − debits; a reference moves money once. Amounts are integer nano-dollars.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django.db import transaction
from psycopg.types.json import Jsonb

from wallet.models import Account, Code, Funds, Transfer, Wallet
from wallet.transactions import rows

LARGEST_AMOUNT_NANOUSD = 10**18  # a thousand million dollars; far below BIGINT, so that sums can't wrap


class ReferenceConflict(Exception):
    """The reference already moved money, but not the same."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A transfer to be made."""

    code: Code
    reference: str
    debit_id: int
    credit_id: int
    wallet_id: int | None
    amount_nanousd: int
    details: Mapping[str, Any] = field(default_factory=dict)


_house_ids: dict[str, int] = {}


def house_id(kind: str) -> int:
    """Id of a house account. The nine of them are made by a migration and never change."""
    if kind not in _house_ids:
        _house_ids[kind] = Account.objects.get(wallet=None, kind=kind).pk
    return _house_ids[kind]


def house(kind: str) -> Account:
    return Account.objects.get(pk=house_id(kind))


def promotional(wallet: Wallet) -> Account:
    return Account.objects.get(wallet=wallet, kind=Account.Kind.PROMOTIONAL)


def paid(wallet: Wallet) -> Account:
    return Account.objects.get(wallet=wallet, kind=Account.Kind.PAID)


def balances(wallet: Wallet) -> Funds:
    """Balances and held total as last committed."""
    return Funds.objects.get(wallet=wallet)


def lock(wallet_ids: Iterable[int]) -> dict[int, Funds]:
    """Lock these wallets' funds until the transaction ends, in the order of their ids, and return them."""
    found = rows(
        "SELECT wallet_id, promotional_nanousd, paid_nanousd, held_nanousd FROM wallet_funds"
        " WHERE wallet_id = ANY(%s) ORDER BY wallet_id FOR UPDATE",
        [sorted(set(wallet_ids))],
    )
    return {
        row[0]: Funds(wallet_id=row[0], promotional_nanousd=row[1], paid_nanousd=row[2], held_nanousd=row[3])
        for row in found
    }


def post(
    *,
    code: Code,
    reference: str,
    debit: Account,
    credit: Account,
    amount_nanousd: int,
    details: Mapping[str, Any] | None = None,
    corrects: Transfer | None = None,
) -> Transfer:
    """Move `amount_nanousd` from `debit` to `credit`, once per `reference`.

    Posting the same again returns the first transfer; the same reference with other content raises ReferenceConflict.
    Must run inside a transaction; locks the wallet's funds until it ends.
    """
    _check_amount(amount_nanousd)
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("ledger.post belongs inside a transaction")
    wallet_id = debit.wallet_id or credit.wallet_id
    if wallet_id is not None:
        lock([wallet_id])
    made = rows(
        "INSERT INTO wallet_transfer (code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,"
        " corrects_id, details) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (reference) DO NOTHING RETURNING id",
        [
            code,
            reference,
            debit.pk,
            credit.pk,
            wallet_id,
            amount_nanousd,
            corrects and corrects.pk,
            Jsonb(details or {}),
        ],
    )
    transfer = Transfer.objects.get(pk=made[0][0]) if made else Transfer.objects.get(reference=reference)
    content = (transfer.code, transfer.debit_account_id, transfer.credit_account_id, transfer.amount_nanousd)
    if content != (code, debit.pk, credit.pk, amount_nanousd):
        raise ReferenceConflict(
            f"{reference} already moved {transfer.amount_nanousd} nano-dollars as {transfer.code}."
        )
    return transfer


def post_many(postings: Sequence[Posting]) -> list[int]:
    """Insert transfers that are known to be new, in one statement; ids in the order given.

    The wallets must be locked (`lock`) in this transaction. A reference that exists raises IntegrityError.
    """
    if not postings:
        return []
    for posting in postings:
        _check_amount(posting.amount_nanousd)
    made = rows(
        "INSERT INTO wallet_transfer (code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,"
        " details) SELECT code, reference, debit, credit, wallet, amount, details"
        " FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::jsonb[])"
        " WITH ORDINALITY"
        " AS t(code, reference, debit, credit, wallet, amount, details, place) ORDER BY place RETURNING id, reference",
        [
            [p.code.value for p in postings],
            [p.reference for p in postings],
            [p.debit_id for p in postings],
            [p.credit_id for p in postings],
            [p.wallet_id for p in postings],
            [p.amount_nanousd for p in postings],
            [Jsonb(dict(p.details)) for p in postings],
        ],
    )
    ids = cast("dict[str, int]", {reference: pk for pk, reference in made})
    return [ids[p.reference] for p in postings]


def account_ids(wallet_ids: Iterable[int]) -> dict[tuple[int, str], int]:
    """Account ids by (wallet id, kind)."""
    found = rows(
        "SELECT wallet_id, kind, id FROM wallet_account WHERE wallet_id = ANY(%s)", [list(wallet_ids)]
    )
    return {(wallet_id, kind): pk for wallet_id, kind, pk in found}


def _check_amount(amount_nanousd: int) -> None:
    if not 0 < amount_nanousd <= LARGEST_AMOUNT_NANOUSD:
        raise ValueError(
            f"A transfer moves 1 to {LARGEST_AMOUNT_NANOUSD} nano-dollars, not {amount_nanousd}."
        )
