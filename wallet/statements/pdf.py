"""A statement as PDF, A4. The same statement gives the same bytes."""

import functools
import io
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, SimpleDocTemplate, Spacer, Table, TableStyle

from pricing.money import usd
from wallet.statements.numbers import Line, Statement
from wallet.statements.sums import Amounts

MARGIN = 40.0
SIZE, LEADING = 7.5, 10.0
# Points left free under the last row: what a frame pads, and what is rounded.
SPARE = 14.0
HEAD = ["Date (UTC)", "What", "Reference", "Amount", "Balance after"]
# Of the columns, in points: together as wide as A4 between its margins.
LINE_WIDTHS = (80.0, 112.0, 133.0, 92.0, 98.0)
SUM_WIDTHS = (223.0, 97.0, 97.0, 98.0)
FACT_WIDTHS = (80.0, 435.0)
PADDING, GAP = 3.0, 2.5
RULE, FAINT = colors.HexColor("#c9ced6"), colors.HexColor("#5b6472")
REGULAR, BOLD = "Vera", "VeraBd"


def written(statement: Statement) -> bytes:
    """The whole file."""
    _fonts()
    file = io.BytesIO()
    title = f"Statement {statement.month}"
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN - 6,  # What its frame pads.
        rightMargin=MARGIN - 6,
        topMargin=MARGIN,
        bottomMargin=MARGIN + 10,
        title=title,
        author=settings.SITE_NAME,
        invariant=1,
    )
    parts: list[Flowable] = [
        _heading(statement),
        Spacer(0, 12),
        _facts(statement),
        Spacer(0, 14),
        _sums(statement),
        Spacer(0, 18),
    ]
    above = sum(part.wrap(document.width, document.height)[1] for part in parts)
    parts += _lines(statement, document.height - above, document.height)
    document.build(parts, canvasmaker=functools.partial(_Pages, foot=f"{settings.SITE_NAME} · {title}"))
    return file.getvalue()


def drawable(text: str) -> str:
    """The text with what the font can't draw named instead: "[U+4E2D]"."""
    _fonts()
    known = pdfmetrics.getFont(REGULAR).face.charToGlyph
    return "".join(char if ord(char) in known else f"[U+{ord(char):04X}]" for char in text)


def wrapped(text: str, width: float) -> str:
    """Broken into lines of at most `width` points, between words where it can."""
    lines = [""]
    for word in drawable(text).split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(longer) <= width:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for char in word:
            if lines[-1] and _width(lines[-1] + char) > width:
                lines.append("")
            lines[-1] += char
    return "\n".join(lines)


class _Pages(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Writes "Page 1 of 3" under each page, once it is known how many there are."""

    def __init__(self, *arguments: Any, foot: str, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._foot = foot
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 (reportlab's name)
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for kept in self._kept:
            self.__dict__.update(kept)
            self.setFont(REGULAR, SIZE)
            self.setFillColor(FAINT)
            self.drawString(MARGIN, MARGIN - 8, drawable(self._foot))
            number = f"Page {self._pageNumber} of {len(self._kept)}"
            self.drawRightString(A4[0] - MARGIN, MARGIN - 8, number)
            super().showPage()
        super().save()


@functools.cache
def _fonts() -> None:
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def _width(text: str) -> float:
    return float(pdfmetrics.stringWidth(text, REGULAR, SIZE))


def _heading(statement: Statement) -> Table:
    name = "Statement" if statement.ends.is_closed else "Statement so far"
    title = f"{name}, {statement.month.start:%B %Y}"
    return _table(
        [[drawable(settings.SITE_NAME)], [title]],
        [sum(FACT_WIDTHS)],
        ("FONT", (0, 1), (0, 1), BOLD, 16, 22),
        ("TEXTCOLOR", (0, 0), (0, 0), FAINT),
    )


def _facts(statement: Statement) -> Table:
    month = statement.month
    last = month.end if statement.ends.is_closed else statement.read_at
    rows = [
        ["Account", wrapped(statement.owner, FACT_WIDTHS[1] - 2 * PADDING)],
        ["Period", f"{_time(month.start)} to {_time(last)} UTC"],
        ["Currency", "US dollars"],
    ]
    if not statement.ends.is_closed:
        rows.append(
            ["Not final", "This month is not closed: what comes after the end of the period is not in here."]
        )
    return _table(rows, FACT_WIDTHS, ("TEXTCOLOR", (0, 0), (0, -1), FAINT))


def _sums(statement: Statement) -> Table:
    ends = statement.ends
    rows = [["", "Given credit", "Bought credit", "Together"], ["Opening balance", *_three(ends.opening)]]
    rows += [[name, *_three(amounts)] for name, amounts in statement.totals]
    rows.append(["Closing balance" if ends.is_closed else "Balance so far", *_three(ends.closing)])
    return _table(
        rows,
        SUM_WIDTHS,
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("FONT", (0, 1), (-1, 1), BOLD, SIZE, LEADING),
        ("FONT", (0, -1), (-1, -1), BOLD, SIZE, LEADING),
        ("LINEABOVE", (0, -1), (-1, -1), 0.6, FAINT),
        *_HEAD,
    )


_HEAD: tuple[tuple[object, ...], ...] = (
    ("TEXTCOLOR", (0, 0), (-1, 0), FAINT),
    ("LINEBELOW", (0, 0), (-1, 0), 0.6, FAINT),
    ("LINEBELOW", (0, 1), (-1, -1), 0.3, RULE),
)


def _lines(statement: Statement, first_room: float, room: float) -> list[Flowable]:
    """A table for each page, since one for all would be laid out anew on each. Given are the heights that they have."""
    if not statement.lines:
        return [_table([["Nothing moved in this time."]], [sum(LINE_WIDTHS)])]
    pages: list[list[list[str]]] = [[]]
    left = first_room - _height(HEAD) - SPARE
    for cells in map(_cells, statement.lines):
        if _height(cells) > left:
            pages.append([])
            left = room - _height(HEAD) - SPARE
        left -= _height(cells)
        pages[-1].append(cells)
    styles = (("ALIGN", (3, 0), (-1, -1), "RIGHT"), *_HEAD)
    tables: list[Flowable] = [_table([HEAD, *rows], LINE_WIDTHS, *styles) for rows in pages]
    return [part for table in tables for part in (table, PageBreak())][:-1]


def _height(cells: list[str]) -> float:
    return LEADING * (1 + max(cell.count("\n") for cell in cells)) + 2 * GAP


def _cells(line: Line) -> list[str]:
    what = f"{line.what}, {line.note}" if line.note else line.what
    return [
        f"{line.at.astimezone(UTC):%Y-%m-%d}" if line.is_usage else _time(line.at),
        wrapped(what, LINE_WIDTHS[1] - 2 * PADDING),
        wrapped(line.reference, LINE_WIDTHS[2] - 2 * PADDING),
        usd(line.change.both_nanousd),
        usd(line.after.both_nanousd),
    ]


def _table(rows: list[list[str]], widths: Any, *styles: tuple[object, ...]) -> Table:
    base: list[tuple[object, ...]] = [
        ("FONT", (0, 0), (-1, -1), REGULAR, SIZE, LEADING),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), GAP),
        ("BOTTOMPADDING", (0, 0), (-1, -1), GAP),
    ]
    return Table(rows, colWidths=widths, style=TableStyle([*base, *styles]), hAlign="LEFT")


def _three(amounts: Amounts) -> list[str]:
    return [usd(amounts.given_nanousd), usd(amounts.bought_nanousd), usd(amounts.both_nanousd)]


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
