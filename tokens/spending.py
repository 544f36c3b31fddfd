"""What keys have spent: added up in the transaction that records their calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wallet.transactions import array, rows


@dataclass(slots=True)
class Spent:
    """What one key spent in a batch."""

    last_used_at: datetime
    amount_nanousd: int = 0
    calls: int = 0

    def add(self, amount_nanousd: int, used_at: datetime) -> None:
        self.amount_nanousd += amount_nanousd
        self.calls += 1
        self.last_used_at = max(self.last_used_at, used_at)


def add(spent: Mapping[int, Spent]) -> None:
    """Add to the totals of these keys. Their wallets must be locked (`ledger.lock`) in this transaction."""
    rows(
        "UPDATE tokens_keyspend k SET spent_nanousd = k.spent_nanousd + s.amount, calls = k.calls + s.calls,"
        " last_used_at = greatest(k.last_used_at, s.used_at)"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[]) AS s(key_id, amount, calls, used_at)"
        " WHERE k.key_id = s.key_id",
        [
            array(spent),
            array([one.amount_nanousd for one in spent.values()]),
            array([one.calls for one in spent.values()]),
            array([one.last_used_at.isoformat() for one in spent.values()]),
        ],
    )
