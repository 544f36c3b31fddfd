"""Months of UTC, and which of them a wallet has."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wallet.models import Transfer, Wallet

_WRITTEN = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """Begins at `start` and ends before `end`."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def end(self) -> datetime:
        return self.next.start


def of(at: datetime) -> Month:
    return Month(at.astimezone(UTC).year, at.astimezone(UTC).month)


def read(text: str) -> Month:
    """The month written as "2026-11". Raises ValueError with a sentence."""
    found = _WRITTEN.fullmatch(text)
    # A month has an end, and the last one that a clock here can tell has none.
    if found is None or not 0 < int(found[1]) < 9999:
        raise ValueError("A month is written like 2026-01, from 01 to 12.")
    return Month(int(found[1]), int(found[2]))


def first_of(wallet: Wallet) -> Month:
    """The month in which the wallet was opened, or that of its first transfer where one was written for an earlier time."""
    first = Transfer.objects.filter(wallet=wallet).order_by("id").values_list("created_at", flat=True).first()
    return of(wallet.created_at if first is None else min(first, wallet.created_at))
