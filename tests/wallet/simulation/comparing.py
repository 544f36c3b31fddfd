"""Our books beside the stand-in's, payment by payment and in sum. In SQL and sums of its own, not the product's."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from django.db import connection

from tests.wallet.books import CENT

# Every transfer that belongs to a payment, found by the ids of Stripe's objects and of our rows. A transfer with a place
# in one of these accounts and no payment is listed as one of the payment None.
OF_PAYMENTS = """
    WITH of_object AS (
        SELECT payment_intent_id AS payment, c || ':' || payment_intent_id AS reference
            FROM wallet_topup, unnest('{top_up,tax}'::text[]) c
        UNION ALL SELECT t.payment_intent_id, c || ':' || r.id
            FROM wallet_refund r JOIN wallet_topup t ON t.id = r.top_up_id,
            unnest('{refund,refund_reversal,tax:refund,tax:refund_reversal}'::text[]) c
        UNION ALL SELECT t.payment_intent_id, c || ':' || s.id
            FROM wallet_refund r JOIN wallet_topup t ON t.id = r.top_up_id
            JOIN wallet_stripetransaction s ON r.refund_id IN (s.source_id, s.id),
            unnest('{refund,refund_reversal}'::text[]) c
        UNION ALL SELECT d.payment_intent_id, c || ':' || s.id || side FROM wallet_dispute d
            JOIN wallet_stripetransaction s ON s.source_id = d.id,
            unnest('{dispute,dispute_reversal,tax}'::text[]) c, unnest('{"",":wallet"}'::text[]) side
        UNION ALL SELECT d.payment_intent_id, 'tax:' || d.id || ':' || r.id
            FROM wallet_dispute d JOIN wallet_refund r USING (top_up_id)
    ), entry AS (
        SELECT reference, debit_account_id AS account_id, amount_nanousd AS amount, code FROM wallet_transfer
        UNION ALL SELECT reference, credit_account_id, -amount_nanousd, code FROM wallet_transfer
    )
    SELECT a.kind, payment, sum(amount) FROM entry JOIN wallet_account a ON a.id = entry.account_id
        LEFT JOIN of_object USING (reference)
    WHERE a.kind IN ('stripe_clearing', 'paid', 'promotional', 'tax_payable', 'refunds_pending', 'disputes')
        AND code NOT IN ('stripe_fee', 'payout')
    GROUP BY a.kind, payment
"""
HOUSE = """
    SELECT a.kind, sum(h.balance_nanousd) FROM wallet_account a JOIN wallet_housebalance h ON h.account_id = a.id GROUP BY 1
"""
WALLETS = """
    SELECT c.customer_id, f.paid_nanousd + f.promotional_nanousd
        FROM wallet_funds f JOIN wallet_stripecustomer c ON c.wallet_id = f.wallet_id
"""
SHOWN = """
    SELECT payment_intent_id, presentment_currency, presentment_amount FROM wallet_topup WHERE presentment_amount > 0
"""


def differences(books: dict[str, Any]) -> list[str]:
    """`books` is what the stand-in says of itself. A sentence for each cent that is not where it belongs."""
    assert books["agrees"], books["differences"]
    ours = _by_payment()
    theirs = {row["payment_intent"]: row for row in books["payments"]}
    found = list(_of_nothing(ours.pop(None, Counter())))
    for payment in ours.keys() - theirs.keys():
        found += [
            f"Payment {payment} moved {cents} cents of {kind} here only."
            for kind, cents in ours[payment].items()
        ]
    for payment, row in theirs.items():
        found += [f"Payment {payment}: {each}" for each in _of_payment(row, ours.get(payment, Counter()))]
    return [*found, *_of_house(books, ours), *_of_wallets(books, ours), *_of_presentment(theirs)]


def taken_beyond_payments(books: dict[str, Any]) -> set[str]:
    """What staff are told of disputes, each booked to the cent, that took more than refunds had left of their payment."""
    payments = [row["payment_intent"] for row in books["payments"] if row["clearing"] < 0]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM wallet_dispute WHERE payment_intent_id = ANY(%s) AND withdrawn_cents > reinstated_cents",
            [payments],
        )
        return {
            f"Dispute {dispute} does not add up: More was taken than the payment brought in."
            for (dispute,) in cursor.fetchall()
        }


def _of_nothing(rest: Counter[str]) -> Iterator[str]:
    for kind, cents in rest.items():
        if cents:
            yield f"{cents} cents moved through {kind} for no payment."


def _of_payment(row: dict[str, Any], ours: Counter[str]) -> Iterator[str]:
    """What Stripe has of it; what of that its customer and the state were promised; and the rest, which is the wallet's."""
    clearing, promised = row["clearing"], row["promised"]
    wallet, tax = -ours["paid"], -ours["tax_payable"]
    for kind, there, here in (
        ("stripe_clearing", clearing, ours["stripe_clearing"]),
        ("refunds_pending", promised, -ours["refunds_pending"]),
        ("disputes", 0, ours["disputes"]),
        ("promotional", 0, ours["promotional"]),
        ("wallet and tax", clearing - promised, wallet + tax),
    ):
        if there != here:
            yield f"{there} cents of {kind} there, {here} here."
    yield from _of_tax(row, tax)


