"""The calls of a filter as CSV or JSON Lines, written by PostgreSQL itself: COPY of one statement.

Columns are those of `_columns`, in this order; JSON Lines has the units of a call together as `usage`. Amounts are dollars
as exact decimals (text in JSON, whose numbers many readers round), times are RFC 3339 in UTC, what doesn't apply is empty.
Text that begins a formula begins with an apostrophe in CSV; numbers are never touched. Files are UTF-8 without a byte order
mark.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import sql

from logs.wanted import Wanted
from pricing import spreadsheets
from pricing.units import UNITS


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"

    @property
    def content_type(self) -> str:
        return "text/csv; charset=utf-8" if self is Format.CSV else "application/jsonl; charset=utf-8"

    def incomplete(self, message: str) -> bytes:
        """The last line of a file that is not whole. Its server would end a broken answer as it ends any other."""
        if self is Format.CSV:
            return f'"INCOMPLETE: {message}"\n'.encode()
        return f'{{"error": {{"code": "export_incomplete", "message": "{message}"}}}}\n'.encode()


# What COPY is told. Of JSON it must leave every character as it is: none of these two can occur in it.
_OPTIONS = {
    Format.CSV: "FORMAT csv",
    Format.JSONL: "FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02'",
}


def statement(
    wanted: Wanted,
    form: Format,
    table: str = "logs_call",
    *,
    kept_from: UUID | None = None,
    with_head: bool = True,
) -> sql.Composed:
    """COPY of these calls from that id on, newest first, from `logs_call` or a table with its columns (trusted text).

    The session is to keep the order of that table's index while it joins the others (`SESSION`).
    """
    columns = _columns(form)
    condition, parameters = wanted.where("c")
    if kept_from is not None:
        condition, parameters = f"{condition} AND c.id >= %s", [*parameters, kept_from]
    listed = ", ".join(f"{expression} AS {name}" for name, expression in columns)
    query = f"SELECT {listed} FROM {table} c {_joined(form)} WHERE {condition} ORDER BY c.id DESC"  # noqa: S608 (our own text)
    options = _OPTIONS[form]
    if form is Format.JSONL:
        query = f"SELECT row_to_json(line) FROM ({query}) AS line"  # noqa: S608
    elif with_head:
        options += ", HEADER"
    return sql.SQL("COPY ({}) TO STDOUT ({})").format(_filled(query, parameters), sql.SQL(options))


# Looking rows up one by one, by their keys, keeps the order in which they come; else they would have to be sorted
# afterwards, on disk. Calls lie in the order of their ids, so a wallet's index leads through the table once, from its end;
# PostgreSQL takes it to jump about, and would rather read everybody's calls.
SESSION = (
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO'",
    "SET lock_timeout = '5s'",
    "SET jit = off",
    "SET plan_cache_mode = auto",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_sort = off",
    "SET enable_bitmapscan = off",
    "SET enable_material = off",
    "SET enable_seqscan = off",
    "SET random_page_cost = 1",
    "SET max_parallel_workers_per_gather = 0",
)


_MULTIPLIER = "(multiplier_bp * 0.0001)::text"
_GROUP = f"SELECT {_MULTIPLIER} FROM pricing_grouprate WHERE id = c.group_rate_id"  # noqa: S608


def _columns(form: Format) -> list[tuple[str, str]]:
    """Names and their SQL."""
    is_csv = form is Format.CSV
    usage = [(unit, f"c.usage->>'{unit}'") for unit in UNITS] if is_csv else [("usage", "c.usage")]
    return [
        ("id", "c.id"),
        # To the millisecond and beyond, as recorded; to_char would take three times as long.
        ("started_at", "replace(replace(c.started_at::text, ' ', 'T'), '+00', 'Z')"),
        ("model", "v.model"),
        ("token_id", "c.key_id"),
        ("token", "k.token"),
        ("status", "c.status"),
        *usage,
        ("charged_usd", _usd("c.charged_nanousd", form)),
        ("promotional_usd", _usd("c.promotional_nanousd", form, is_often_zero=True)),
        ("paid_usd", _usd("c.charged_nanousd - c.promotional_nanousd", form)),
        ("price_version", "c.price_version_id"),
        ("price_multiplier", "v.multiplier"),
        # Of few calls: to look for none in each takes longer than to look once for some.
        ("group_multiplier", f"CASE WHEN c.group_rate_id IS NOT NULL THEN ({_GROUP}) END"),
        ("held_usd", _usd("c.held_nanousd", form)),
        ("balance_after_usd", _usd("c.balance_after_nanousd", form)),
        ("stream", "c.stream::text" if is_csv else "c.stream"),
        ("is_estimated", "c.is_estimated::text" if is_csv else "c.is_estimated"),
        ("latency_ms", "c.latency_ms"),
        ("first_token_ms", "c.first_token_ms"),
        ("endpoint", _text("c.endpoint", form)),
        ("upstream_id", _text("c.upstream_id", form)),
        ("client_ip", "host(d.client_ip)"),
        ("error", _text("d.error", form)),
    ]


def _joined(form: Format) -> str:
    """What belongs to many calls is looked up and written once, and remembered."""
    return f"""
        LEFT JOIN LATERAL (
            SELECT {_text("m.name", form)} AS model, {_MULTIPLIER} AS multiplier
            FROM pricing_priceversion v JOIN pricing_model m ON m.id = v.model_id
            WHERE v.id = c.price_version_id OFFSET 0
        ) v ON true
        LEFT JOIN LATERAL (
            SELECT {_text("k.name", form)} AS token FROM tokens_apikey k WHERE k.id = c.key_id OFFSET 0
        ) k ON true
        LEFT JOIN logs_calldetails d ON d.call_id = c.id
    """  # noqa: S608


def _usd(nanousd: str, form: Format, *, is_often_zero: bool = False) -> str:
    usd = f"({nanousd}) * 0.000000001"
    if is_often_zero:
        usd = f"CASE WHEN {nanousd} = 0 THEN 0.000000000 ELSE {usd} END"
    return usd if form is Format.CSV else f"({usd})::text"


def _text(column: str, form: Format) -> str:
    """As it is in JSON; as `spreadsheets.cell` makes it in CSV."""
    if form is Format.JSONL:
        return column
    return spreadsheets.cell_in_sql(column)


def _filled(query: str, parameters: Sequence[Any]) -> sql.Composed:
    """COPY takes no parameters beside its text, so they are written into it."""
    parts = query.split("%s")
    filled = sql.SQL(parts[0])
    composed = sql.Composed([filled])
    for value, part in zip(parameters, parts[1:], strict=True):
        composed += sql.Literal(value)
        composed += sql.SQL(part)
    return composed
