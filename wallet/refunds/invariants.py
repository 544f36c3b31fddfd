"""What must hold between refunds, payments and the ledger; run with the wallet's own (wallet/invariants.py)."""

from wallet.invariants import OF_WALLETS, Invariant, by_sql, register

register(
    Invariant(
        "refunds_within_payments",
        "Stripe gave back more of a payment than it received, or more tax went back, with disputes, than was paid: a refund"
        " was booked twice, a payment was both refunded and disputed, or Stripe's account was left to somebody else. Compare"
        " the payment's refunds and disputes in Stripe's dashboard with ours.",
        by_sql(f"""
        SELECT format('top-up %%s: received %%s cents with tax, refunds %%s; tax %%s, gone back %%s', t.id,
            coalesce(t.received_cents, 0) + coalesce(t.tax_cents, 0), r.gone, coalesce(t.tax_cents, 0),
            r.tax + d.tax)
        FROM (SELECT top_up_id, sum(amount_cents + tax_cents) AS gone, sum(tax_cents) AS tax FROM wallet_refund
                WHERE refund_id IS NOT NULL AND state NOT IN ('failed', 'canceled', 'declined') AND {OF_WALLETS}
                GROUP BY top_up_id) r
            JOIN wallet_topup t ON t.id = r.top_up_id
            CROSS JOIN LATERAL (SELECT coalesce(sum(tax_cents), 0) AS tax FROM wallet_dispute WHERE top_up_id = t.id) d
        WHERE t.state <> 'paid' OR r.gone > coalesce(t.received_cents, 0) + coalesce(t.tax_cents, 0)
            OR r.tax + d.tax > coalesce(t.tax_cents, 0)"""),  # noqa: S608
    ),
    Invariant(
        "refund_transfers",
        "A refund did not take from the wallet what it says, did not put it back where nothing came of it, or moved"
        " something though nothing had come of it when it was first heard of.",
        by_sql(f"""
        WITH refunds AS (
            SELECT id, wallet_id, state, CASE WHEN left_wallet THEN amount_cents ELSE 0 END AS amount_cents,
                CASE WHEN left_wallet THEN tax_cents ELSE 0 END AS tax_cents
            FROM wallet_refund WHERE {OF_WALLETS}),
        due AS (
            SELECT id, 'refund:' || id AS reference, amount_cents AS cents, wallet_id FROM refunds
            UNION ALL SELECT id, 'tax:refund:' || id, tax_cents, NULL FROM refunds
            UNION ALL SELECT id, 'refund_reversal:' || id, CASE WHEN is_back THEN amount_cents ELSE 0 END, wallet_id
                FROM (SELECT *, state IN ('failed', 'canceled', 'declined') AS is_back FROM refunds) b
            UNION ALL SELECT id, 'tax:refund_reversal:' || id, CASE WHEN is_back THEN tax_cents ELSE 0 END, NULL
                FROM (SELECT *, state IN ('failed', 'canceled', 'declined') AS is_back FROM refunds) b
        )
        SELECT format('refund %%s: %%s should be %%s cents', due.id, due.reference, due.cents)
        FROM due LEFT JOIN wallet_transfer x USING (reference)
        WHERE coalesce(x.amount_nanousd, 0) <> due.cents * 10000000::bigint
            OR (due.cents > 0 AND x.wallet_id IS DISTINCT FROM due.wallet_id)"""),  # noqa: S608
    ),
    Invariant(
        "refunds_pending_explained",
        "Money went to or from refunds_pending that is of no refund: neither a row of ours nor a balance transaction of"
        " Stripe's stands for it. Only a run over all wallets looks at this.",
        by_sql("""
        SELECT format('transfer %%s: %%s is of no refund', x.id, x.reference)
        FROM wallet_account a JOIN wallet_transfer x ON a.id IN (x.debit_account_id, x.credit_account_id)
        WHERE %(wallets)s::bigint[] IS NULL AND a.wallet_id IS NULL AND a.kind = 'refunds_pending' AND x.corrects_id IS NULL
            AND NOT EXISTS (SELECT FROM wallet_refund r WHERE r.id = substring(x.reference
                FROM '^(?:tax:)?(?:refund|refund_reversal):([0-9a-f]{8}-[0-9a-f-]{27})$')::uuid)
            AND NOT EXISTS (SELECT FROM wallet_stripetransaction s
                WHERE s.id = substring(x.reference FROM '^(?:refund|refund_reversal):(.+)$'))"""),
    ),
)
