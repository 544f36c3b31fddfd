"""The ledger. Owns accounts, transfers and cached balances; the only module that writes transfers.

Never: changes or removes a transfer, writes a balance (the database does, in the statement that inserts the transfer),
or moves an amount ≤ 0. Invariants: over all accounts credits − debits sum to zero; every cached balance equals its
account's credits − debits; a reference moves money once. Amounts are integer nano-dollars.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from psycopg.types.json import Jsonb

from wallet.models import Account, Code, Funds, Transfer, Wallet
from wallet.transactions import Ask, array, rows

LARGEST_AMOUNT_NANOUSD = 10**18  # a thousand million dollars; far below BIGINT, so that sums can't wrap


class ReferenceConflict(Exception):
    """The reference already moved money, but not the same."""


@dataclass(slots=True)
class Usage:
    """What one account of a wallet pays of a batch. The id of its transfer is reserved (`reserving`).

    `calls` are those of the batch that cost something, whichever account paid.
    """

    transfer_id: int
    reference: str
    wallet_id: int
    kind: str
    amount_nanousd: int
    calls: int


@dataclass(slots=True)
class Balances:
    """What the two accounts of a locked wallet hold."""

    promotional_nanousd: int
    paid_nanousd: int

    @property
    def balance_nanousd(self) -> int:
        return self.promotional_nanousd + self.paid_nanousd


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


# The lock is the row of the paid account, which nobody ever writes. Authorize writes the funds at the same time; it would
# wait for a whole batch otherwise. What follows in the transaction is planned to use indexes: plans are kept, and one that
# was made while a table was empty would read all of it when it is not.
LOCK = """
    SELECT count(*), set_config('enable_seqscan', 'off', true) FROM (
        SELECT FROM wallet_account WHERE wallet_id = ANY(%s::bigint[]) AND kind = 'paid' ORDER BY wallet_id FOR UPDATE
    ) AS locked
"""


# A statement of its own, so that it sees what those committed that had the lock before.
BALANCES = "SELECT wallet_id, promotional_nanousd, paid_nanousd FROM wallet_funds WHERE wallet_id = ANY(%s::bigint[])"


def lock(wallet_ids: Iterable[int]) -> dict[int, Balances]:
    """Lock these wallets until the transaction ends, in the order of their ids, and return their balances.

    Whoever moves a wallet's money, or closes its holds, has this lock.
    """
    return locking(wallet_ids).now()


def locking(wallet_ids: Iterable[int]) -> Ask[dict[int, Balances]]:
    ids = array(set(wallet_ids))
    return Ask(
        [(LOCK, [ids]), (BALANCES, [ids])], lambda found: {row[0]: Balances(*row[1:]) for row in found[1]}
    )


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
    Must run inside a transaction; locks the wallet (`lock`) until it ends.
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


def reserving(count: int) -> Ask[list[int]]:
    """Ids for transfers to come. Those that are not used leave a gap."""
    sql = "SELECT nextval('wallet_transfer_id_seq') FROM generate_series(1, %s::int)"
    return Ask([(sql, [count])], lambda found: [row[0] for row in found[0]])


POST_USAGE = """
    INSERT INTO wallet_transfer (id, code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,
        details)
    SELECT u.id, 'usage', u.reference, a.id, %s::bigint, u.wallet_id, u.amount, jsonb_build_object('calls', u.calls)
    FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
        AS u(id, reference, wallet_id, kind, amount, calls)
        JOIN wallet_account a ON a.wallet_id = u.wallet_id AND a.kind = u.kind
"""


def posting(usage: Sequence[Usage]) -> Ask[None]:
    """Charge wallets for calls: one transfer for each of these, in one statement.

    The wallets must be locked (`lock`) in this transaction. A reference that exists raises IntegrityError.
    """
    for one in usage:
        _check_amount(one.amount_nanousd)
    columns = [
        house_id("revenue"),
        array([one.transfer_id for one in usage]),
        array([one.reference for one in usage]),
        array([one.wallet_id for one in usage]),
        array([one.kind for one in usage]),
        array([one.amount_nanousd for one in usage]),
        array([one.calls for one in usage]),
    ]
    return Ask([(POST_USAGE, columns)] if usage else [], lambda _: None)


def _check_amount(amount_nanousd: int) -> None:
    if not 0 < amount_nanousd <= LARGEST_AMOUNT_NANOUSD:
        raise ValueError(
            f"A transfer moves 1 to {LARGEST_AMOUNT_NANOUSD} nano-dollars, not {amount_nanousd}."
        )
