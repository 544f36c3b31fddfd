"""Automatic top-ups: below X add Y, at most Z in a UTC month. Owns wallet_autotopup and automatic rows of wallet_topup.

A row of ours first, then Stripe. Never: charges without the owner's standing wish, a suspended wallet or a closed account;
two at a time; twice for one crossing; a card other than the one in the row. A charge begins only under the lock of the
wallet's row, which switching off, suspending and closing take too; so once one of these is over, none begins.

What is compared with X is the balance as the wallet shows it: paid and promotional, with nothing off for holds. A hold is an
estimate, and nobody should be charged for one; on the history every charge follows a balance below X.
"""

import datetime
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from accounts.models import User
from pricing.money import NANO_PER_CENT
from wallet import cards, ledger, stripe_api
from wallet.auto_topups import causes
from wallet.models import AutoTopUp, SavedCard, StripeCustomer, TopUp, Wallet
from wallet.stripe_api import Payment, StripeFailed, StripeRefused, StripeUnavailable
from wallet.topups import crediting, proofs
from wallet.topups.verdicts import Parked, Verdict, judge_payment
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)

# After the first, second and third decline in a row; the fourth pauses it.
WAITS = (datetime.timedelta(hours=1), datetime.timedelta(hours=6), datetime.timedelta(hours=24))
# Stripe forgets idempotency keys after a day at the earliest; past this age the same call could charge a second time.
KEY_LIFE = datetime.timedelta(hours=20)
# For so long somebody may still be asking Stripe about a row, and it is left to them.
BEING_ASKED = datetime.timedelta(minutes=1)
# What Stripe answers where the card, or the customer, is not there any more.
GONE = {"resource_missing", "payment_method_unexpected_state"}
PERSON = "authentication_required"
COUNTED = [*TopUp.UNFINISHED, TopUp.State.PAID, TopUp.State.PARKED]

ASKS_PERSON = (
    "Your bank wants you to confirm the payment yourself. Top up by hand once, or save another card, then switch it on"
    " again."
)
DECLINED = (
    "The card was declined four times in a row. Save another card, or ask your bank, then switch it on again."
)
DOES_NOT_FIT = "A charge did not fit what was asked for, so it was not added by itself. We are looking at it."


class Suspended(Exception):
    """The wallet is suspended; nothing is charged, whatever is wished."""


class NoCard(Exception):
    """There is no saved card to charge."""


@dataclass(frozen=True, slots=True)
class Wish:
    """When the balance falls below `below_cents`, add `add_cents`, up to `monthly_cents` in a calendar month, UTC."""

    below_cents: int
    add_cents: int
    monthly_cents: int


def switch_on(wallet: Wallet, wish: Wish) -> None:
    """The owner agrees to be charged like this from now on. Forgets declines and pauses. Raises Suspended and NoCard."""
    with transaction.atomic():
        locked = Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
        if not locked.owner.is_active:
            raise PermissionDenied("The account was closed, or its owner locked out, in this moment.")
        if locked.suspended_at is not None:
            raise Suspended
        if not SavedCard.objects.filter(wallet=wallet).exists():
            raise NoCard
        AutoTopUp.objects.update_or_create(
            wallet=locked,
            defaults={
                "is_on": True,
                "below_cents": wish.below_cents,
                "add_cents": wish.add_cents,
                "monthly_cents": wish.monthly_cents,
                "declines": 0,
                "next_attempt_at": None,
                "paused_for": "",
                "is_told": True,
                "agreed_at": timezone.now(),
            },
        )


def switch_off(wallet: Wallet) -> TopUp | None:
    """From its answer on no charge begins. One that is under way at Stripe already goes on, and is returned."""
    with transaction.atomic():
        Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
        AutoTopUp.objects.filter(wallet=wallet).update(
            is_on=False, paused_for="", is_told=True, changed_at=timezone.now()
        )
        return under_way(wallet)


