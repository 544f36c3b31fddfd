"""What must hold between calls and the ledger; run with the wallet's own (wallet/invariants.py), but for the files of
archived months, which are read apart.

A month that was archived counts by its seals (logs/archive), the others by their calls: whatever is still in the table of an
archived month is not looked at.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from itertools import chain, islice, pairwise

from logs import archive, call_ids
from logs.archive import KEPT, kept_from
from logs.models import Call
from logs.sums import SUMMED, Span, midnight
from tokens import spending
from wallet import seals
from wallet.invariants import MOST_IDS, OF_WALLETS, Invariant, by_sql, register


def add() -> None:
    register(ARCHIVE, CHARGES, TRANSFERS, DAYS, HOURS)
    seals.keep(seals.SealedTable("logs_call", "recorded_at", "left(id::text, 9)", CALL_COLUMNS, KEPT))


# Every column that says what was charged, in an order that never changes; a new column is not added to old seals.
CALL_COLUMNS = (
    "id, wallet_id, key_id, model_id, price_version_id, status, extract(epoch FROM started_at),"
    # Where there is neither, the row is what it was before there were groups and estimates.
    " CASE WHEN group_rate_id IS NULL AND NOT is_estimated THEN usage ELSE usage || jsonb_strip_nulls(jsonb_build_object("
    "'group rate', group_rate_id, 'estimated', CASE WHEN is_estimated THEN true END)) END,"
    " charged_nanousd,"
    " promotional_nanousd, promotional_transfer_id, paid_transfer_id, held_nanousd, balance_after_nanousd"
)


CHARGES = Invariant(
    "charges",
    "The charges of a wallet's calls are not what its usage transfers took: a call was charged without being written, or the"
    " other way round.",
    by_sql(f"""
    WITH calls AS (
        SELECT wallet_id, sum(amount) AS amount FROM (
            SELECT wallet_id, charged_nanousd AS amount FROM logs_call WHERE {KEPT} AND {OF_WALLETS}
            UNION ALL SELECT wallet_id, charged_nanousd FROM logs_sealedusage WHERE {OF_WALLETS}) AS both_sides
        GROUP BY wallet_id),
    taken AS (SELECT wallet_id, sum(amount_nanousd) AS amount FROM wallet_transfer
        WHERE code = 'usage' AND {OF_WALLETS} GROUP BY wallet_id)
    SELECT format('wallet %%s: its calls cost %%s nano-dollars, usage took %%s', wallet_id, coalesce(calls.amount, 0),
        coalesce(taken.amount, 0))
    FROM calls FULL JOIN taken USING (wallet_id)
    WHERE coalesce(calls.amount, 0) <> coalesce(taken.amount, 0)"""),  # noqa: S608
)

# A transfer may pay for calls on both sides of the end of an archived month: then its part of that month was kept. Those
# that paid for archived calls alone are counted and summed up, so that none can come or go.
TRANSFERS = Invariant(
    "usage_transfers",
    "A usage transfer is not the sum of the calls that name it.",
    by_sql(f"""
    WITH parts AS (
        SELECT promotional_transfer_id AS id, promotional_nanousd AS amount FROM logs_call WHERE {KEPT} AND {OF_WALLETS}
        UNION ALL
        SELECT paid_transfer_id, charged_nanousd - promotional_nanousd FROM logs_call WHERE {KEPT} AND {OF_WALLETS}
        UNION ALL
        SELECT transfer_id, amount_nanousd FROM logs_sealedtransfers WHERE {OF_WALLETS}
    ), sums AS (SELECT id, sum(amount) AS amount FROM parts WHERE id IS NOT NULL GROUP BY id),
    sealed AS (
        SELECT wallet_id, sum(number) AS number, sum(amount_nanousd) AS amount FROM logs_sealedtransfers
        WHERE transfer_id IS NULL AND {OF_WALLETS} GROUP BY wallet_id
    ), both_sides AS (
        SELECT id, t.wallet_id, t.amount_nanousd AS moved, sums.amount FROM sums FULL JOIN (
            SELECT id, wallet_id, amount_nanousd FROM wallet_transfer WHERE code = 'usage' AND {OF_WALLETS}) t USING (id)
    ), alone AS (
        SELECT wallet_id, count(*) AS number, sum(moved) AS amount, min(id) AS first FROM both_sides WHERE amount IS NULL
        GROUP BY wallet_id
    )
    SELECT format('transfer %%s: moved %%s nano-dollars, its calls cost %%s', id, coalesce(moved, 0), amount)
    FROM both_sides WHERE amount <> coalesce(moved, 0) OR (amount IS NOT NULL AND moved IS NULL)
    UNION ALL
    SELECT format('wallet %%s: %%s transfers of %%s nano-dollars (the first is %%s) paid for no call that is kept, and for'
        ' archived calls %%s of %%s', wallet_id, coalesce(alone.number, 0), coalesce(alone.amount, 0),
        coalesce(first::text, 'none'), coalesce(sealed.number, 0), coalesce(sealed.amount, 0))
    FROM alone FULL JOIN sealed USING (wallet_id)
    WHERE (alone.number, alone.amount) IS DISTINCT FROM (sealed.number, sealed.amount)"""),  # noqa: S608
)


# Columns of the roll-ups; that of hours has no dearest call.
HOUR_COLUMNS = tuple(SUMMED)
DAY_COLUMNS = (*HOUR_COLUMNS, "largest_nanousd")
OF_CALLS = ", ".join(
    [*(f"{found} AS {name}" for name, found in SUMMED.items()), "max(charged_nanousd) AS largest_nanousd"]
)


def _differences(columns: tuple[str, ...], *, rows: str, calls: str) -> str:
    """Where rows of a roll-up are not what was called, in any column; both by wallet, key, model and time (`at`)."""
    differ = " OR ".join(f"counted.{name} IS DISTINCT FROM called.{name}" for name in columns)
    return f"""
    WITH counted AS ({rows}), called AS ({calls})
    SELECT format('key %%s of wallet %%s, %%s', key_id, wallet_id, at)
    FROM counted FULL JOIN called USING (wallet_id, key_id, model_id, at)
    WHERE {differ} ORDER BY wallet_id, key_id, at"""  # noqa: S608


def _calls_by(at: str) -> str:
    """Kept calls of a time, added up by this part of theirs; `made_at` is when it was."""
    return f"""
    SELECT wallet_id, key_id, model_id, {at} AS at, {OF_CALLS}
    FROM (SELECT *, uuid_extract_timestamp(id) AT TIME ZONE 'UTC' AS made_at FROM logs_call
        WHERE id >= %(floor)s AND id < %(ceiling)s AND {OF_WALLETS}) AS calls
    GROUP BY wallet_id, key_id, model_id, {at}"""  # noqa: S608


OF_DAYS = _differences(
    DAY_COLUMNS,
    rows=f"SELECT *, day AS at FROM tokens_dailyusage WHERE day >= %(first)s AND day < %(last)s AND {OF_WALLETS}",  # noqa: S608
    calls=_calls_by("made_at::date"),
)
OF_HOURS = _differences(
    HOUR_COLUMNS,
    rows=f"""
    SELECT *, hour AT TIME ZONE 'UTC' AS at FROM tokens_hourlyusage
    WHERE hour >= %(first)s::timestamp AT TIME ZONE 'UTC' AND hour < %(last)s::timestamp AT TIME ZONE 'UTC'
        AND {OF_WALLETS}""",  # noqa: S608
    calls=_calls_by("date_trunc('hour', made_at)"),
)
# Of an archived month nobody knows the days any more.
OF_ARCHIVED_MONTHS = _differences(
    DAY_COLUMNS,
    rows=f"""
    SELECT wallet_id, key_id, model_id, date_trunc('month', day::timestamp)::date AS at,
        {", ".join(f"sum({name}) AS {name}" for name in SUMMED)}, max(largest_nanousd) AS largest_nanousd
    FROM tokens_dailyusage WHERE day < %(first)s AND {OF_WALLETS} GROUP BY wallet_id, key_id, model_id, 4""",  # noqa: S608
    calls=f"SELECT *, month_id AS at FROM logs_sealedusage WHERE {OF_WALLETS}",  # noqa: S608
)


def _by_day(sql: str, first: date, wallet_ids: list[int] | None) -> list[str]:
    """What this finds since a day. Of all wallets a day at a time is compared, which takes little memory."""
    called = _days_called(first) if wallet_ids is None else ()
    # What stands before and after all calls is compared as well.
    of_days = (
        by_sql(sql, partial(_bounds, *ends))(wallet_ids) for ends in pairwise((first, *called, date.max))
    )
    return list(islice(chain.from_iterable(of_days), MOST_IDS))


def _days_called(since: date) -> Iterator[date]:
    """From the day of the oldest of these calls to the one after the newest."""
    ids = Call.objects.filter(Span(midnight(since)).of_ids).order_by("id").values_list("id", flat=True)
    oldest, newest = ids.first(), ids.last()
    if oldest and newest:
        first = call_ids.day(oldest)
        yield from (
            first + timedelta(days=number) for number in range((call_ids.day(newest) - first).days + 2)
        )


def _bounds(first: date, last: date) -> dict[str, object]:
    """From a UTC day to before another one, for rows and for ids of calls."""
    floor, ceiling = (call_ids.floor(midnight(day)) for day in (first, last))
    return {"first": first, "last": last, "floor": floor, "ceiling": ceiling}


def _days(wallet_ids: list[int] | None) -> list[str]:
    upper_id = kept_from()
    if upper_id is None:
        return _by_day(OF_DAYS, date.min, wallet_ids)
    kept = call_ids.day(upper_id)
    archived = by_sql(OF_ARCHIVED_MONTHS, partial(_bounds, kept, date.max))(wallet_ids)
    return [*archived, *_by_day(OF_DAYS, kept, wallet_ids)][:MOST_IDS]


DAYS = Invariant(
    "daily_usage",
    "A key's daily usage is not the sum of its calls: charts and totals show something else than the log.",
    _days,
)
HOURS = Invariant(
    "hourly_usage",
    "A key's hourly usage is not the sum of its calls of the days whose hours are kept: charts show something else than the"
    " log.",
    lambda wallet_ids: _by_day(OF_HOURS, spending.oldest_hour().date(), wallet_ids),
)


def _archived(_: list[int] | None) -> list[str]:
    if not archive.has_months():
        return []
    # Arrow is loaded by those who read an archive only.
    from logs.archive import checks

    return checks.problems()[:MOST_IDS]


ARCHIVED_MONTHS = "archived months"
ARCHIVE = Invariant(
    "archived_months",
    "The file of an archived month is missing or is not what was sealed: put it back from a backup.",
    _archived,
    ARCHIVED_MONTHS,
)
