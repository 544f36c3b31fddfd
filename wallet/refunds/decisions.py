"""What staff decide about refunds that wait: each request as a whole, once, with a reason in the audit trail.

Nobody decides about their own. Approving lets Stripe be asked; declining puts the credit back. The decision, its audit
entry and what follows are one transaction, under the lock of the wallet's row.
"""

import dataclasses
import uuid
from collections.abc import Callable

from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from wallet import refunds
from wallet.acts import PERMISSION
from wallet.models import Refund
from wallet.transactions import again_if_lost

State = Refund.State


def approve(by: Instruction, refund: Refund) -> list[Refund]:
    """Let all of the request go to Stripe. Again by the same person: the same. Raises Refused, or PermissionDenied."""

    def let_go(row: Refund) -> None:
        row.state = State.CREATED
        row.save(update_fields=["state", "decided_by", "decided_at"])

    return _decide(by, refund, "wallet.approve_refund", let_go)


def decline(by: Instruction, refund: Refund) -> list[Refund]:
    """Put all of the request back into the wallet; its owner reads the reason. Otherwise as `approve`."""

    def put_back(row: Refund) -> None:
        refunds.end(row, State.DECLINED, f"We declined it: {by.reason}")

    return _decide(by, refund, "wallet.decline_refund", put_back)


def is_own(by: Instruction, refund: Refund) -> bool:
    return refund.wallet.owner_id == by.actor.pk


def _decide(by: Instruction, refund: Refund, action: str, then: Callable[[Refund], None]) -> list[Refund]:
    audit.allow(by.actor, PERMISSION)
    if is_own(by, refund):
        raise Refused("It is your own wallet, so somebody else has to decide.")
    # The id follows from the request: there is one decision, whatever forms it is sent from.
    once = dataclasses.replace(by, request_id=uuid.uuid5(refund.request_id, "decision"))

    def work() -> list[Refund]:
        wallet = refunds.lock(refund.wallet_id)
        rows = list(Refund.objects.filter(request_id=refund.request_id).order_by("pk"))
        waiting = [row for row in rows if row.state == State.WAITING]
        if not waiting and rows[0].decided_by_id != by.actor.pk:
            raise Refused(_why_not(rows[0]))
        details: dict[str, str | int | None] = {
            "request": str(refund.request_id),
            "amount_nanousd": sum(row.amount_nanousd for row in rows),
        }
        if not audit.record(once, action, wallet, details):
            return rows
        for row in waiting:
            row.decided_by, row.decided_at = by.actor, timezone.now()
            then(row)
        return rows

    return again_if_lost(work)


def _why_not(row: Refund) -> str:
    if row.decided_by is not None:
        return f"{row.decided_by} has decided about it already."
    return f"It does not wait any more: {row.get_state_display().lower()}."
