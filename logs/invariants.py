"""What must hold between calls and the ledger; run with the wallet's own (wallet/invariants.py).

A month that was archived counts by its seals (logs/archive), the others by their calls: whatever is still in the table of an
archived month is not looked at.
"""

from logs.archive import KEPT, kept_from
from wallet import seals
from wallet.invariants import OF_WALLETS, Invariant, by_sql, register


def add() -> None:
    register(ARCHIVE, CHARGES, TRANSFERS, DAYS)
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

DAYS = Invariant(
    "daily_usage",
    "A key's daily usage is not the sum of its calls: charts and totals show something else than the log.",
    by_sql(f"""
    WITH days AS (SELECT wallet_id, key_id, model_id, sum(charged_nanousd) AS amount, sum(calls) AS number,
        sum(failed) AS failed FROM tokens_dailyusage WHERE {OF_WALLETS} GROUP BY wallet_id, key_id, model_id),
    calls AS (SELECT wallet_id, key_id, model_id, sum(amount) AS amount, sum(number) AS number, sum(failed) AS failed FROM (
            SELECT wallet_id, key_id, model_id, sum(charged_nanousd) AS amount, count(*) AS number,
                count(*) FILTER (WHERE status = 'failed') AS failed
            FROM logs_call WHERE {KEPT} AND {OF_WALLETS} GROUP BY wallet_id, key_id, model_id
            UNION ALL
            SELECT wallet_id, key_id, model_id, charged_nanousd, calls, failed FROM logs_sealedusage WHERE {OF_WALLETS}
        ) AS both_sides GROUP BY wallet_id, key_id, model_id)
    SELECT DISTINCT format('key %%s of wallet %%s', key_id, wallet_id)
    FROM days FULL JOIN calls USING (wallet_id, key_id, model_id)
    WHERE (days.amount, days.number, days.failed) IS DISTINCT FROM (calls.amount, calls.number, calls.failed)"""),  # noqa: S608
)


def _archived(wallet_ids: list[int] | None) -> list[str]:
    if wallet_ids is not None or kept_from() is None:
        return []
    # Arrow is loaded by those who read an archive only.
    from logs.archive import checks

    return checks.problems()


ARCHIVE = Invariant(
    "archived_months",
    "The file of an archived month is missing or is not what was sealed: put it back from a backup. Only a"
    " run over all wallets looks at this.",
    _archived,
)
