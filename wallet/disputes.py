"""Disputes: what banks ask about payments and take back. Owns wallet_dispute.

Money follows only from the balance transactions of a dispute, never from its status: each takes from the wallet or gives
back to it once, under a reference of its own, as soon as the payment is credited; until then the row waits. Stripe's side
and the fees are booked by wallet/clearing.py. Invariant: for every booked dispute the wallet's transfers and the tax sum to
withdrawn − reinstated. What Stripe tells may come in any order and any number of times.
"""

import datetime
import logging
from collections.abc import Callable, Iterator
from functools import partial

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from pricing.money import NANO_PER_CENT
from wallet import corrections, dispute_mail, dispute_shares, refunds, rounds, stripe_api, topups
from wallet.models import Difference, Dispute, TopUp, Wallet
from wallet.stripe_api import DisputeMovement, StripeDispute, StripeFailed, StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)

CURRENCY = "usd"
MOVEMENT = "adjustment"
# How often Stripe is asked again by itself: while nothing is known of the payment of a young dispute at every round,
# else where it was not asked for this long.
YOUNG = datetime.timedelta(days=1)
WAITING_AGAIN = datetime.timedelta(hours=1)
OPEN_AGAIN = datetime.timedelta(hours=6)
ENDED_SHOWN = datetime.timedelta(days=120)
MOST_SHOWN = 10


def heard_of(dispute_id: str) -> Callable[[], None]:
    """What follows from a dispute, as Stripe tells it now, for a transaction of the caller's.

    Looks for its payment at Stripe first, if that is not credited yet. Raises Parked, StripeUnavailable and StripeRefused;
    what can't be booked is kept for staff all the same, since there is a deadline.
    """
    told = stripe_api.dispute(dispute_id)
    if told.livemode != settings.STRIPE_LIVEMODE:
        raise Parked(f"Dispute {told.id} has livemode {told.livemode}, ours is {settings.STRIPE_LIVEMODE}.")
    _learn_of_payment(told)
    if not_understood := _not_understood(told):
        again_if_lost(partial(apply, told))
        raise Parked(not_understood)

    def follow() -> None:
        apply(told)

    return follow


def apply(told: StripeDispute) -> Dispute:
    """Write down what Stripe told, with the money where the payment is credited. In the caller's transaction.

    Locks the wallet's row and the ledger, then the dispute's row. A telling that is older than what is written
    changes no state; its balance transactions count all the same, since those only ever become more.
    """
    row, top_up = _locked(told)
    if row.checked_at is None or told.read_at >= row.checked_at:
        _write(row, told)
    movements = [each for each in told.movements if _is_understood(each) and each.amount]
    new = [each for each in movements if not dispute_shares.is_booked(each)]
    obstacle = "" if row.top_up_id and not new else _obstacle(told, top_up)
    if top_up is not None and not obstacle:
        dispute_shares.book(row, top_up, new)
    elif row.top_up_id is None:
        withdrawn, reinstated = dispute_shares.sums(movements)
        row.withdrawn_cents = max(row.withdrawn_cents, withdrawn)
        row.reinstated_cents = max(row.reinstated_cents, reinstated)
    row.fee_cents = max(row.fee_cents, sum(each.fee for each in movements))
    row.problem = " ".join([*_problems(row, told), *([obstacle] if obstacle else [])])
    row.save()
    if row.top_up is not None:
        dispute_shares.tell_excess(row.top_up)
        row.refresh_from_db(fields=["problem"])
    dispute_mail.tell_on_commit(row)
    return row


def look_again(limit: int = 50) -> int:
    """One round of the periodic job: mails that are due, disputes whose payment is not known yet, and open ones not asked
    about for long.

    Returns how many were asked about.
    """
    dispute_mail.tell_due()
    now = timezone.now()
    waiting = Q(top_up=None) & (Q(opened_at__gt=now - YOUNG) | Q(checked_at__lt=now - WAITING_AGAIN))
    undecided = ~Q(status__in=Dispute.CLOSED) & Q(checked_at__lt=now - OPEN_AGAIN)
    due = Dispute.objects.filter(waiting | undecided).order_by(F("checked_at").asc(nulls_first=True))
    return rounds.go_round("dispute", due.values_list("pk", flat=True)[:limit], _look)


def _look(dispute_id: str) -> None:
    """One that fails goes behind the others, which it must not hold up; one that nobody answered about keeps its place."""
    try:
        again_if_lost(heard_of(dispute_id))
    except Exception as error:
        if isinstance(error, StripeFailed) or not isinstance(error, StripeUnavailable):
            Dispute.objects.filter(pk=dispute_id).update(checked_at=timezone.now())
        raise


def undecided(wallet: Wallet) -> QuerySet[Dispute]:
    """Disputes and inquiries about payments of this wallet that may still move money."""
    return Dispute.objects.filter(top_up__wallet=wallet).exclude(status__in=Dispute.CLOSED)


def unclear() -> QuerySet[Dispute]:
    """Those that do not add up, but for what staff accepted as it stands."""
    accepted = Difference.objects.filter(
        name=OuterRef("pk"), sentence__endswith=OuterRef("problem"), accepted_at__isnull=False
    )
    return Dispute.objects.exclude(problem="").exclude(Exists(accepted))


