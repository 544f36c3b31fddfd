"""What staff do about what is parked, or seems to hang: ask Stripe once more, and let follow what it tells now.

Nothing is decided here and no amount is given: what follows is what would have followed by itself. Stripe is asked before
the transaction; the audit entry and what follows are one. The same form again asks, and changes nothing.
"""

from collections.abc import Callable

from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from wallet import disputes, events, topups
from wallet.acts import PERMISSION
from wallet.events import Follow
from wallet.models import Dispute, Refund, StripeEvent, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

AWAY = "Stripe does not answer at the moment. Nothing was changed; try again in a minute."


def about_event(by: Instruction, event: StripeEvent) -> StripeEvent:
    """Handle a parked event anew. Where Stripe is away it waits like any other. Raises PermissionDenied or Refused."""
    audit.allow(by.actor, PERMISSION)

    def reopen() -> None:
        if audit.record(by, "wallet.ask_about_event", event, {"type": event.type, "object": event.object_id}):
            parked = StripeEvent.objects.filter(pk=event.pk, state=StripeEvent.State.PARKED)
            parked.update(
                state=StripeEvent.State.PENDING, attempts=0, next_attempt_at=timezone.now(), handled_at=None
            )

    again_if_lost(reopen)
    events.handle(event.pk)
    return StripeEvent.objects.get(pk=event.pk)


def about_top_up(by: Instruction, top_up: TopUp) -> TopUp:
    """Judge a top-up by what Stripe tells now, also where it was parked. Raises PermissionDenied or Refused."""
    audit.allow(by.actor, PERMISSION)
    follow = _read(*_reader_of(top_up))
    # One that was charged by itself must not stand in the way of the next, even for this moment.
    undecided = TopUp.State.EXPIRED if top_up.is_automatic else TopUp.State.OPEN

    def work() -> None:
        if audit.record(by, "wallet.ask_about_top_up", top_up.wallet, {"top_up": str(top_up.pk)}):
            TopUp.objects.filter(pk=top_up.pk, state=TopUp.State.PARKED).update(state=undecided)
            follow()

    again_if_lost(work)
    return TopUp.objects.get(pk=top_up.pk)


def about_refund(by: Instruction, refund: Refund) -> Refund:
    """Read a refund that Stripe knows again. Raises PermissionDenied or Refused."""
    audit.allow(by.actor, PERMISSION)
    if not refund.refund_id:
        raise Refused("Stripe has not said yet which refund it is. It is asked by itself, every minute.")
    follow = _read(refund_asking.heard_of_refund, refund.refund_id)
    _follow(by, "wallet.ask_about_refund", refund.wallet, {"refund": str(refund.pk)}, follow)
    return Refund.objects.get(pk=refund.pk)


def about_dispute(by: Instruction, dispute: Dispute) -> Dispute:
    """Read a dispute again, and look for its payment. Raises PermissionDenied or Refused."""
    audit.allow(by.actor, PERMISSION)
    follow = _read(disputes.heard_of, dispute.pk)
    target = dispute if dispute.top_up is None else dispute.top_up.wallet
    _follow(by, "wallet.ask_about_dispute", target, {"dispute": dispute.pk}, follow)
    return Dispute.objects.get(pk=dispute.pk)


def can_ask_about(top_up: TopUp) -> bool:
    """Whether there is something at Stripe to ask about, and something that may come of it."""
    return top_up.state != TopUp.State.PAID and bool(top_up.session_id or top_up.payment_intent_id)


def _reader_of(top_up: TopUp) -> tuple[Callable[[str], Follow], str]:
    if top_up.session_id:
        return topups.heard_of_session, top_up.session_id
    if top_up.payment_intent_id:
        return topups.heard_of_payment, top_up.payment_intent_id
    raise Refused("Stripe has told no session and no payment of it, so there is nothing to ask about.")


def _read(reader: Callable[[str], Follow], object_id: str) -> Follow:
    try:
        return reader(object_id)
    except StripeUnavailable as error:
        raise Refused(AWAY) from error
    except StripeRefused as error:
        raise Refused(f"Stripe does not tell about {object_id}: {error}") from error
    except Parked as reason:
        raise Refused(f"It still does not add up: {reason}") from reason


def _follow(
    by: Instruction,
    action: str,
    target: Wallet | Dispute,
    details: dict[str, str | int | None],
    follow: Follow,
) -> None:
    def work() -> None:
        if audit.record(by, action, target, details):
            follow()

    try:
        again_if_lost(work)
    except Parked as reason:
        raise Refused(f"It still does not add up: {reason}") from reason
