"""Automatic top-ups: below X add Y, at most Z in a UTC month. Owns wallet_autotopup and automatic rows of wallet_topup.

A row of ours first, then Stripe. Never: charges without the owner's standing wish, a suspended wallet or a closed account;
two at a time; twice for one crossing; a card other than the one in the row. A charge begins only under the lock of the
wallet's row, which switching off, suspending and closing take too; so once one of these is over, none begins.

What is compared with X is the shown balance, with nothing off for holds: nobody is charged for an estimate.
"""

import datetime
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from accounts.models import User
from pricing.money import NANO_PER_CENT
from wallet import cards, ledger, rounds, stripe_api, wallets
from wallet.auto_topups import causes, endings, standing
from wallet.models import AutoTopUp, SavedCard, TopUp, Wallet
from wallet.stripe_api import KEY_LIFE, CustomerGone, Payment, StripeFailed, StripeRefused
from wallet.topups import crediting, customers, proofs
from wallet.topups.verdicts import Parked, Verdict, judge_payment
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)

# For so long somebody may still be asking Stripe about a row, and it is left to them.
BEING_ASKED = datetime.timedelta(minutes=1)
# What Stripe answers where the card, or the customer, is not there any more.
GONE = {"resource_missing", "payment_method_unexpected_state"}
COUNTED = [*TopUp.UNFINISHED, TopUp.State.PAID, TopUp.State.PARKED]


class NoCard(Exception):
    """There is no saved card to charge."""


@dataclass(frozen=True, slots=True)
class Wish:
    """When the balance falls below `below_cents`, add `add_cents`, up to `monthly_cents` in a calendar month, UTC."""

    below_cents: int
    add_cents: int
    monthly_cents: int


class Changed(Exception):
    """What stands is not what the page showed."""


def switch_on(wallet: Wallet, wish: Wish, *, seen: str | None = None) -> None:
    """The owner agrees to be charged like this from now on. Forgets declines and pauses.

    `seen` is the `standing.name` that the owner looked at. Raises wallets.Suspended, NoCard and Changed.
    """
    with transaction.atomic():
        _require_seen(wallets.lock_to_pay_in(wallet.pk), wish, seen)
        _agree(wallet, wish)


def change(wallet: Wallet, wish: Wish, *, seen: str) -> None:
    """Other amounts for what is on; never switches it on. Otherwise as `switch_on`."""
    with transaction.atomic():
        _require_seen(wallets.lock_to_pay_in(wallet.pk), wish, seen)
        if not AutoTopUp.objects.filter(wallet=wallet, is_on=True, paused_for="").exists():
            raise Changed
        _agree(wallet, wish)


def switch_off(wallet: Wallet) -> TopUp | None:
    """From its answer on no charge begins. One that is under way at Stripe already goes on, and is returned."""
    with transaction.atomic():
        wallets.lock(wallet.pk)
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
    """Ids of wallets that look as if they have to be charged, those that waited last. `begin` looks again, under locks."""
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
    in_turn = below.order_by(F("next_attempt_at").asc(nulls_first=True), "wallet")
    yield from in_turn.values_list("wallet", flat=True)[:limit]


def charge_due(limit: int = 100) -> int:
    """One round of the periodic job; returns how many charges began."""
    begun: list[TopUp] = []

    def look(wallet_id: int) -> None:
        top_up = begin(wallet_id) if _is_over(wallet_id) else None
        if top_up is not None:
            begun.append(top_up)
            charge(top_up)

    rounds.go_round("automatic top-up of wallet", due(limit), look)
    return len(begun)


def begin(wallet_id: int) -> TopUp | None:
    """The row of a charge that has to be made now, or None. Locks the wallet's row, then the wish.

    Whatever ends a charge writes the wish in the same transaction. So whoever holds both sees either the charge under way
    or all that came of it: no charge is begun beside another, nor against a balance from before the last one.
    """
    with transaction.atomic():
        wallet = wallets.lock(wallet_id)
        wish = AutoTopUp.objects.select_for_update().filter(wallet=wallet).first()
        card = SavedCard.objects.filter(wallet=wallet).first()
        if wish is None or card is None or not _may_charge(wallet, wish) or not _is_due(wish):
            return None
        if causes.went_back(wallet, wish):
            endings.pause(wish, causes.WENT_BACK)
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
    customer_id, *_ = customers.ids_of(top_up.wallet_id)
    try:
        payment = stripe_api.charge_card(
            customer_id=customer_id,
            payment_method_id=top_up.payment_method_id,
            amount_cents=top_up.amount_cents,
            top_up_id=str(top_up.pk),
            idempotency_key=f"auto-top-up-{top_up.pk}",
        )
    except StripeRefused as error:
        if isinstance(error, CustomerGone):
            again_if_lost(lambda: customers.gone(customer_id))
        # It may refuse the question and have answered it before.
        return _looked_behind(top_up, error)
    return record(top_up.pk, payment)


