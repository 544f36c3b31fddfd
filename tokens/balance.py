"""What is left for a key to spend, and what was used: of its own limits where it has some, else of its wallet."""

from dataclasses import dataclass
from datetime import datetime

from tokens import spending, states
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import Wallet


@dataclass(frozen=True, slots=True)
class Balance:
    """Both of one scope, in nano-dollars. What is left is below zero where more was used than there was."""

    left_nanousd: int
    used_nanousd: int
    is_of_key: bool

    @property
    def granted_nanousd(self) -> int:
        """All that there ever was; never below zero, whatever was taken back since."""
        return max(self.left_nanousd + self.used_nanousd, 0)


def of(key: ApiKey, now: datetime | None = None) -> Balance:
    """What this key may still spend, and has spent over its life; without limits of its own those of its wallet."""
    states.put([key], now)
    left = key.standing.left_nanousd
    return of_wallet(key.wallet) if left is None else Balance(left, key.spend.spent_nanousd, is_of_key=True)


def of_wallet(wallet: Wallet) -> Balance:
    spent = spending.of_wallet(wallet.pk).spent_nanousd
    return Balance(ledger.balances(wallet).balance_nanousd, spent, is_of_key=False)
