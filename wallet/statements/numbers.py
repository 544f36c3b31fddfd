"""What a statement says, and the proof that it closes.

Both ends are found in two ways: the opening balance is what all transfers before the month come to, the closing balance
is what is in the wallet now less all transfers after the month (`sums.py` has both). The lines in between must lead from
one to the other, of given and of bought credit each. What is in the wallet now is written by the database with each
transfer.

A month is closed an hour after its end, as a day is for its seal (wallet/seals.py): a transfer carries the time of its
statement and may be committed a moment later, so until then a statement says how far it goes.
"""

import datetime
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from wallet import history
from wallet.models import Code, Wallet
from wallet.seals import CLOSED_AFTER
from wallet.statements import months, sums
from wallet.statements.months import Month
from wallet.statements.sums import MOVED, Amounts, Months
from wallet.topups import stories
from wallet.transactions import report_rows, snapshot

logger = logging.getLogger(__name__)

# A batch of calls that both accounts paid for has a transfer of each, side by side, and both count all that it charged.
_LINES = f"""
    WITH numbered AS (
        SELECT moved.*, row_number() OVER ordered AS place, (created_at AT TIME ZONE 'UTC')::date AS day,
            count(*) FILTER (WHERE code <> 'usage') OVER ordered AS others,
            CASE WHEN code = 'usage'
                AND split_part(reference, ':', 2) IS DISTINCT FROM lag(split_part(reference, ':', 2)) OVER ordered
                THEN coalesce((details->>'calls')::bigint, 0) ELSE 0 END AS calls
        FROM ({MOVED}) AS moved WHERE created_at >= %(start)s AND created_at < %(end)s
        WINDOW ordered AS (ORDER BY created_at, id)
    )
    SELECT min(id), code, max(created_at), min(reference), sum(calls)::bigint,
        sum(amount * of_given)::bigint, sum(amount * of_bought)::bigint
    FROM numbered GROUP BY code, day, others, CASE WHEN code = 'usage' THEN 0 ELSE id END
    ORDER BY max(place)
"""  # noqa: S608 (made of constants)
_FUNDS = "SELECT now(), promotional_nanousd, paid_nanousd FROM wallet_funds WHERE wallet_id = %(wallet)s"


class DoesNotClose(Exception):
    """The movements don't lead from the opening balance to the closing balance. Logged; nobody is shown such a one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A movement, or the usage of a UTC day; where something else moved in the middle of that day, of a part of it.

    `at` is when it moved; usage, when the last of it did. Failed and free calls are in no line: nothing moved.
    """

    code: Code
    at: datetime.datetime
    what: str
    note: str
    reference: str
    change: Amounts
    after: Amounts

    @property
    def is_usage(self) -> bool:
        return self.code == Code.USAGE


@dataclass(frozen=True, slots=True)
class Ends:
    """A month's balances without its lines."""

    month: Month
    opening: Amounts
    closing: Amounts
    is_closed: bool

    @property
    def change(self) -> Amounts:
        return self.closing + -self.opening


class Books(NamedTuple):
    """What is left in a wallet at a moment, and what moved in it before."""

    read_at: datetime.datetime
    left: Amounts
    moved: Months


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of a wallet. `read_at` is the moment of its snapshot; where the month is not closed, it goes until then."""

    ends: Ends
    owner: str
    read_at: datetime.datetime
    lines: list[Line]

    @property
    def month(self) -> Month:
        return self.ends.month

    @property
    def totals(self) -> list[tuple[str, Amounts]]:
        """What the lines of each kind come to, in the order in which the kinds came up."""
        found: dict[str, Amounts] = {}
        for line in self.lines:
            name = history.LABELS.get(line.code, line.code.label)
            found[name] = found.get(name, Amounts()) + line.change
        return list(found.items())


def of(wallet: Wallet, month: Month) -> Statement:
    """The statement of a month; the same whenever it is asked for once the month is closed. Raises DoesNotClose."""
    parameters = {"wallet": wallet.pk, "start": month.start, "end": month.end}
    with snapshot():
        books = _books(wallet)
        rows = report_rows(_LINES, parameters)
        told = stories.of(wallet, [(row[0], row[1]) for row in rows])
    opening = sum((amounts for each, amounts in books.moved.items() if each < month), Amounts())
    later = sum((amounts for each, amounts in books.moved.items() if each > month), Amounts())
    lines = list(_lines(rows, told, opening))
    ends = Ends(month, opening, books.left + -later, is_closed(month, books.read_at))
    _prove(wallet, ends, lines)
    return Statement(ends, wallet.owner.email, books.read_at, lines)


def list_of(wallet: Wallet) -> list[Ends]:
    """Every month of the wallet until now, newest first. Raises DoesNotClose."""
    with snapshot():
        books = _books(wallet)
    found: list[Ends] = []
    month, balance = min([months.first_of(wallet), *books.moved]), Amounts()
    while month <= months.of(books.read_at):
        closing = balance + books.moved.get(month, Amounts())
        found.append(Ends(month, balance, closing, is_closed(month, books.read_at)))
        month, balance = month.next, closing
    if balance != books.left:
        _refuse(wallet, f"all months come to {balance}, but {books.left} is in the wallet")
    return found[::-1]


def _books(wallet: Wallet) -> Books:
    """Sums that are remembered and don't come to what is left may be those of other books: all is read again then."""
    ((read_at, *left),) = report_rows(_FUNDS, {"wallet": wallet.pk})
    books = Books(read_at, Amounts(*left), sums.by_month(wallet.pk))
    if sum(books.moved.values(), Amounts()) == books.left:
        return books
    return books._replace(moved=sums.by_month(wallet.pk, remembers=False))


def is_closed(month: Month, at: datetime.datetime) -> bool:
    """Whether nothing can be added to the month any more."""
    return at >= month.end + CLOSED_AFTER


def _lines(rows: list[tuple[Any, ...]], told: dict[int, stories.Story], balance: Amounts) -> Iterator[Line]:
    for key, code, at, reference, calls, given, bought in rows:
        change = Amounts(given, bought)
        balance += change
        story = told.get(key, stories.NOTHING)
        yield Line(
            code=Code(code),
            at=at,
            what=history.label(Code(code), story),
            note=f"{calls:,} charged call{'' if calls == 1 else 's'}" if calls else story.paid,
            reference=_reference(code, reference),
            change=change,
            after=balance,
        )


def _reference(code: str, reference: str) -> str:
    """What the movement is called in our books, or at Stripe, without what it is: `pi_1` of a top-up.

    Usage is many, and starter credit is called after a hash of an address.
    """
    return "" if code in (Code.USAGE, Code.STARTER_GRANT) else reference.removeprefix(f"{code}:")


def _prove(wallet: Wallet, ends: Ends, lines: list[Line]) -> None:
    balance = lines[-1].after if lines else ends.opening
    if balance != ends.closing:
        _refuse(wallet, f"{ends.month}: the lines lead to {balance}, but {ends.closing} was left")


def _refuse(wallet: Wallet, problem: str) -> None:
    logger.error("The statement of wallet %s does not close. %s", wallet.pk, problem)
    raise DoesNotClose(problem)
