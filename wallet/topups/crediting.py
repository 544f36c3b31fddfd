"""The credit of a payment, with its tax: once per payment, whichever way it was made. Posts; writes no row of a top-up.

One payment is one credit, because the reference of the transfer is the payment.
"""

import functools

from django.db import transaction

from pricing.money import NANO_PER_CENT
from wallet import clearing, ledger
from wallet.models import Code, TopUp
from wallet.topups.verdicts import Verdict

# The states in which nothing changes any more, whatever Stripe says.
FINAL = {TopUp.State.PAID, TopUp.State.PARKED}


def credit(
    top_up: TopUp,
    verdict: Verdict,
    *,
    payment_intent_id: str | None,
    charge_id: str | None,
    session_id: str | None = None,
) -> Verdict:
    """Post what was received where the verdict is that it is paid; the verdict that holds after that.

    Runs in the transaction of whoever locked the top-up. A payment of another top-up's is parked, and one that was
    explained as given back before it was credited.
    """
    if is_of_another(payment_intent_id, top_up):
        return Verdict(TopUp.State.PARKED, problem=f"Payment {payment_intent_id} belongs to another top-up.")
    if verdict.state != TopUp.State.PAID:
        return verdict
    if clearing.is_of_nobody(charge_id):
        problem = (
            f"All of payment {payment_intent_id} was given back while it was in no wallet, and is booked so."
        )
        return Verdict(TopUp.State.PARKED, problem=problem)
    details = {"top_up": str(top_up.pk), "session": session_id, "payment_intent": payment_intent_id}
    try:
        with transaction.atomic():
            _post(top_up, verdict, payment_intent_id, details)
    except ledger.ReferenceConflict as error:
        return Verdict(TopUp.State.PARKED, problem=str(error))
    return verdict


def take_up_past(payment_intent_id: str) -> None:
    """Once the credit is committed, book what happened to the payment before: it was given back, say, and then credited."""
    # It is built upon top-ups, so it can't be imported before they are.
    from wallet import aftermath

    transaction.on_commit(functools.partial(aftermath.take_up, payment_intent_id), robust=True)


def is_of_another(payment: str | None, top_up: TopUp) -> bool:
    """One payment is one top-up. Stripe would never say otherwise, so staff look at it."""
    return bool(payment) and TopUp.objects.filter(payment_intent_id=payment).exclude(pk=top_up.pk).exists()


def _post(top_up: TopUp, verdict: Verdict, payment: str | None, details: dict[str, str | None]) -> None:
    """Credit and tax, both or neither."""
    clearing = ledger.house("stripe_clearing")
    parts = [
        (Code.TOP_UP, verdict.received_cents, ledger.paid(top_up.wallet)),
        (Code.TAX, verdict.tax_cents, ledger.house("tax_payable")),
    ]
    for code, cents, account in parts:
        if cents:
            ledger.post(
                code=code,
                reference=f"{code.value}:{payment}",
                debit=clearing,
                credit=account,
                amount_nanousd=cents * NANO_PER_CENT,
                details=details,
            )