def settle(top_up: TopUp) -> TopUp:
    """Find out how an unfinished one stands. Raises StripeUnavailable and StripeRefused.

    One without an answer is looked for at Stripe first, then asked for again under its key while Stripe knows that and its
    owner still wants it, and given up otherwise.
    """
    now = timezone.now()
    if top_up.payment_intent_id:
        TopUp.objects.filter(pk=top_up.pk).update(checked_at=now)
        return record(top_up.pk, stripe_api.payment(top_up.payment_intent_id))
    if top_up.checked_at and top_up.checked_at > now - BEING_ASKED:
        return top_up
    TopUp.objects.filter(pk=top_up.pk).update(checked_at=now)
    found = _at_stripe(top_up)
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
    verdict = _judged(payment, top_up)
    if top_up.is_settled and verdict.state not in crediting.FINAL:
        # Given up before: only money that came all the same changes that.
        return top_up
    verdict = crediting.credit(top_up, verdict, payment_intent_id=payment.id, charge_id=payment.charge_id)
    if verdict.state == TopUp.State.PARKED:
        logger.error("Top-up %s is parked: %s", top_up.pk, verdict.problem)
    _write(top_up, payment, verdict)
    endings.follow(top_up, payment.code or payment.status)
    if top_up.state == TopUp.State.PAID and payment.has_past:
        crediting.take_up_past(payment.id)
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


def _require_seen(wallet: Wallet, wish: Wish, seen: str | None) -> None:
    """The wallet is locked. The same form sent twice finds that it stands already. Raises NoCard and Changed."""
    if not SavedCard.objects.filter(wallet=wallet).exists():
        raise NoCard
    stands = AutoTopUp.objects.filter(wallet=wallet, is_on=True, paused_for="", **asdict(wish)).exists()
    if seen is not None and not stands and seen != standing.name(wallet):
        raise Changed


def _agree(wallet: Wallet, wish: Wish) -> None:
    AutoTopUp.objects.update_or_create(
        wallet=wallet,
        defaults={
            **asdict(wish),
            "is_on": True,
            "declines": 0,
            "next_attempt_at": None,
            "paused_for": "",
            "is_told": True,
            "agreed_at": timezone.now(),
        },
    )


def _is_over(wallet_id: int) -> bool:
    """Whether the charge before is over, which ended without a payment: Stripe may have made one of it since."""
    before = TopUp.objects.filter(wallet=wallet_id, is_automatic=True).order_by("-created_at").first()
    if before is None or before.state != TopUp.State.FAILED or before.payment_intent_id:
        return True
    try:
        found = _at_stripe(before)
    except StripeFailed:
        # It must not be the first of every round for that.
        endings.wait_for_stripe(wallet_id)
        raise
    if found is None or _judged(found, before).state == TopUp.State.FAILED:
        return True
    record(before.pk, found)
    endings.wait_for_stripe(wallet_id)
    return False


def _judged(payment: Payment, top_up: TopUp) -> Verdict:
    owners = customers.ids_of(top_up.wallet_id)
    return judge_payment(payment, top_up, customers=owners, livemode=settings.STRIPE_LIVEMODE)


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
        wallet = wallets.lock(top_up.wallet_id)
        wish = AutoTopUp.objects.filter(wallet=wallet).first()
        has_card = SavedCard.objects.filter(
            wallet=wallet, payment_method_id=top_up.payment_method_id
        ).exists()
        return wish is not None and has_card and _may_charge(wallet, wish)


def _next_month(now: datetime.datetime) -> datetime.datetime:
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + datetime.timedelta(days=32)).replace(day=1)


def _at_stripe(top_up: TopUp) -> Payment | None:
    """The payment that names this row, whichever customer of the wallet it was made for."""
    for customer_id in customers.ids_of(top_up.wallet_id):
        found = stripe_api.payment_of_top_up(customer_id, str(top_up.pk))
        if found is not None:
            return found
    return None


def _charge_again(top_up: TopUp) -> TopUp:
    """Stripe was asked before and has no such payment. An error of its own it would repeat under this key for ever."""
    try:
        return charge(top_up)
    except StripeFailed as error:
        return _looked_behind(top_up, error)


def _looked_behind(top_up: TopUp, error: StripeRefused | StripeFailed) -> TopUp:
    """What Stripe made of it all the same; where that is nothing, the error ends it. Raises StripeUnavailable."""
    found = _at_stripe(top_up)
    if found is not None:
        return record(top_up.pk, found)
    logger.warning("Stripe will not do automatic top-up %s: %s", top_up.pk, error)
    return again_if_lost(lambda: _fail(top_up.pk, error))


def _fail(top_up_id: UUID, error: StripeRefused | StripeFailed) -> TopUp:
    """Stripe made no payment of it and never will."""
    top_up = TopUp.objects.select_for_update().get(pk=top_up_id)
    if top_up.is_settled:
        return top_up
    top_up.state = TopUp.State.FAILED
    top_up.problem = endings.STRIPE_FAILED if isinstance(error, StripeFailed) else str(error)
    top_up.checked_at = timezone.now()
    top_up.save()
    if isinstance(error, StripeFailed):
        endings.wait_for_stripe(top_up.wallet_id)
        return top_up
    if error.code in GONE:
        cards.removed(top_up.wallet_id, top_up.payment_method_id)
    endings.follow(top_up, error.code)
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
