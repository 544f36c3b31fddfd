"""What must hold between calls and the ledger; run with the wallet's own (wallet/invariants.py)."""

from wallet import seals
from wallet.invariants import OF_WALLETS, Invariant, by_sql, register


def add() -> None:
    register(CHARGES, TRANSFERS, DAYS)
    seals.keep(seals.SealedTable("logs_call", "recorded_at", "left(id::text, 9)", CALL_COLUMNS))


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
    WITH calls AS (SELECT wallet_id, sum(charged_nanousd) AS amount FROM logs_call WHERE {OF_WALLETS} GROUP BY wallet_id),
    taken AS (SELECT wallet_id, sum(amount_nanousd) AS amount FROM wallet_transfer
        WHERE code = 'usage' AND {OF_WALLETS} GROUP BY wallet_id)
    SELECT format('wallet %%s: its calls cost %%s nano-dollars, usage took %%s', wallet_id, coalesce(calls.amount, 0),
        coalesce(taken.amount, 0))
    FROM calls FULL JOIN taken USING (wallet_id)
    WHERE coalesce(calls.amount, 0) <> coalesce(taken.amount, 0)"""),  # noqa: S608
)

TRANSFERS = Invariant(
    "usage_transfers",
    "A usage transfer is not the sum of the calls that name it.",
    by_sql(f"""
    WITH parts AS (
        SELECT promotional_transfer_id AS id, promotional_nanousd AS amount FROM logs_call WHERE {OF_WALLETS}
        UNION ALL
        SELECT paid_transfer_id, charged_nanousd - promotional_nanousd FROM logs_call WHERE {OF_WALLETS}
    ), sums AS (SELECT id, sum(amount) AS amount FROM parts WHERE id IS NOT NULL GROUP BY id)
    SELECT format('transfer %%s: moved %%s nano-dollars, its calls cost %%s', id, coalesce(t.amount_nanousd, 0),
        coalesce(sums.amount, 0))
    FROM sums FULL JOIN (
        SELECT id, amount_nanousd FROM wallet_transfer WHERE code = 'usage' AND {OF_WALLETS}) t USING (id)
    WHERE sums.amount IS DISTINCT FROM t.amount_nanousd"""),  # noqa: S608
)

DAYS = Invariant(
    "daily_usage",
    "A key's daily usage is not the sum of its calls: charts and totals show something else than the log.",
    by_sql(f"""
    WITH days AS (SELECT wallet_id, key_id, model_id, sum(charged_nanousd) AS amount, sum(calls) AS number,
        sum(failed) AS failed FROM tokens_dailyusage WHERE {OF_WALLETS} GROUP BY wallet_id, key_id, model_id),
    calls AS (SELECT wallet_id, key_id, model_id, sum(charged_nanousd) AS amount, count(*) AS number,
        count(*) FILTER (WHERE status = 'failed') AS failed
        FROM logs_call WHERE {OF_WALLETS} GROUP BY wallet_id, key_id, model_id)
    SELECT DISTINCT format('key %%s of wallet %%s', key_id, wallet_id)
    FROM days FULL JOIN calls USING (wallet_id, key_id, model_id)
    WHERE (days.amount, days.number, days.failed) IS DISTINCT FROM (calls.amount, calls.number, calls.failed)"""),  # noqa: S608
)