def end(owner: User) -> None:
    """The account is closed: nothing is charged any more. Under the lock of the wallet's row; twice is fine."""
    AutoTopUp.objects.filter(wallet__owner=owner).update(is_on=False, paused_for="", is_told=True)


def under_way(wallet: Wallet) -> TopUp | None:
    return TopUp.objects.filter(wallet=wallet, is_automatic=True, state__in=TopUp.UNFINISHED).first()


def charged_this_month_cents(wallet_id: int, now: datetime.datetime | None = None) -> int:
    """What automatic top-ups that began in this UTC month charged, or may have: those under way and looked at count."""
    began = (now or timezone.now()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    counted = TopUp.objects.filter(
        wallet=wallet_id, is_automatic=True, state__in=COUNTED, created_at__gte=began
    )
    return counted.aggregate(sum=Sum("amount_cents"))["sum"] or 0


def due(limit: int) -> Iterator[int]:
    """Ids of wallets that look as if they have to be charged; `begin` looks again under their locks."""
    under_way_there = TopUp.objects.filter(
        wallet=OuterRef("wallet"), is_automatic=True, state__in=TopUp.UNFINISHED
    )
    waits_over = Q(next_attempt_at=None) | Q(next_attempt_at__lte=timezone.now())
    balance = F("wallet__funds__promotional_nanousd") + F("wallet__funds__paid_nanousd")
    found = AutoTopUp.objects.filter(
        waits_over,
        ~Exists(under_way_there),
        is_on=True,
        paused_for="",
        wallet__suspended_at=None,
        wallet__owner__is_active=True,
        wallet__saved_card__isnull=False,
    ).alias(balance=balance)
    below = found.filter(balance__lt=Cast("below_cents", BigIntegerField()) * NANO_PER_CENT)
    yield from below.order_by("wallet").values_list("wallet", flat=True)[:limit]


def charge_due(limit: int = 100) -> int:
    """One round of the periodic job; returns how many charges began. Stops where Stripe is away."""
    begun = 0
    for wallet_id in list(due(limit)):
        try:
            top_up = begin(wallet_id)
            if top_up is not None:
                begun += 1
                charge(top_up)
        except StripeUnavailable as error:
            logger.warning("Stripe is away, automatic top-ups wait: %s", error)
            break
        except Exception:
            # One wallet that fails must not hold up the others.
            logger.exception("Wallet %s could not be topped up by itself.", wallet_id)
    return begun


def begin(wallet_id: int) -> TopUp | None:
    """The row of a charge that has to be made now, or None. Locks the wallet's row, then the wish.

    Whatever ends a charge writes the wish in the same transaction. So whoever holds both sees either the charge under way
    or all that came of it: no charge is begun beside another, nor against a balance from before the last one.
    """
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
        wish = AutoTopUp.objects.select_for_update().filter(wallet=wallet).first()
        card = SavedCard.objects.filter(wallet=wallet).first()
        if wish is None or card is None or not _may_charge(wallet, wish) or not _is_due(wish):
            return None
        if causes.went_back(wallet, wish):
            _pause(wish, causes.WENT_BACK)
            wish.save(update_fields=["paused_for", "is_told"])
            return None
        now = timezone.now()
        if charged_this_month_cents(wallet_id, now) + wish.add_cents > wish.monthly_cents:
            wish.next_attempt_at = _next_month(now)
            wish.save(update_fields=["next_attempt_at"])
            return None
        return TopUp.objects.create(
            wallet=wallet,
            amount_cents=wish.add_cents,
            is_automatic=True,
            payment_method_id=card.payment_method_id,
            created_at=now,
            checked_at=now,
        )


def charge(top_up: TopUp) -> TopUp:
    """Ask Stripe to charge it, and write down what comes of it. Again is the same charge: all that is sent is the row's.

    Raises StripeUnavailable; the row then waits for `settle`.
    """
    try:
        payment = stripe_api.charge_card(
            customer_id=_customer(top_up),
            payment_method_id=top_up.payment_method_id,
            amount_cents=top_up.amount_cents,
            top_up_id=str(top_up.pk),
            idempotency_key=f"auto-top-up-{top_up.pk}",
        )
    except StripeRefused as error:
        # It may refuse the question and have answered it before.
        return _looked_behind(top_up, error)
    return record(top_up.pk, payment)


def settle(top_up: TopUp, *, impatient: bool = False) -> TopUp:
    """Find out how an unfinished one stands. Raises StripeUnavailable and StripeRefused.

    One without an answer is looked for at Stripe first, then asked for again under its key while Stripe knows that and its
    owner still wants it, and given up otherwise.
    """
    now = timezone.now()
    if top_up.payment_intent_id:
        TopUp.objects.filter(pk=top_up.pk).update(checked_at=now)
        return record(top_up.pk, stripe_api.payment(top_up.payment_intent_id, impatient=impatient))
    if top_up.checked_at and top_up.checked_at > now - BEING_ASKED:
        return top_up
    TopUp.objects.filter(pk=top_up.pk).update(checked_at=now)
    found = stripe_api.payment_of_top_up(_customer(top_up), str(top_up.pk))
    if found is not None:
        return record(top_up.pk, found)
    if now - top_up.created_at < KEY_LIFE and _is_still_wanted(top_up):
        return _charge_again(top_up)
    TopUp.objects.filter(pk=top_up.pk, state=TopUp.State.CREATED, payment_intent_id=None).update(
        state=TopUp.State.EXPIRED, problem="Stripe never heard of it, and it is not wanted any more."
    )
    top_up.refresh_from_db()
    return top_up


def record(top_up_id: UUID, payment: Payment) -> TopUp:
    """Write down what Stripe just told, in a transaction of its own."""
    return again_if_lost(lambda: apply(top_up_id, payment))


def apply(top_up_id: UUID, payment: Payment) -> TopUp:
    """The same inside the caller's transaction. Locks the top-up, the wallet (`ledger.lock`), then the wish."""
    top_up = TopUp.objects.select_for_update().get(pk=top_up_id)
    if top_up.state in crediting.FINAL:
        return top_up
    verdict = judge_payment(payment, top_up, customer_id=_customer(top_up), livemode=settings.STRIPE_LIVEMODE)
    if top_up.is_settled and verdict.state not in crediting.FINAL:
        # Given up before: only money that came all the same changes that.
        return top_up
    verdict = crediting.credit(top_up, verdict, payment.id, None)
    if verdict.state == TopUp.State.PARKED:
        logger.error("Top-up %s is parked: %s", top_up.pk, verdict.problem)
    _write(top_up, payment, verdict)
    _follow(top_up, payment.code or payment.status)
    return top_up


def heard_of_payment(payment_intent_id: str) -> Callable[[], None]:
    """What follows from a payment without a page, for a transaction of the caller's. Raises Parked."""
    payment = stripe_api.payment(payment_intent_id)
    top_up = of_payment(payment)
    if top_up is None:
        raise Parked(f"Payment {payment.id} was not made through a session, nor for an automatic top-up.")
    top_up_id = top_up.pk

    def follow() -> None:
        apply(top_up_id, payment)

    return follow


def of_payment(payment: Payment) -> TopUp | None:
    """The automatic top-up that a payment belongs to: by its id, or by the order that it names."""
    automatic = TopUp.objects.filter(is_automatic=True)
    found = automatic.filter(payment_intent_id=payment.id).first()
    if found is None:
        try:
            order = UUID(payment.top_up_id or "")
        except ValueError:
            return None
        found = automatic.filter(pk=order).first()
    return found


def _may_charge(wallet: Wallet, wish: AutoTopUp) -> bool:
    """Read under the wallet's lock, by statements of their own: it sees what those wrote that had the lock before."""
    return wallet.owner.is_active and wallet.suspended_at is None and wish.is_on and not wish.paused_for


def _is_due(wish: AutoTopUp) -> bool:
    if wish.next_attempt_at and wish.next_attempt_at > timezone.now():
        return False
    if under_way(wish.wallet) is not None:
        return False
    return ledger.balances(wish.wallet).balance_nanousd < wish.below_cents * NANO_PER_CENT


def _is_still_wanted(top_up: TopUp) -> bool:
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update(no_key=True).get(pk=top_up.wallet_id)
        wish = AutoTopUp.objects.filter(wallet=wallet).first()
        has_card = SavedCard.objects.filter(
            wallet=wallet, payment_method_id=top_up.payment_method_id
        ).exists()
        return wish is not None and has_card and _may_charge(wallet, wish)


def _next_month(now: datetime.datetime) -> datetime.datetime:
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + datetime.timedelta(days=32)).replace(day=1)


