"""What staff do to money: who may, what needs a second person, and that it happens once.

Owns proposals. Never posts by itself: grants and corrections do, through the ledger. Invariants: the effect, its audit
entry and the decision of its proposal are one transaction; within 24 hours no more than STAFF_LIMIT_CENTS moves on one
person's word, and nothing of their own wallet; an id moves money once, since it is the audit entry's request id and part
of the transfer's reference; nothing is paid into the wallet of a closed account, though what is in it can be taken out.

Locks, in this order: the proposal, or the row of who asks; the wallet's row where something is paid in or a payment is
undone; the transfer that is undone; the ledger's.
"""

import dataclasses
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import BigIntegerField, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Now
from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from accounts.models import AuditEntry, User
from pricing.money import NANO_PER_CENT, usd
from wallet import corrections, grants, leaving
from wallet.models import Code, Proposal, Transfer, Wallet
from wallet.transactions import again_if_lost

PERMISSION = "wallet.act_on_books"
ALONE = [f"wallet.{code}" for code in (Code.GRANT, Code.GRANT_VOID, Code.CORRECTION)]
PROPOSED = "wallet.propose_"
LIMIT_HOLDS_FOR = timedelta(hours=24)
LARGEST_CENTS = 100_000_00  # of one grant or withdrawal; a correction undoes whatever the transfer moved


def give_credit(by: Instruction, wallet: Wallet, amount_nanousd: int) -> Transfer | Proposal:
    """Grant promotional credit: the transfer, or the proposal that waits for a second person.

    It waits where this person would have moved more than the limit alone within 24 hours, and where the wallet is their
    own. The same instruction again has no effect and returns the same. Raises Refused, or PermissionDenied.
    """
    return _ask(by, Proposal(code=Code.GRANT, wallet=wallet, amount_nanousd=_bounded(amount_nanousd)))


def void_grant(by: Instruction, grant: Transfer, amount_nanousd: int) -> Transfer | Proposal:
    """Withdraw a grant or a part of it, once per grant, at most what was given and is left. As `give_credit`."""
    wanted = Proposal(code=Code.GRANT_VOID, corrects=grant, amount_nanousd=_bounded(amount_nanousd))
    return _ask(by, wanted)


def correct(by: Instruction, transfer: Transfer) -> Transfer | Proposal:
    """Undo a wrong transfer as a whole, once. As `give_credit`."""
    return _ask(by, Proposal(code=Code.CORRECTION, corrects=transfer, amount_nanousd=transfer.amount_nanousd))


def approve(by: Instruction, proposal: Proposal) -> Transfer:
    """Do what the proposal asks for. A second approval by the same person returns the same transfer.

    Raises Refused where it was decided otherwise, where the same person asked for it, where who asked may no longer,
    or where it can no longer be done; it then still waits, to be declined. Locks the proposal.
    """

    def work() -> Transfer:
        found = _to_decide(by, proposal, Proposal.State.APPROVED)
        if found.state == Proposal.State.WAITING:
            if not audit.may(found.asked_by, PERMISSION):
                raise Refused(f"{found.asked_by} may no longer act on the books. Decline it.")
            _decide(by, found, Proposal.State.APPROVED)
            _check_open(found)
            return _carry_out(found, by=found.asked_by_id, approved_by=by.actor.pk)
        return Transfer.objects.get(reference=found.reference)

    return again_if_lost(work)


def decline(by: Instruction, proposal: Proposal) -> Proposal:
    """Say that it will not be done. A second refusal by the same person changes nothing. Raises Refused."""

    def work() -> Proposal:
        found = _to_decide(by, proposal, Proposal.State.DECLINED)
        if found.state == Proposal.State.WAITING:
            _decide(by, found, Proposal.State.DECLINED)
        return found

    return again_if_lost(work)


def _ask(by: Instruction, wanted: Proposal) -> Transfer | Proposal:
    audit.allow(by.actor, PERMISSION)
    if wanted.corrects is not None:
        wanted.wallet = wanted.corrects.wallet
    wanted.id, wanted.reason, wanted.asked_by = by.request_id, by.reason, by.actor

    def work() -> Transfer | Proposal:
        waits = _waits(by, wanted)
        action = f"{PROPOSED if waits else 'wallet.'}{wanted.code}"
        if not audit.record(by, action, _target(wanted), _details(wanted)):
            earlier = Proposal.objects.filter(pk=by.request_id).first()
            return earlier or Transfer.objects.get(reference=wanted.reference)
        _check_open(wanted)
        if not waits:
            return _carry_out(wanted, by=by.actor.pk)
        _check(wanted)
        wanted.save(force_insert=True)
        return wanted

    return again_if_lost(work)


