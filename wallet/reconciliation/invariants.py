"""What must always hold between Stripe's balance transactions and our transfers. Looked at together with all wallets."""

from wallet.invariants import Invariant, by_sql, register
from wallet.models import Code

CODES = (Code.STRIPE_FEE, Code.REFUND, Code.REFUND_REVERSAL, Code.DISPUTE, Code.DISPUTE_REVERSAL, Code.PAYOUT)


def references(transaction_id: str) -> list[str]:
    """All that a balance transaction can be booked under."""
    return [f"{code.value}:{transaction_id}" for code in CODES]


# What the transfers of a transaction moved into `stripe_clearing`.
_REFERENCES = ", ".join(f"'{reference}' || s.id" for reference in references(""))
MOVED = f"""
    SELECT coalesce(sum(CASE WHEN t.debit_account_id = c.id THEN t.amount_nanousd ELSE -t.amount_nanousd END), 0)
    FROM wallet_transfer t WHERE t.reference = ANY(ARRAY[{_REFERENCES}])
        AND c.id IN (t.debit_account_id, t.credit_account_id)
"""  # noqa: S608 (codes of ours)
# A charge of no wallet, which was given back: it is owed until that is booked.
OF_NOBODY = "EXISTS (SELECT FROM wallet_transfer t WHERE t.reference = 'refund_reversal:' || s.id)"

register(
    Invariant(
        "stripe_transactions",
        "A balance transaction of Stripe's is booked with other transfers than it says, an unexplained one has some, or a"
        " booked charge is neither the payment of one credited top-up nor was given back.",
        by_sql(f"""
        SELECT format('balance transaction %%s: its transfers move %%s nano-dollars, it says %%s', id, moved, expected)
        FROM (
            SELECT s.id, ({MOVED}) AS moved, CASE
                WHEN s.state = 'unexplained' THEN 0
                WHEN s.type IN ('charge', 'payment') AND NOT {OF_NOBODY} THEN -s.fee_cents * 10000000::bigint
                ELSE (s.amount_cents - s.fee_cents) * 10000000::bigint END AS expected
            FROM wallet_stripetransaction s,
                (SELECT id FROM wallet_account WHERE wallet_id IS NULL AND kind = 'stripe_clearing') c
            WHERE %(wallets)s::bigint[] IS NULL) AS told
        WHERE moved <> expected
        UNION ALL
        SELECT format('balance transaction %%s: its charge of %%s cents is of no top-up of that amount', s.id,
            s.amount_cents)
        FROM wallet_stripetransaction s
        WHERE %(wallets)s::bigint[] IS NULL AND s.state = 'booked' AND s.type IN ('charge', 'payment')
            AND NOT {OF_NOBODY} AND (SELECT count(*) FROM wallet_topup t WHERE t.charge_id = s.source_id AND t.state = 'paid'
                AND t.received_cents + coalesce(t.tax_cents, 0) = s.amount_cents) <> 1"""),  # noqa: S608 (ours)
    ),
    Invariant(
        "stripe_clearing",
        "What lies at Stripe by our ledger is not the sum of its balance transactions and the credits on their way there:"
        " something else moved it. Corrections by staff are left out of both.",
        by_sql("""
        SELECT format('stripe_clearing: %%s nano-dollars, its explanation sums to %%s', held, explained)
        FROM (SELECT
            (SELECT coalesce(sum(CASE WHEN t.debit_account_id = c.id THEN t.amount_nanousd ELSE -t.amount_nanousd END), 0)
                FROM wallet_transfer t, (SELECT id FROM wallet_account WHERE wallet_id IS NULL
                    AND kind = 'stripe_clearing') c
                WHERE c.id IN (t.debit_account_id, t.credit_account_id) AND t.corrects_id IS NULL) AS held,
            (SELECT coalesce(sum(amount_cents - fee_cents), 0) * 10000000::bigint FROM wallet_stripetransaction
                WHERE state = 'booked')
            + (SELECT coalesce(sum(received_cents + coalesce(tax_cents, 0)), 0) * 10000000::bigint FROM wallet_topup t
                WHERE t.state = 'paid' AND NOT EXISTS (SELECT FROM wallet_stripetransaction s
                    WHERE s.source_id = t.charge_id AND s.type IN ('charge', 'payment') AND s.state = 'booked'))
                AS explained) AS sums
        WHERE %(wallets)s::bigint[] IS NULL AND held <> explained"""),
    ),
)