def on_wallet_page(wallet: Wallet) -> dict[str, object]:
    """What the page says of disputes: the undecided ones and those of the last months, newest first, at most ten; how much
    all of them together took of the wallet and have not returned, the tax beside it, and what is to be expected of that.
    """
    own = Dispute.objects.filter(top_up__wallet=wallet)
    recent = Q(opened_at__gt=timezone.now() - ENDED_SHOWN) | ~Q(status__in=Dispute.CLOSED)
    taken = own.aggregate(
        cents=Sum(F("withdrawn_cents") - F("reinstated_cents") - F("tax_cents"), default=0),
        tax_cents=Sum("tax_cents", default=0),
    )
    return {
        "disputes": list(own.filter(recent).select_related("top_up").order_by("-opened_at")[:MOST_SHOWN]),
        "taken_back_nanousd": taken["cents"] * NANO_PER_CENT,
        "tax_taken_back_nanousd": taken["tax_cents"] * NANO_PER_CENT,
        "taken_outlook": _outlook(own),
        "is_dispute_undecided": undecided(wallet).exists(),
    }


def _outlook(own: QuerySet[Dispute]) -> str:
    """Of what was taken and has not returned: "open" while a bank may still return some, "won" where some is on its way."""
    took = own.filter(withdrawn_cents__gt=F("reinstated_cents") + F("tax_cents"))
    found = set(took.values_list("status", flat=True))
    if found - set(Dispute.CLOSED):
        return "open"
    return "won" if Dispute.Status.WON in found else "over"


def _learn_of_payment(told: StripeDispute) -> None:
    """A dispute may be told before its payment. Whoever has not heard of that asks now."""
    is_credited = TopUp.objects.filter(_names(told), state=TopUp.State.PAID).exists()
    if is_credited or not told.payment_intent_id:
        return
    try:
        again_if_lost(topups.heard_of_payment(told.payment_intent_id))
    except (Parked, StripeRefused, StripeUnavailable) as reason:
        # The dispute has a deadline, so it is kept and shown without its payment, which is looked for again (`look_again`).
        logger.warning("The payment of dispute %s is not known: %s", told.id, reason)


def _names(told: StripeDispute) -> Q:
    """The top-up of a dispute. An id that was not told names nothing: to Django, None would be those without one."""
    found = Q(pk=None)
    if told.payment_intent_id:
        found |= Q(payment_intent_id=told.payment_intent_id)
    if told.charge_id:
        found |= Q(charge_id=told.charge_id)
    return found


def _payment_of(told: StripeDispute) -> TopUp | None:
    return TopUp.objects.filter(_names(told)).order_by("pk").first()


def _locked(told: StripeDispute) -> tuple[Dispute, TopUp | None]:
    """Its row and its payment; one at a time of all that takes from a wallet's payments, refunds and corrections too."""
    top_up = _payment_of(told)
    if top_up is not None:
        refunds.lock(top_up.wallet_id)
    new = Dispute(
        id=told.id,
        amount_cents=told.amount,
        currency=told.currency,
        status=told.status,
        opened_at=told.opened_at,
    )
    Dispute.objects.bulk_create([new], ignore_conflicts=True)
    row = Dispute.objects.select_for_update().get(pk=told.id)
    if top_up is None and (top_up := _payment_of(told)) is not None:
        # It became known while somebody else held the row.
        refunds.lock(top_up.wallet_id)
    return row, top_up


def _write(row: Dispute, told: StripeDispute) -> None:
    row.charge_id = told.charge_id
    row.payment_intent_id = told.payment_intent_id
    row.amount_cents = told.amount
    row.currency = told.currency
    row.status = told.status
    row.reason = told.reason
    row.opened_at = told.opened_at
    row.evidence_due_at = told.evidence_due_at
    row.has_evidence = told.has_evidence
    row.checked_at = told.read_at


def _is_understood(movement: DisputeMovement) -> bool:
    return movement.type == MOVEMENT and movement.currency == CURRENCY


def _not_understood(told: StripeDispute) -> str:
    """Why something of it can't be booked by itself, or nothing."""
    if told.currency != CURRENCY:
        return f"Its currency is {told.currency}, not {CURRENCY}."
    for each in told.movements:
        if not _is_understood(each):
            return f"Balance transaction {each.id} is a {each.type} of {each.currency}, which is not booked by itself."
    return ""


def _obstacle(told: StripeDispute, top_up: TopUp | None) -> str:
    """Why the wallet is not debited, or nothing."""
    if top_up is None:
        payment = told.payment_intent_id or told.charge_id
        return f"Payment {payment} is not known here, so no wallet was debited."
    if top_up.state != TopUp.State.PAID:
        return f"Its payment is top-up {top_up.pk}, which is {top_up.state}, so no wallet was debited."
    if corrections.is_undone(top_up):
        return f"Staff took top-up {top_up.pk} back by a correction, so its wallet was not debited again."
    return ""


def _problems(row: Dispute, told: StripeDispute) -> Iterator[str]:
    """Sentences for staff on what does not add up."""
    if row.status not in Dispute.Status:
        yield f"Its status is {row.status}, which this release does not know. It counts as open."
    if not_understood := _not_understood(told):
        yield not_understood