def _customer(top_up: TopUp) -> str:
    return StripeCustomer.objects.get(wallet=top_up.wallet_id).customer_id


def _charge_again(top_up: TopUp) -> TopUp:
    """Stripe was asked before and has no such payment. An error of its own it would repeat under this key for ever."""
    try:
        return charge(top_up)
    except StripeFailed as error:
        return _looked_behind(top_up, error)


def _looked_behind(top_up: TopUp, error: StripeRefused | StripeFailed) -> TopUp:
    """What Stripe made of it all the same; where that is nothing, the error ends it. Raises StripeUnavailable."""
    found = stripe_api.payment_of_top_up(_customer(top_up), str(top_up.pk))
    if found is not None:
        return record(top_up.pk, found)
    logger.warning("Stripe will not do automatic top-up %s: %s", top_up.pk, error)
    code = error.code if isinstance(error, StripeRefused) else ""
    return again_if_lost(lambda: _fail(top_up.pk, str(error), code))


def _fail(top_up_id: UUID, problem: str, code: str) -> TopUp:
    """Stripe made no payment of it and never will."""
    top_up = TopUp.objects.select_for_update().get(pk=top_up_id)
    if top_up.is_settled:
        return top_up
    top_up.state = TopUp.State.FAILED
    top_up.problem = problem
    top_up.checked_at = timezone.now()
    top_up.save()
    if code in GONE:
        cards.removed(top_up.wallet_id, top_up.payment_method_id)
    _follow(top_up, code)
    return top_up


