"""Suspending a wallet, and reinstating it. The only module that writes `suspended_at`.

A suspended wallet's keys are answered account_suspended by authorize. Calls in flight are recorded and charged all the
same, holds run on, and no money moves.
"""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from wallet.acts import PERMISSION
from wallet.models import Wallet


def suspend(by: Instruction, wallet: Wallet) -> None:
    """Once per request id; locks the wallet's row. Raises Refused if it is suspended, or PermissionDenied."""
    _write(by, wallet, suspends=True)


def reinstate(by: Instruction, wallet: Wallet) -> None:
    """Once per request id; locks the wallet's row. Raises Refused if it is not suspended, or PermissionDenied."""
    _write(by, wallet, suspends=False)


def _write(by: Instruction, wallet: Wallet, *, suspends: bool) -> None:
    audit.allow(by.actor, PERMISSION)
    with transaction.atomic():
        if not audit.record(by, "wallet.suspend" if suspends else "wallet.reinstate", wallet):
            return
        found = Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
        if (found.suspended_at is not None) == suspends:
            raise Refused(
                "This wallet is suspended already." if suspends else "This wallet is not suspended."
            )
        found.suspended_at = timezone.now() if suspends else None
        found.save(update_fields=["suspended_at"])
