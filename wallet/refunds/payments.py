"""The payments of a wallet that can still be refunded, and what went back of each. Reads only."""

from uuid import UUID

from django.db.models import F, QuerySet, Sum

from wallet.models import Dispute, Refund, TopUp, Wallet
from wallet.refunds.refundable import Payment
from wallet.transactions import report_rows

# As many payments one request may reach, the newest; each of them is a question to Stripe.
MOST = 100
# Disputes in spite of which Stripe refunds the payment. After any other it is the bank's to give back.
REFUNDABLE = [
    Dispute.Status.INQUIRY,
    Dispute.Status.INQUIRY_REVIEW,
    Dispute.Status.INQUIRY_CLOSED,
    Dispute.Status.WON,
]

_LEFT = """
SELECT t.id, t.received_cents, coalesce(t.tax_cents, 0), coalesce(r.amount, 0) + coalesce(d.amount, 0),
    coalesce(r.tax, 0) + coalesce(d.tax, 0)
FROM wallet_topup t
    LEFT JOIN LATERAL (
        SELECT sum(amount_cents) AS amount, sum(tax_cents) AS tax FROM wallet_refund
        WHERE top_up_id = t.id AND state <> ALL(%(returned)s)) r ON true
    LEFT JOIN LATERAL (
        SELECT sum(withdrawn_cents - reinstated_cents - tax_cents) AS amount, sum(tax_cents) AS tax,
            bool_or(status <> ALL(%(refundable)s)) AS is_blocked
        FROM wallet_dispute WHERE top_up_id = t.id) d ON true
WHERE t.wallet_id = %(wallet)s AND t.state = 'paid' AND t.payment_intent_id IS NOT NULL
    AND t.received_cents > coalesce(r.amount, 0) + coalesce(d.amount, 0) AND NOT coalesce(d.is_blocked, false)
    AND NOT EXISTS (
        WITH RECURSIVE corrections AS (
            SELECT id, reference, 0 AS depth FROM wallet_transfer
            WHERE reference IN ('top_up:' || t.payment_intent_id, 'tax:' || t.payment_intent_id)
            UNION ALL SELECT c.id, f.reference, f.depth + 1
            FROM corrections f JOIN wallet_transfer c ON c.corrects_id = f.id)
        SELECT FROM corrections GROUP BY reference HAVING max(depth) %% 2 = 1)
ORDER BY t.paid_at DESC, t.id LIMIT %(most)s
"""


def of_wallet(wallet: Wallet) -> list[Payment]:
    """Newest first, with something left; those that staff corrected or a bank disputes are left out."""
    found = report_rows(
        _LEFT,
        {"wallet": wallet.pk, "returned": Refund.RETURNED, "refundable": REFUNDABLE, "most": MOST},
    )
    return [Payment(UUID(str(row[0])), *(int(cents) for cents in row[1:])) for row in found]


def to_split(top_up: TopUp, gross_cents: int) -> Payment:
    """A payment and what was gone of it before `gross_cents` more went back, by which those are split.

    What was asked for here and Stripe has not confirmed counts too, unless there is no room for it beside this one: then
    Stripe will refuse it.
    """
    rows = Refund.objects.filter(top_up=top_up).exclude(state__in=Refund.RETURNED)
    payment = _with(top_up, rows)
    has_room = gross_cents <= payment.left_cents + payment.left_tax_cents
    return payment if has_room else _with(top_up, rows.filter(refund_id__isnull=False))


def are_disputed(wallet: Wallet) -> bool:
    """Whether a bank disputes one of the wallet's payments, which is left out for that."""
    return Dispute.objects.filter(top_up__wallet=wallet).exclude(status__in=REFUNDABLE).exists()


def _with(top_up: TopUp, refunds: QuerySet[Refund]) -> Payment:
    back = refunds.aggregate(amount=Sum("amount_cents", default=0), tax=Sum("tax_cents", default=0))
    taken = Dispute.objects.filter(top_up=top_up).aggregate(
        whole=Sum(F("withdrawn_cents") - F("reinstated_cents"), default=0), tax=Sum("tax_cents", default=0)
    )
    return Payment(
        top_up_id=top_up.pk,
        received_cents=top_up.received_cents or 0,
        tax_cents=top_up.tax_cents or 0,
        gone_cents=back["amount"] + taken["whole"] - taken["tax"],
        gone_tax_cents=back["tax"] + taken["tax"],
    )