def _waits(by: Instruction, wanted: Proposal) -> bool:
    """Whether a second person has to decide; of what was asked for before, what was said then.

    Locks the actor's row, so that acts of one person are counted one after the other.
    """
    User.objects.select_for_update(no_key=True).get(pk=by.actor.pk)
    # By statements of their own: they see what was committed while this one waited for the lock.
    said = AuditEntry.objects.filter(request_id=by.request_id).first()
    if said is not None:
        return said.action.startswith(PROPOSED)
    if wanted.wallet is not None and wanted.wallet.owner_id == by.actor.pk:
        return True
    limit = int(settings.STAFF_LIMIT_CENTS) * NANO_PER_CENT
    return _moved_alone(by.actor) + wanted.amount_nanousd > limit


def _moved_alone(actor: User) -> int:
    """Nano-dollars that this person moved without a second one within the last 24 hours, in whatever direction."""
    found = AuditEntry.objects.filter(actor=actor, action__in=ALONE, at__gt=Now() - LIMIT_HOLDS_FOR)
    amount = Cast(KT("details__amount_nanousd"), BigIntegerField())
    return int(found.aggregate(total=Sum(amount, default=0))["total"])


def _to_decide(by: Instruction, proposal: Proposal, to: Proposal.State) -> Proposal:
    """The proposal, locked: it waits for this person, or was decided so by them."""
    audit.allow(by.actor, PERMISSION)
    found = (
        Proposal.objects.select_for_update(of=("self",))
        .select_related("asked_by", "wallet")
        .get(pk=proposal.pk)
    )
    if found.asked_by_id == by.actor.pk:
        raise Refused("You asked for it, so another person has to decide.")
    if to == Proposal.State.APPROVED and found.wallet is not None and found.wallet.owner_id == by.actor.pk:
        raise Refused("It is your own wallet, so somebody else has to approve it.")
    if found.state != Proposal.State.WAITING and (found.state, found.decided_by_id) != (to, by.actor.pk):
        raise Refused(f"{found.decided_by} has {found.state} it already.")
    return found


def _decide(by: Instruction, proposal: Proposal, state: Proposal.State) -> None:
    # The id follows from the proposal: there is one decision, whatever forms it is sent from.
    once = dataclasses.replace(by, request_id=uuid.uuid5(proposal.pk, "decision"))
    action = "approve" if state == Proposal.State.APPROVED else "decline"
    details = {**_details(proposal), "proposal": str(proposal.pk), "asked_by": proposal.asked_by_id}
    audit.record(once, f"wallet.{action}_{proposal.code}", _target(proposal), details)
    proposal.state, proposal.decided_by, proposal.decided_at = state, by.actor, timezone.now()
    proposal.save(update_fields=["state", "decided_by", "decided_at"])


def _check_open(wanted: Proposal) -> None:
    """Raises Refused where it would pay into the wallet of a closed account, which nobody can reach."""
    undone = wanted.corrects if wanted.code == Code.CORRECTION else None
    pays_in = wanted.code == Code.GRANT if undone is None else corrections.pays_in(undone)
    if pays_in and wanted.wallet is not None:
        leaving.check_open(wanted.wallet)


def _check(wanted: Proposal) -> None:
    """What would be refused when it is approved is refused when it is asked for."""
    if wanted.code == Code.GRANT_VOID and wanted.corrects is not None:
        grants.check_void(wanted.corrects, wanted.amount_nanousd)
    elif wanted.corrects is not None:
        corrections.check(wanted.corrects)


def _carry_out(wanted: Proposal, **staff: int) -> Transfer:
    """Post it. The details of the transfer name the staff by their ids."""
    more: dict[str, Any] = {"reference": wanted.reference, "details": {"staff": staff}}
    match wanted.code, wanted.wallet, wanted.corrects:
        case Code.GRANT, Wallet() as wallet, None:
            return grants.give(wallet, wanted.amount_nanousd, **more)
        case Code.GRANT_VOID, _, Transfer() as grant:
            return grants.void(grant, wanted.amount_nanousd, **more)
        case Code.CORRECTION, _, Transfer() as transfer:
            return corrections.reverse(transfer, **more)
    raise AssertionError(f"{wanted.code} is no act of staff")


def _target(wanted: Proposal) -> Wallet | Transfer:
    """The wallet; of a transfer between house accounts, the transfer."""
    found = wanted.wallet or wanted.corrects
    assert found is not None
    return found


def _details(wanted: Proposal) -> dict[str, str | int | None]:
    details: dict[str, str | int | None] = {
        "amount_nanousd": wanted.amount_nanousd,
        "reference": wanted.reference,
    }
    return details if wanted.corrects_id is None else {**details, "transfer": wanted.corrects_id}


def _bounded(amount_nanousd: int) -> int:
    if not 0 < amount_nanousd <= LARGEST_CENTS * NANO_PER_CENT:
        raise Refused(f"An amount is above zero, and at most {usd(LARGEST_CENTS * NANO_PER_CENT)}.")
    return amount_nanousd