def _write(top_up: TopUp, payment: Payment, verdict: Verdict) -> None:
    top_up.state = verdict.state
    top_up.problem = verdict.problem
    top_up.checked_at = timezone.now()
    if verdict.state != TopUp.State.PARKED:
        # A payment is ours only where it fits; the sentence names one that doesn't.
        top_up.payment_intent_id = payment.id
    if verdict.state == TopUp.State.PAID:
        top_up.paid_at = top_up.checked_at
        top_up.received_cents = verdict.received_cents
        top_up.tax_cents = verdict.tax_cents
        proofs.note(top_up, payment.charge_id, payment.receipt_url, None)
    top_up.save()


def _follow(top_up: TopUp, code: str) -> None:
    """What the end of a charge means for the wish, once: in the transaction that ends it."""
    wish = AutoTopUp.objects.select_for_update().filter(wallet=top_up.wallet_id).first()
    if wish is None:
        return
    match top_up.state:
        case TopUp.State.PAID:
            wish.declines, wish.next_attempt_at = 0, None
        case TopUp.State.PARKED:
            _pause(wish, DOES_NOT_FIT)
        case TopUp.State.FAILED if wish.is_on:
            _decline(wish, code)
    wish.save(update_fields=["declines", "next_attempt_at", "paused_for", "is_told"])


def _decline(wish: AutoTopUp, code: str) -> None:
    wish.declines += 1
    if code in (PERSON, "requires_action"):
        _pause(wish, ASKS_PERSON)
    elif wish.declines > len(WAITS):
        _pause(wish, DECLINED)
    else:
        wish.next_attempt_at = timezone.now() + WAITS[wish.declines - 1]


def _pause(wish: AutoTopUp, reason: str) -> None:
    if wish.is_on:
        wish.paused_for, wish.is_told = reason, False
