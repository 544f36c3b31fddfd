"""Our books beside the stand-in's, payment by payment and in sum. In SQL and sums of its own, not the product's."""

from collections import Counter
from typing import Any

from django.db import connection

from tests.wallet.books import CENT

# What our transfers say of each payment, in cents, found by the ids of Stripe's objects: received with tax, less what
# left Stripe for it, plus what came back.
PER_PAYMENT = """
    WITH moved AS (
        SELECT reference, CASE WHEN debit.kind = 'stripe_clearing' THEN amount_nanousd ELSE -amount_nanousd END AS amount
        FROM wallet_transfer t JOIN wallet_account debit ON debit.id = t.debit_account_id
            JOIN wallet_account credit ON credit.id = t.credit_account_id
        WHERE 'stripe_clearing' IN (debit.kind, credit.kind) AND t.code NOT IN ('stripe_fee', 'payout')
    ), of_object AS (
        SELECT payment_intent_id AS payment, 'top_up:' || payment_intent_id AS reference FROM wallet_topup
        UNION ALL SELECT payment_intent_id, 'tax:' || payment_intent_id FROM wallet_topup
        UNION ALL SELECT t.payment_intent_id, c || ':' || s.id FROM wallet_refund r JOIN wallet_topup t ON t.id = r.top_up_id
            JOIN wallet_stripetransaction s ON r.refund_id IN (s.source_id, s.id),
            unnest('{refund,refund_reversal}'::text[]) c
        UNION ALL SELECT d.payment_intent_id, c || ':' || s.id FROM wallet_dispute d
            JOIN wallet_stripetransaction s ON s.source_id = d.id, unnest('{dispute,dispute_reversal}'::text[]) c
    )
    SELECT payment, sum(amount) FROM moved LEFT JOIN of_object USING (reference) GROUP BY payment
"""
HOUSE = """
    SELECT a.kind, -sum(h.balance_nanousd) FROM wallet_account a JOIN wallet_housebalance h ON h.account_id = a.id GROUP BY 1
"""
WALLETS = """
    SELECT c.customer_id, f.paid_nanousd FROM wallet_funds f JOIN wallet_stripecustomer c ON c.wallet_id = f.wallet_id
"""


def differences(books: dict[str, Any], *, in_refund_cents: Counter[str]) -> list[str]:
    """`books` is what the stand-in says; `in_refund_cents` by customer what left a wallet and not yet Stripe."""
    assert books["agrees"], books["differences"]
    theirs = {row["payment_intent"]: row["clearing"] for row in books["payments"]}
    ours = _cents(PER_PAYMENT)
    found = [
        f"Payment {payment}: {theirs.get(payment, 0)} cents there, {ours.get(payment, 0)} here."
        for payment in theirs.keys() | ours.keys()
        if theirs.get(payment, 0) != ours.get(payment, 0)
    ]
    house = _cents(HOUSE)
    fees = books["totals"]["fee"] - sum(
        entry["amount"] for kind, entry in books["balance_transactions"].items() if kind == "stripe_fee"
    )
    sums = [
        ("stripe_clearing", books["balance"]["total"], house.get("stripe_clearing", 0)),
        ("stripe_fees", fees, house.get("stripe_fees", 0)),
        ("disputes", 0, house.get("disputes", 0)),
        ("refunds_pending", -in_refund_cents.total(), house.get("refunds_pending", 0)),
    ]
    found += [f"{name}: {there} cents there, {here} here." for name, there, here in sums if there != here]
    customers: Counter[str] = Counter()
    for row in books["payments"]:
        customers[row["customer"]] += row["clearing"] - row["tax"]
    wallets = _cents(WALLETS)
    found += [
        f"Customer {customer}: {customers[customer]} cents there, a balance of {wallets.get(customer)} here."
        for customer in customers
        if customers[customer] - in_refund_cents[customer] != wallets.get(customer)
    ]
    return found


def _cents(sql: str) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall()
    assert all(amount % CENT == 0 for _, amount in rows)
    return {name: int(amount) // CENT for name, amount in rows}
