"""What the books say of one person, asked of the database and of nothing that the tool asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

MOVED = """
    SELECT t.code, sum(t.amount_nanousd)::bigint, count(*) FROM wallet_transfer t
    WHERE t.wallet_id = %s GROUP BY t.code
"""
CALLS = """
    SELECT c.id::text, m.name, k.name, c.status, c.charged_nanousd, c.usage FROM logs_call c
        JOIN pricing_model m ON m.id = c.model_id JOIN tokens_apikey k ON k.id = c.key_id
    WHERE c.wallet_id = %s ORDER BY c.id DESC
"""


@dataclass(frozen=True, slots=True)
class BookedCall:
    """One call, as it was charged."""

    id: str
    model: str
    key: str
    status: str
    charged_nanousd: int
    usage: dict[str, int]


class Ledger:
    """One person's, found by their address."""

    def __init__(self, database: "psycopg.Connection[Any]", email: str) -> None:
        self._database = database
        found = self._rows(
            "SELECT w.id, w.owner_id FROM wallet_wallet w JOIN accounts_user u ON u.id = w.owner_id WHERE email = %s",
            email,
        )
        ((self.wallet_id, self.owner_id),) = found

    @property
    def balance_nanousd(self) -> int:
        ((balance,),) = self._rows(
            "SELECT promotional_nanousd + paid_nanousd FROM wallet_funds WHERE wallet_id = %s", self.wallet_id
        )
        return int(balance)

    def has(self, balance_nanousd: int) -> bool:
        return self.balance_nanousd == balance_nanousd

    @property
    def moved_nanousd(self) -> dict[str, int]:
        """By code, without signs."""
        return {code: amount for code, amount, _ in self._rows(MOVED, self.wallet_id)}

    @property
    def calls(self) -> list[BookedCall]:
        """Newest first."""
        return [BookedCall(*row) for row in self._rows(CALLS, self.wallet_id)]

    @property
    def spent_nanousd(self) -> int:
        return sum(call.charged_nanousd for call in self.calls)

    def _rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._database.execute(sql, parameters).fetchall()


@contextmanager
def opened(url: str, email: str) -> Iterator[Ledger]:
    with psycopg.connect(url, autocommit=True) as database:
        yield Ledger(database, email)