def _of_tax(row: dict[str, Any], here: int) -> Iterator[str]:
    """How a part that went back is split is ours to say. But all of it has all the tax, nothing has none, and a part
    its share, give or take a cent for each time that it was rounded.
    """
    captured, left = row["captured"], row["clearing"] - row["promised"]
    share = row["tax"] * min(max(left, 0), captured) / captured
    slack = MOST_ROUNDED if 0 < left < captured else 0
    if abs(here - share) > slack:
        yield f"tax of {share:g} cents is due there, {here} is set aside here."


# More parts of one payment than anybody gives back in a simulation.
MOST_ROUNDED = 4


def _of_house(books: dict[str, Any], ours: dict[str | None, Counter[str]]) -> Iterator[str]:
    kinds = {kind: entry["amount"] for kind, entry in books["balance_transactions"].items()}
    expected = {
        "stripe_clearing": books["balance"]["total"],
        "stripe_fees": books["totals"]["fee"] - kinds.get("stripe_fee", 0),
        "bank": -kinds.get("payout", 0) - kinds.get("payout_failure", 0),
        "refunds_pending": -books["totals"]["promised"],
        "disputes": 0,
        "tax_payable": sum(each["tax_payable"] for each in ours.values()),
    }
    house = {kind: -cents for kind, cents in _cents(HOUSE).items()}
    for kind, there in expected.items():
        if house.get(kind, 0) != there:
            yield f"{kind}: {there} cents there, {house.get(kind, 0)} here."


def _of_wallets(books: dict[str, Any], ours: dict[str | None, Counter[str]]) -> Iterator[str]:
    """A balance is what Stripe still has of its customer's payments, less what is promised, and the tax in it."""
    expected: Counter[str] = Counter()
    for row in books["payments"]:
        tax = -ours.get(row["payment_intent"], Counter())["tax_payable"]
        expected[row["customer"]] += row["clearing"] - row["promised"] - tax
    balances = _cents(WALLETS)
    for customer in expected.keys() | balances.keys():
        if expected[customer] != balances.get(customer, 0):
            yield f"Customer {customer}: {expected[customer]} cents there, a balance of {balances.get(customer)} here."


def _of_presentment(theirs: dict[str, dict[str, Any]]) -> Iterator[str]:
    ours = {payment: (currency, int(amount)) for payment, currency, amount in _rows(SHOWN)}
    for payment, row in theirs.items():
        told = row["presentment"]
        there = (told["presentment_currency"], told["presentment_amount"]) if told else None
        if there != ours.get(payment):
            yield f"Payment {payment} was shown as {there} there, as {ours.get(payment)} here."


def _by_payment() -> dict[str | None, Counter[str]]:
    """What each payment moved, in cents by the kind of account; debits are positive."""
    found: dict[str | None, Counter[str]] = defaultdict(Counter)
    for kind, payment, amount in _rows(OF_PAYMENTS):
        found[payment][kind] = _whole(amount)
    return dict(found)


def _cents(sql: str) -> dict[str, int]:
    return {name: _whole(amount) for name, amount in _rows(sql)}


def _whole(nanousd: Any) -> int:
    cents, rest = divmod(int(nanousd), CENT)
    assert rest == 0, f"{nanousd} nano-dollars are no whole cents"
    return cents


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
