"""What the end of a charge means for the wish: when the next one may begin, whether it pauses, what its owner hears.

Writes in the transaction that ends the charge, once, with the top-up's row locked.
"""

import datetime

from django.utils import timezone

from wallet.models import AutoTopUp, TopUp

# After the first, second and third decline in a row; the fourth pauses it.
WAITS = (datetime.timedelta(hours=1), datetime.timedelta(hours=6), datetime.timedelta(hours=24))
# After an error of Stripe's own, which says nothing about the card.
WAIT_FOR_STRIPE = datetime.timedelta(hours=1)
PERSON = {"authentication_required", "requires_action"}

ASKS_PERSON = (
    "Your bank wants you to confirm the payment yourself. Top up by hand once, or save another card, then switch it on"
    " again."
)
DECLINED = (
    "The card was declined four times in a row. Save another card, or ask your bank, then switch it on again."
)
STRIPE_FAILED = "Stripe had an error of its own, and nothing was charged."
DOES_NOT_FIT = "A charge did not fit what was asked for, so it was not added by itself. We are looking at it."


def follow(top_up: TopUp, code: str) -> None:
    """`code` is Stripe's, of a decline. Locks the wish."""
    wish = AutoTopUp.objects.select_for_update().filter(wallet=top_up.wallet_id).first()
    if wish is None:
        return
    match top_up.state:
        case TopUp.State.PAID:
            wish.declines, wish.next_attempt_at = 0, None
            _owner_hears(top_up)
        case TopUp.State.PARKED:
            pause(wish, DOES_NOT_FIT)
        case TopUp.State.FAILED if wish.is_on:
            _decline(wish, code)
            if wish.declines == 1 and not wish.paused_for:
                _owner_hears(top_up)
    wish.save(update_fields=["declines", "next_attempt_at", "paused_for", "is_told"])


def wait_for_stripe(wallet_id: int) -> None:
    """No decline: nobody asked the bank, or nobody knows what it said."""
    AutoTopUp.objects.filter(wallet=wallet_id).update(next_attempt_at=timezone.now() + WAIT_FOR_STRIPE)


def pause(wish: AutoTopUp, reason: str) -> None:
    """Unsaved; a mail about it is due."""
    if wish.is_on:
        wish.paused_for, wish.is_told = reason, False


def _decline(wish: AutoTopUp, code: str) -> None:
    wish.declines += 1
    if code in PERSON:
        pause(wish, ASKS_PERSON)
    elif wish.declines > len(WAITS):
        pause(wish, DECLINED)
    else:
        wish.next_attempt_at = timezone.now() + WAITS[wish.declines - 1]


def _owner_hears(top_up: TopUp) -> None:
    """A mail about it is due (`mail.tell_charges`)."""
    top_up.is_told = False
    top_up.save(update_fields=["is_told"])
