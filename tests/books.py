"""An audit in its own SQL: what must hold of the books after every test that moved money."""

from django.db import connection

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
    "calls of a wallet sum to its usage transfers": """
        WITH calls AS (SELECT wallet_id, sum(charged_nanousd) AS amount FROM logs_call GROUP BY wallet_id),
        paid AS (SELECT wallet_id, sum(amount_nanousd) AS amount FROM wallet_transfer
            WHERE code = 'usage' GROUP BY wallet_id)
        SELECT * FROM calls FULL JOIN paid USING (wallet_id) WHERE coalesce(calls.amount, 0) <> coalesce(paid.amount, 0)""",
    "each transfer of usage is paid for by its calls": """
        WITH parts AS (
            SELECT promotional_transfer_id AS id, promotional_nanousd AS amount FROM logs_call
            UNION ALL SELECT paid_transfer_id, charged_nanousd - promotional_nanousd FROM logs_call
        ), sums AS (SELECT id, sum(amount) AS amount FROM parts WHERE id IS NOT NULL GROUP BY id)
        SELECT * FROM sums FULL JOIN (SELECT id, amount_nanousd FROM wallet_transfer WHERE code = 'usage') t USING (id)
        WHERE sums.amount IS DISTINCT FROM t.amount_nanousd""",
    "daily usage is the sum of its calls": """
        SELECT * FROM
            (SELECT wallet_id, sum(charged_nanousd) AS charged, sum(calls) AS n FROM tokens_dailyusage GROUP BY wallet_id) d
            FULL JOIN (SELECT wallet_id, sum(charged_nanousd) AS charged, count(*) AS n FROM logs_call GROUP BY wallet_id) c
            USING (wallet_id) WHERE (d.charged, d.n) IS DISTINCT FROM (c.charged, c.n)""",
    "a key's spend is the sum of its calls": """
        SELECT * FROM (SELECT key_id, sum(charged_nanousd) AS charged, sum(calls) AS n, max(last_used_at) AS last
                FROM tokens_dailyusage GROUP BY key_id) s
            FULL JOIN (SELECT key_id, sum(charged_nanousd) AS charged, count(*) AS n, max(started_at) AS last
                FROM logs_call GROUP BY key_id) c
            USING (key_id) WHERE (s.charged, s.n, s.last) IS DISTINCT FROM (c.charged, c.n, c.last)""",
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
