"""A statement as CSV: UTF-8 without a byte order mark, amounts in dollars as exact decimals, times in UTC."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

from pricing import spreadsheets
from wallet.statements.numbers import Statement
from wallet.statements.sums import Amounts

COLUMNS = [
    "date",
    "what",
    "note",
    "reference",
    "promotional_usd",
    "paid_usd",
    "amount_usd",
    "promotional_after_usd",
    "paid_after_usd",
    "balance_after_usd",
]


def written(statement: Statement) -> str:
    """A row a movement between the opening balance, which is an amount too, and the closing one, which is no amount."""
    ends = statement.ends
    until = ends.month.end if ends.is_closed else statement.read_at
    kind = "Closing balance" if ends.is_closed else "Balance so far"
    file = io.StringIO()
    write = csv.writer(file).writerow
    write(COLUMNS)
    write(_row(_time(ends.month.start), "Opening balance", "", "", ends.opening, ends.opening))
    for line in statement.lines:
        write(_row(_time(line.at), line.what, line.note, line.reference, line.change, line.after))
    write(_row(_time(until), kind, "", "", None, ends.closing))
    return file.getvalue()


def _row(
    date: str, what: str, note: str, reference: str, change: Amounts | None, after: Amounts
) -> list[object]:
    """Text begins no formula; an amount below zero begins with its sign and stays a number."""
    texts = [spreadsheets.cell(text) for text in (what, note, reference)]
    changes = ["", "", ""] if change is None else _dollars(change)
    return [date, *texts, *changes, *_dollars(after)]


def _dollars(amounts: Amounts) -> list[str]:
    three = (amounts.given_nanousd, amounts.bought_nanousd, amounts.both_nanousd)
    return [f"{Decimal(nanousd).scaleb(-9):f}" for nanousd in three]


def _time(at: datetime) -> str:
    """RFC 3339, whole seconds."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
