"""An audit in its own SQL: what must hold of the books after every test that moved money."""

from django.db import connection

# Archived months count by what was sealed of them, the others by their calls.
KEPT = "SELECT * FROM logs_call WHERE id >= ALL (SELECT upper_id FROM logs_archivedmonth)"
CALLS = f"""(SELECT wallet_id, key_id, charged_nanousd, 1 AS calls, started_at FROM ({KEPT}) AS kept
    UNION ALL SELECT wallet_id, key_id, charged_nanousd, calls, NULL FROM logs_sealedusage) AS calls"""

CHECKS = {
    "every cached balance equals credits − debits": """
        WITH moved AS (
            SELECT account_id, sum(amount) AS amount FROM (
                SELECT credit_account_id AS account_id, amount_nanousd AS amount FROM wallet_transfer
                UNION ALL SELECT debit_account_id, -amount_nanousd FROM wallet_transfer) AS sides
            GROUP BY account_id
        ), cached AS (
            SELECT account_id, sum(balance_nanousd) AS amount FROM wallet_housebalance GROUP BY account_id
            UNION ALL SELECT a.id, CASE a.kind WHEN 'paid' THEN f.paid_nanousd ELSE f.promotional_nanousd END
                FROM wallet_account a JOIN wallet_funds f ON f.wallet_id = a.wallet_id
        )
        SELECT * FROM cached FULL JOIN moved USING (account_id)
        WHERE coalesce(cached.amount, 0) <> coalesce(moved.amount, 0)""",
    "calls of a wallet sum to its usage transfers": f"""
        WITH calls AS (SELECT wallet_id, sum(charged_nanousd) AS amount FROM {CALLS} GROUP BY wallet_id),
        paid AS (SELECT wallet_id, sum(amount_nanousd) AS amount FROM wallet_transfer
            WHERE code = 'usage' GROUP BY wallet_id)
        SELECT * FROM calls FULL JOIN paid USING (wallet_id) WHERE coalesce(calls.amount, 0) <> coalesce(paid.amount, 0)""",
    "each transfer of usage is paid for by its calls": f"""
        WITH parts AS (
            SELECT promotional_transfer_id AS id, promotional_nanousd AS amount FROM ({KEPT}) AS kept
            UNION ALL SELECT paid_transfer_id, charged_nanousd - promotional_nanousd FROM ({KEPT}) AS kept
            UNION ALL SELECT transfer_id, amount_nanousd FROM logs_sealedtransfers
        ), sums AS (SELECT id, sum(amount) AS amount FROM parts WHERE id IS NOT NULL GROUP BY id),
        usage AS (SELECT id, wallet_id, amount_nanousd FROM wallet_transfer WHERE code = 'usage'),
        archived AS (SELECT wallet_id, sum(number) AS n, sum(amount_nanousd) AS amount FROM logs_sealedtransfers
            WHERE transfer_id IS NULL GROUP BY wallet_id),
        others AS (SELECT wallet_id, count(*) AS n, sum(amount_nanousd) AS amount FROM usage
            WHERE id NOT IN (SELECT id FROM sums) GROUP BY wallet_id)
        SELECT sums.id, sums.amount, usage.amount_nanousd FROM sums LEFT JOIN usage USING (id)
            WHERE sums.amount IS DISTINCT FROM usage.amount_nanousd
        UNION ALL SELECT wallet_id, others.amount, archived.amount FROM others FULL JOIN archived USING (wallet_id)
            WHERE (others.n, others.amount) IS DISTINCT FROM (archived.n, archived.amount)""",
    "daily usage is the sum of its calls": f"""
        SELECT * FROM
            (SELECT wallet_id, sum(charged_nanousd) AS charged, sum(calls) AS n FROM tokens_dailyusage GROUP BY wallet_id) d
            FULL JOIN (SELECT wallet_id, sum(charged_nanousd) AS charged, sum(calls) AS n FROM {CALLS} GROUP BY wallet_id) c
            USING (wallet_id) WHERE (d.charged, d.n) IS DISTINCT FROM (c.charged, c.n)""",
    "a key's spend is the sum of its calls": f"""
        SELECT * FROM (SELECT key_id, sum(charged_nanousd) AS charged, sum(calls) AS n, max(last_used_at) AS last
                FROM tokens_dailyusage GROUP BY key_id) s
            FULL JOIN (SELECT key_id, sum(charged_nanousd) AS charged, sum(calls) AS n, max(started_at) AS last
                FROM {CALLS} GROUP BY key_id) c
            USING (key_id) WHERE (s.charged, s.n, coalesce(c.last, s.last)) IS DISTINCT FROM (c.charged, c.n, s.last)""",
    "held totals equal open holds": """
        SELECT * FROM wallet_funds f
            LEFT JOIN (SELECT wallet_id, sum(amount_nanousd) AS amount FROM wallet_hold
                WHERE state = 'open' GROUP BY wallet_id) h USING (wallet_id)
            WHERE f.held_nanousd <> coalesce(h.amount, 0)""",
    "every payment is one top-up transfer": """
        SELECT t.id FROM wallet_topup t WHERE t.state = 'paid' AND t.received_cents > 0
            AND (SELECT sum(x.amount_nanousd) FROM wallet_transfer x
                 WHERE x.code = 'top_up' AND x.reference = 'top_up:' || t.payment_intent_id)
                IS DISTINCT FROM t.received_cents * 10000000::bigint""",
}


def assert_books() -> None:
    """Every check of the audit finds nothing."""
    for claim, sql in CHECKS.items():
        with connection.cursor() as cursor:
            cursor.execute(sql)
            assert cursor.fetchall() == [], f"Not so: {claim}"
