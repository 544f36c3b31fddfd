"""Refunds: one of a payment, made, read and found again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import stripe

from wallet.stripe_api.client import asking, in_turn, optional

if TYPE_CHECKING:
    from stripe.params import RefundListParams

PAGE = 100


@dataclass(frozen=True, slots=True)
class StripeRefund:
    """A refund as it is now. `amount` is in minor units of `currency`, with the tax that goes back.

    `row_id` is what our metadata says: which row of ours asked for it, if one did. `transaction_id` is the balance
    transaction in which its money left, once there is one.
    """

    id: str
    status: str | None
    amount: int
    currency: str
    charge_id: str | None
    payment_intent_id: str | None
    row_id: str | None = None
    failure_reason: str | None = None
    transaction_id: str | None = None


@in_turn
def create_refund(
    *, payment_intent_id: str, row_id: str, amount_cents: int, idempotency_key: str
) -> StripeRefund:
    """Give `amount_cents` of a payment back. The same key gives the same refund for at least a day, and none twice.

    No reason is given: `fraudulent`, say, would block the card and the address of who paid.
    """
    with asking() as client:
        made = client.v1.refunds.create(
            {"payment_intent": payment_intent_id, "amount": amount_cents, "metadata": {"refund_row": row_id}},
            {"idempotency_key": idempotency_key},
        )
    return _refund(made)


def refund(refund_id: str) -> StripeRefund:
    """A refund as it is now; of one that names a charge alone, with the charge's payment."""
    with asking() as client:
        return _refund(client.v1.refunds.retrieve(refund_id, {"expand": ["charge"]}))


def refunds_of_payment(payment_intent_id: str) -> list[StripeRefund]:
    """Every refund of a payment."""
    return _all({"payment_intent": payment_intent_id})


def refunds_of_charge(charge_id: str) -> list[StripeRefund]:
    """Every refund of a charge."""
    return _all({"charge": charge_id})


def _all(which: "RefundListParams") -> list[StripeRefund]:
    with asking() as client:
        found = client.v1.refunds.list({**which, "limit": PAGE, "expand": ["data.charge"]})
        return [_refund(each) for each in found.auto_paging_iter()]


def _refund(found: stripe.Refund) -> StripeRefund:
    charge: Any = found.charge
    moved: Any = optional(found, "balance_transaction")
    is_expanded = charge is not None and not isinstance(charge, str)
    payment: Any = found.payment_intent or (charge.payment_intent if is_expanded else None)
    return StripeRefund(
        id=found.id,
        status=found.status,
        amount=found.amount,
        currency=found.currency,
        charge_id=charge.id if is_expanded else charge,
        payment_intent_id=payment if payment is None or isinstance(payment, str) else payment.id,
        row_id=optional(found.metadata, "refund_row") if found.metadata else None,
        failure_reason=optional(found, "failure_reason"),
        transaction_id=moved if moved is None or isinstance(moved, str) else moved.id,
    )
