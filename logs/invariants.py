"""What must hold between calls and the ledger; run with the wallet's own (wallet/invariants.py), but for the files of
archived months, which are read apart.

A month that was archived counts by its seals (logs/archive), the others by their calls: whatever is still in the table of an
archived month is not looked at.
"""

from logs import archive, call_ids
from logs.archive import KEPT
from logs.sums import SUMMED
from tokens import spending
from wallet import seals
from wallet.invariants import MOST_IDS, OF_WALLETS, Invariant, by_sql, register


def add() -> None:
    register(ARCHIVE, CHARGES, TRANSFERS, DAYS, HOURS)
    seals.keep(seals.SealedTable("logs_call", "recorded_at", "left(id::text, 9)", CALL_COLUMNS, KEPT))


# Every column that says what was charged, in an order that never changes; a new column is not added to old seals.
CALL_COLUMNS = (
    "id, wallet_id, key_id, model_id, price_version_id, status, extract(epoch FROM started_at),"
    # Where there is none, the row is what it was before there were groups.
    " CASE WHEN group_rate_id IS NULL THEN usage ELSE usage || jsonb_build_object('group rate', group_rate_id) END,"
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


def _weight(number: str) -> str:
    """By the number of a day or an hour. It goes round, so that no product with a charge leaves 64 bits."""
    return f"(1 + ({number}) %% 509)"


def _differences(
    *,
    rows: str,
    calls: str,
    number_of_row: str,
    number_of_call: str,
    has_largest: bool = False,
    archived: str = "",
) -> str:
    """Keys whose rows of a roll-up are not what their calls of a model come to.

    Added up with the number of their day (or hour) as a weight, rows that stand under another one than their calls are seen
    too, without a group for each. `rows` and `calls` are tables with a condition, `archived` has what is known of calls
    that are in neither, in the order of the names.
    """
    row, call = _weight(number_of_row), _weight(number_of_call)
    largest, of_charges = ("max(largest_nanousd)", "max(charged_nanousd)") if has_largest else ("0", "0")
    names = (*SUMMED, "calls_weighed", "charged_weighed", "largest")
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMMED)
    of_calls = ", ".join(f"{found} AS {name}" for name, found in SUMMED.items())
    return f"""
    WITH counted AS (
        SELECT wallet_id, key_id, model_id, {sums}, sum(calls * {row}) AS calls_weighed,
            sum(charged_nanousd::numeric * {row}) AS charged_weighed, {largest} AS largest
        FROM {rows} AND {OF_WALLETS} GROUP BY wallet_id, key_id, model_id
    ), called AS (
        SELECT wallet_id, key_id, model_id, {sums}, sum(calls_weighed) AS calls_weighed,
            sum(charged_weighed) AS charged_weighed, max(largest) AS largest
        FROM (
            SELECT wallet_id, key_id, model_id, {of_calls}, sum({call}) AS calls_weighed,
                sum(charged_nanousd * {call}) AS charged_weighed, {of_charges} AS largest
            FROM {calls} AND {OF_WALLETS} GROUP BY wallet_id, key_id, model_id
            {archived}
        ) AS both_sides GROUP BY wallet_id, key_id, model_id
    )
    SELECT DISTINCT format('key %%s of wallet %%s', key_id, wallet_id)
    FROM counted FULL JOIN called USING (wallet_id, key_id, model_id)
    WHERE {" OR ".join(f"counted.{name} IS DISTINCT FROM called.{name}" for name in names)}"""  # noqa: S608


# Of an archived month nobody knows the days any more: it is compared as a whole, under its first one.
KEPT_DAY = "(SELECT (month + interval '1 month')::date FROM logs_archivedmonth ORDER BY month DESC LIMIT 1)"
DAY = f"CASE WHEN day < {KEPT_DAY} THEN date_trunc('month', day::timestamp)::date ELSE day END"
OF_MONTH = _weight("month_id - date '1970-01-01'")
DAYS = Invariant(
    "daily_usage",
    "A key's daily usage is not the sum of its calls: charts and totals show something else than the log.",
    by_sql(
        _differences(
            rows="tokens_dailyusage WHERE true",
            calls=f"logs_call WHERE {KEPT}",
            number_of_row=f"{DAY} - date '1970-01-01'",
            number_of_call="floor(extract(epoch FROM uuid_extract_timestamp(id)) / 86400)::bigint",
            has_largest=True,
            archived=f"""UNION ALL SELECT wallet_id, key_id, model_id, {", ".join(SUMMED)}, calls * {OF_MONTH},
                charged_nanousd::numeric * {OF_MONTH}, largest_nanousd
            FROM logs_sealedusage WHERE {OF_WALLETS}""",  # noqa: S608
        )
    ),
)


def _kept_hours() -> dict[str, object]:
    oldest = spending.oldest_hour()
    return {"oldest": oldest, "oldest_id": call_ids.floor(oldest)}


HOURS = Invariant(
    "hourly_usage",
    "A key's hourly usage is not the sum of its calls of the days whose hours are kept: charts show something else than the"
    " log.",
    by_sql(
        _differences(
            rows="tokens_hourlyusage WHERE hour >= %(oldest)s",
            calls="logs_call WHERE id >= %(oldest_id)s",
            number_of_row="(extract(epoch FROM hour) / 3600)::bigint",
            number_of_call="floor(extract(epoch FROM uuid_extract_timestamp(id)) / 3600)::bigint",
        ),
        _kept_hours,
    ),
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
