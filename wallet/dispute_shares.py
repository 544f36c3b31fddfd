"""The wallet's side of a dispute's money: what of it is the wallet's, and what is tax that the state is owed no more.

Tax is counted over all that is gone of a payment, by disputes and by refunds, which are split by the same rule; so whatever
parts there are, in whatever order, all of the payment has all of its tax, once. Whoever calls holds the wallet's row.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import F, Sum

from pricing.money import NANO_PER_CENT
from wallet import ledger
from wallet.models import Code, Dispute, Refund, TopUp, Transfer
from wallet.stripe_api import DisputeMovement

CODES = (Code.DISPUTE, Code.DISPUTE_REVERSAL)
TOO_MUCH = "More was taken than the payment brought in."


def sums(movements: Iterable[DisputeMovement]) -> tuple[int, int]:
    """What was withdrawn and what was reinstated, in cents."""
    amounts = [each.amount for each in movements]
    return -sum(each for each in amounts if each < 0), sum(each for each in amounts if each > 0)


def is_booked(movement: DisputeMovement) -> bool:
    references = [
        *(f"{code.value}:{movement.id}:wallet" for code in CODES),
        f"{Code.TAX.value}:{movement.id}",
    ]
    return Transfer.objects.filter(reference__in=references).exists()


def book(row: Dispute, top_up: TopUp, movements: Iterable[DisputeMovement]) -> None:
    """Post these, what was taken before what came back, and count them in the row, which the caller saves."""
    if row.top_up_id is None:
        # What was counted so far was not booked.
        row.top_up, row.withdrawn_cents, row.reinstated_cents = top_up, 0, 0
    others = _taken(top_up, but=row)
    for movement in sorted(movements, key=lambda each: (each.amount, each.id)):
        withdrawn, reinstated = sums([movement])
        row.withdrawn_cents += withdrawn
        row.reinstated_cents += reinstated
        due = _tax_due(top_up, others["cents"] + gone_cents(row))
        # What was refunded meanwhile may have changed what is due: still no part has more tax than it is long.
        change = min(max(due - others["tax"] - row.tax_cents, -reinstated), withdrawn)
        row.tax_cents += change
        _post(row, top_up, movement, abs(change))


def split_anew(refund: Refund) -> None:
    """Nothing came of a refund: of the tax in what banks have taken more, or less, is due now. Once for a refund, whose row
    is saved.
    """
    top_up, taken = refund.top_up, _taken(refund.top_up)
    change = _tax_due(top_up, taken["cents"]) - taken["tax"]
    rows = Dispute.objects.select_for_update().filter(top_up=top_up).order_by("pk")
    if not change or not rows:
        return
    # Only the sum over all of them counts; the one that has most of what moves keeps its figures the most plausible.
    row = max(rows, key=lambda each: gone_cents(each) - each.tax_cents if change > 0 else each.tax_cents)
    row.tax_cents += change
    row.save(update_fields=["tax_cents"])
    accounts = ledger.house("tax_payable"), ledger.paid(refund.wallet)
    debit, credit = accounts if change > 0 else reversed(accounts)
    ledger.post(
        code=Code.TAX,
        reference=f"{Code.TAX.value}:{row.pk}:{refund.pk}",
        debit=debit,
        credit=credit,
        amount_nanousd=abs(change) * NANO_PER_CENT,
        details={"dispute": row.pk, "top_up": str(top_up.pk), "refund": str(refund.pk)},
    )


def tell_excess(top_up: TopUp) -> None:
    """Say with each dispute that holds something of a payment whether all of them, and refunds, took more than was paid."""
    given = Refund.objects.filter(top_up=top_up, state=Refund.State.SUCCEEDED)
    given_cents = given.aggregate(cents=Sum(F("amount_cents") + F("tax_cents"), default=0))["cents"]
    is_too_much = _taken(top_up)["cents"] + given_cents > paid_cents(top_up)
    for row in Dispute.objects.filter(top_up=top_up).order_by("pk"):
        problem = row.problem.replace(TOO_MUCH, "").strip()
        if is_too_much and gone_cents(row) > 0:
            problem = f"{problem} {TOO_MUCH}".strip()
        if problem != row.problem:
            Dispute.objects.filter(pk=row.pk).update(problem=problem)


def tax_in(top_up: TopUp, taken_cents: int) -> int:
    """Cents of tax in what is gone of a payment so far. Counted over all of it, so that the whole has all the tax,
    nothing has none, and no order of the parts matters. What is taken beyond the payment has none.
    """
    tax_cents, whole_cents = top_up.tax_cents or 0, paid_cents(top_up)
    taken_cents = min(max(taken_cents, 0), whole_cents)
    return (2 * tax_cents * taken_cents + whole_cents) // (2 * whole_cents) if whole_cents else 0


def gone_cents(row: Dispute) -> int:
    """With its tax."""
    return row.withdrawn_cents - row.reinstated_cents


def paid_cents(top_up: TopUp) -> int:
    """With its tax."""
    return (top_up.received_cents or 0) + (top_up.tax_cents or 0)


def _taken(top_up: TopUp, *, but: Dispute | None = None) -> dict[str, Any]:
    """`cents` that banks took of a payment, and the `tax` in that."""
    rows = Dispute.objects.filter(top_up=top_up).exclude(pk=but and but.pk)
    return rows.aggregate(
        cents=Sum(F("withdrawn_cents") - F("reinstated_cents"), default=0), tax=Sum("tax_cents", default=0)
    )


def _tax_due(top_up: TopUp, taken_cents: int) -> int:
    """Cents of tax that disputes have to bear: that in all that is gone of a payment, less what refunds gave back of it."""
    refunds = Refund.objects.filter(top_up=top_up).exclude(state__in=Refund.RETURNED)
    refunded = refunds.aggregate(
        cents=Sum(F("amount_cents") + F("tax_cents"), default=0), tax=Sum("tax_cents", default=0)
    )
    return max(tax_in(top_up, taken_cents + refunded["cents"]) - int(refunded["tax"]), 0)


def _post(row: Dispute, top_up: TopUp, movement: DisputeMovement, tax_cents: int) -> None:
    """The wallet's side of one balance transaction: the wallet's share and the tax, both or neither."""
    is_taken = movement.amount < 0
    code = Code.DISPUTE if is_taken else Code.DISPUTE_REVERSAL
    house = ledger.house("disputes")
    details = {"dispute": row.pk, "top_up": str(top_up.pk), "balance_transaction": movement.id}
    for each, reference, account, cents in (
        (
            code,
            f"{code.value}:{movement.id}:wallet",
            ledger.paid(top_up.wallet),
            abs(movement.amount) - tax_cents,
        ),
        (Code.TAX, f"{Code.TAX.value}:{movement.id}", ledger.house("tax_payable"), tax_cents),
    ):
        if cents:
            ledger.post(
                code=each,
                reference=reference,
                debit=account if is_taken else house,
                credit=house if is_taken else account,
                amount_nanousd=cents * NANO_PER_CENT,
                details=details,
            )
