"""The books in plain Python: what grants, top-ups, holds, calls and corrections must come to.

Knows no database and nothing of the product's code; written from the rules in wallet/README.md and logs/README.md.
Amounts are integer nano-dollars.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

# Pico-dollars a unit, in force from the given time on. A call pays what was in force when it started.
type Prices = Mapping[str, Sequence[tuple[datetime, Mapping[str, int]]]]

MOST_TOKENS = 100_000_000
MOST_CALLS = 10_000


@dataclass
class Movement:
    """A transfer as one wallet sees it: `amount` is positive where it came in."""

    wallet_id: int
    kind: str
    house: str
    amount: int
    is_grant: bool = False
    is_undone: bool = False
    undone_by: "Movement | None" = None
    pk: int = 0
    call_id: str = ""
    """Of a usage transfer: one of the calls that it pays for."""

    @property
    def is_without_effect(self) -> bool:
        """Undone, and that not undone in turn."""
        return self.undone_by is not None and not self.undone_by.is_without_effect


@dataclass
class Hold:
    wallet_id: int
    key_id: int
    amount: int
    is_open: bool = True
    is_overdue: bool = False


@dataclass
class Charge:
    """A call that was recorded: what it was, and what it did to its wallet."""

    wallet_id: int
    content: tuple[object, ...]
    charged: int
    promotional: int
    balance_after: int
    held: int | None


@dataclass
class Purse:
    """A wallet."""

    balances: Counter[str] = field(default_factory=Counter)
    had_starter: bool = False
    is_suspended: bool = False

    @property
    def balance(self) -> int:
        return self.balances["promotional"] + self.balances["paid"]


@dataclass
class Answer:
    result: str
    charged: int = 0
    code: str = ""


class Books:
    """All wallets of an example, and the other side of every movement."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self.purses: dict[int, Purse] = {}
        self.wallet_of_key: dict[int, int] = {}
        self.revoked: set[int] = set()
        self.holds: dict[str, Hold] = {}
        self.calls: dict[str, Charge] = {}
        self.movements: list[Movement] = []
        self.house: Counter[str] = Counter()
        self.payments: set[str] = set()

    # Money in and out

    def move(self, movement: Movement) -> Movement:
        self.purses[movement.wallet_id].balances[movement.kind] += movement.amount
        self.house[movement.house] -= movement.amount
        self.movements.append(movement)
        return movement

    def can_undo(self, movement: Movement) -> bool:
        return not movement.is_undone

    def can_withdraw(self, movement: Movement, amount: int) -> bool:
        left = self.purses[movement.wallet_id].balances["promotional"]
        return movement.is_grant and not movement.is_undone and amount <= min(movement.amount, left)

    def undo(self, movement: Movement, amount: int) -> Movement:
        """A correction of the whole, or the withdrawal of a part: the other way between the same accounts."""
        movement.is_undone = True
        back = -amount if movement.amount > 0 else amount
        movement.undone_by = self.move(Movement(movement.wallet_id, movement.kind, movement.house, back))
        return movement.undone_by

    # Holds

    def held(self, wallet_id: int) -> int:
        return sum(h.amount for h in self.holds.values() if h.wallet_id == wallet_id and h.is_open)

    def available(self, wallet_id: int) -> int:
        return self.purses[wallet_id].balance - self.held(wallet_id)

    def admits(self, key_id: int, model: str) -> int:
        """The status that authorize answers with."""
        wallet_id = self.wallet_of_key[key_id]
        if key_id in self.revoked:
            return 401
        if self.purses[wallet_id].is_suspended:
            return 403
        if model not in self.prices:
            return 404
        if self.available(wallet_id) <= 0:
            self.expire(wallet_id)
        return 200 if self.available(wallet_id) > 0 else 402

    def expire(self, wallet_id: int | None = None) -> int:
        over = [
            h for h in self.holds.values() if h.is_open and h.is_overdue and wallet_id in (None, h.wallet_id)
        ]
        for hold in over:
            hold.is_open = False
        return len(over)

    # Calls

    def charge(self, model: str, started_at: datetime, usage: Mapping[str, int]) -> int:
        """Exact, then rounded once, halves to the even nano-dollar."""
        price = next(rates for since, rates in reversed(self.prices[model]) if since <= started_at)
        return round(sum((Fraction(price[unit] * count, 1000) for unit, count in usage.items()), Fraction(0)))

    def record(self, batch: Sequence[dict[str, Any]]) -> list[Answer]:
        asked = {call_id: hold.key_id for call_id, hold in self.holds.items()}
        usage: dict[tuple[int, str], Movement] = {}
        answers = [self._record(call, asked, usage) for call in batch]
        for (wallet_id, kind), movement in usage.items():
            self.purses[wallet_id].balances[kind] -= movement.amount  # taken call by call already
            self.move(movement)
        for call, answer in zip(batch, answers, strict=True):
            if answer.code in OF_CONTENT and _id(call) in self.calls:
                answer.code = "conflict"
        return answers

    def _record(
        self, call: dict[str, Any], asked: Mapping[str, int], usage: dict[tuple[int, str], Movement]
    ) -> Answer:
        code = self._fault(call)
        if code:
            return Answer("rejected", 0, code)
        call_id, key_id = _id(call), call["token_id"]
        if asked.get(call_id, key_id) != key_id:
            return Answer("rejected", 0, "token_mismatch")
        content = (key_id, call["model"], call["status"], _quantities(call))
        if call_id in self.calls:
            first = self.calls[call_id]
            if first.content == content:
                return Answer("duplicate", first.charged)
            return Answer("rejected", 0, "conflict")
        return self._charge(call_id, call, content, usage)

    def _fault(self, call: dict[str, Any]) -> str:
        if any(n > (MOST_CALLS if unit == "calls" else MOST_TOKENS) for unit, n in call["usage"].items()):
            return "quantity_out_of_bounds"
        if call["model"] not in self.prices:
            return "model_not_found"
        priced = self.prices[call["model"]][0][1]
        if call["status"] == "succeeded" and any(unit not in priced for unit, _ in _quantities(call)):
            return "unpriced_unit"
        return "" if call["token_id"] in self.wallet_of_key else "token_not_found"

    def _charge(
        self,
        call_id: str,
        call: dict[str, Any],
        content: tuple[object, ...],
        usage: dict[tuple[int, str], Movement],
    ) -> Answer:
        wallet_id = self.wallet_of_key[call["token_id"]]
        purse = self.purses[wallet_id]
        charged = 0
        if call["status"] == "succeeded":
            started_at = datetime.fromisoformat(call["started_at"])
            charged = self.charge(call["model"], started_at, dict(_quantities(call)))
        promotional = min(charged, max(purse.balances["promotional"], 0))
        for kind, amount in (("promotional", promotional), ("paid", charged - promotional)):
            purse.balances[kind] -= amount
            if amount:
                taken = usage.setdefault(
                    (wallet_id, kind), Movement(wallet_id, kind, "revenue", 0, call_id=call_id)
                )
                taken.amount -= amount
        hold = self.holds.pop(call_id, None)
        self.calls[call_id] = Charge(
            wallet_id, content, charged, promotional, purse.balance, hold.amount if hold else None
        )
        return Answer("accepted", charged)


OF_CONTENT = {"token_not_found", "model_not_found", "unpriced_unit", "quantity_out_of_bounds"}


def _id(call: dict[str, Any]) -> str:
    return str(call["call_id"]).lower()


def _quantities(call: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((unit, count) for unit, count in call["usage"].items() if count))
