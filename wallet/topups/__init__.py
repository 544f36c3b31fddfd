"""Top-ups: a row of ours first, then Stripe's page, then the credit. Owns wallet_topup.

Never credits what Stripe was not asked about just before, never asks Stripe while a lock is held. A top-up may be
settled from the webhook, the return page and the periodic job at once: the row's lock orders them, and the reference of
the transfer is the payment, so one payment is one credit.
"""

import datetime
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from wallet import auto_topups, cards, rounds, stripe_api, wallets
from wallet.models import TopUp, Wallet
from wallet.stripe_api import KEY_LIFE, PAGE_LIFE, Session, StripeRefused
from wallet.topups import crediting, customers, proofs
from wallet.topups.crediting import FINAL
from wallet.topups.verdicts import Parked, Verdict, judge
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)

PAYABLE = {TopUp.State.CREATED, TopUp.State.OPEN}
FORMS = UUID("6f0c1c4e-7d5f-4f0e-9a57-6c2d6f6b2f11")


class TooManyTopUps(Exception):
    """This wallet started as many top-ups within an hour as it may."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A top-up and, while it can be paid, the address of Stripe's page for it."""

    top_up: TopUp
    page_url: str | None = None


def start(wallet: Wallet, amount_cents: int, form_id: str = "") -> Checkout:
    """Open a page to pay `amount_cents` on. The same form sent twice leads to the same page while that can be paid.

    Raises Suspended and TooManyTopUps, before Stripe hears of it; StripeUnavailable, after which the row waits and can be
    resumed; StripeRefused, after which it is over. The row exists before Stripe is asked, so nothing that happens
    at Stripe is unknown here.
    """
    checkout = _page(_row(wallet, amount_cents, form_id))
    return checkout if checkout.page_url else _page(_row(wallet, amount_cents, ""))


def settle(top_up_id: UUID) -> Checkout:
    """Ask Stripe how it stands and write that down, with the credit where it is paid. Any number of times, at once.

    Raises StripeUnavailable and StripeRefused. A row that Stripe was never reached for is tried again under the same
    idempotency key while Stripe still knows it, and given up after that.
    """
    top_up = TopUp.objects.get(pk=top_up_id)
    if top_up.is_settled:
        return Checkout(top_up)
    if top_up.is_automatic:
        return Checkout(auto_topups.settle(top_up))
    if not top_up.session_id:
        return _resume(top_up)
    TopUp.objects.filter(pk=top_up_id).update(checked_at=timezone.now())
    return record(top_up_id, stripe_api.session(top_up.session_id))


def record(top_up_id: UUID, session: Session) -> Checkout:
    """Write down what Stripe just told about a top-up, in a transaction of its own."""
    top_up = again_if_lost(lambda: apply(top_up_id, session))
    return Checkout(top_up, session.url if top_up.state == TopUp.State.OPEN else None)


def apply(top_up_id: UUID, session: Session) -> TopUp:
    """The same inside the caller's transaction. Locks the top-up, then the wallet (`ledger.lock`)."""
    top_up = TopUp.objects.select_for_update().get(pk=top_up_id)
    if top_up.state in FINAL:
        if top_up.state == TopUp.State.PAID:
            proofs.fill(top_up, session)
        return top_up
    verdict = judge(session, top_up, livemode=settings.STRIPE_LIVEMODE)
    if top_up.is_settled and verdict.state not in FINAL:
        # Given up before: only money that came all the same changes that.
        return top_up
    verdict = crediting.credit(
        top_up,
        verdict,
        payment_intent_id=session.payment_intent_id,
        charge_id=session.charge_id,
        session_id=session.id,
    )
    if verdict.state == TopUp.State.PARKED:
        logger.error("Top-up %s is parked: %s", top_up.pk, verdict.problem)
    _write(top_up, session, verdict)
    if top_up.state == TopUp.State.PAID and session.has_past and session.payment_intent_id:
        crediting.take_up_past(session.payment_intent_id)
    return top_up


def unfinished(limit: int) -> Iterator[UUID]:
    """Ids of top-ups whose end is not known, those that were not looked at for longest first."""
    rows = TopUp.objects.filter(state__in=TopUp.UNFINISHED).order_by(F("checked_at").asc(nulls_first=True))
    yield from rows.values_list("pk", flat=True)[:limit]


def settle_unfinished(limit: int = 200) -> int:
    """One round of the periodic job; returns how many were asked about."""
    return rounds.go_round("top-up", unfinished(limit), settle)


def heard_of_session(session_id: str) -> Callable[[], None]:
    """What follows from a session, as Stripe tells it now, for a transaction of the caller's. Raises Parked."""
    session = stripe_api.session(session_id)
    return cards.heard_of_session(session_id) if session.mode == "setup" else _what_follows(session)


def heard_of_payment(payment_intent_id: str) -> Callable[[], None]:
    """The same of a payment, made through a session or automatically."""
    session = stripe_api.session_of_payment(payment_intent_id)
    return _what_follows(session) if session else auto_topups.heard_of_payment(payment_intent_id)


def _what_follows(session: Session) -> Callable[[], None]:
    top_up = of_session(session)
    if top_up is None:
        raise Parked(f"Session {session.id} belongs to no top-up.")
    top_up_id = top_up.pk

    def follow() -> None:
        apply(top_up_id, session)

    return follow


def of_session(session: Session) -> TopUp | None:
    """The top-up that a session belongs to: by its id, or by the order that it names if that has no session yet."""
    found = TopUp.objects.filter(session_id=session.id).first()
    if found is None:
        try:
            order = UUID(session.client_reference_id or "")
        except ValueError:
            return None
        found = TopUp.objects.filter(pk=order, session_id=None).first()
    return found


def path(top_up: TopUp) -> str:
    """Where the person sees what became of it; Stripe's page leads back there."""
    return reverse("top_up", args=[top_up.pk])


def _page(top_up: TopUp) -> Checkout:
    return settle(top_up.pk) if top_up.session_id else _open_page(top_up)


def _row(wallet: Wallet, amount_cents: int, form_id: str) -> TopUp:
    """The row of this click. The wallet's lock lets parallel clicks see each other; calls go on beside it."""
    now = timezone.now()
    key = uuid5(FORMS, f"{wallet.pk} {form_id}") if form_id else uuid4()
    with transaction.atomic():
        wallets.lock_to_pay_in(wallet.pk)
        before = TopUp.objects.filter(pk=key).first()
        if before and before.amount_cents == amount_cents and before.state in PAYABLE:
            return before
        an_hour_ago = now - datetime.timedelta(hours=1)
        by_hand = TopUp.objects.filter(wallet=wallet, is_automatic=False, created_at__gt=an_hour_ago)
        if by_hand.count() >= settings.TOP_UPS_PER_HOUR:
            raise TooManyTopUps
        # A time of ours rather than the database's, because the page's life is counted from it at once.
        return TopUp.objects.create(
            pk=uuid4() if before else key, wallet=wallet, amount_cents=amount_cents, created_at=now
        )


def _open_page(top_up: TopUp) -> Checkout:
    """Ask Stripe for the page; asking again gives the same one, since all that is sent follows from the row."""
    TopUp.objects.filter(pk=top_up.pk).update(checked_at=timezone.now())
    back = settings.SITE_URL + path(top_up)

    def ask(customer_id: str) -> Session:
        return stripe_api.create_session(
            customer_id=customer_id,
            top_up_id=str(top_up.pk),
            amount_cents=top_up.amount_cents,
            expires_at=int((top_up.created_at + PAGE_LIFE).timestamp()),
            success_url=back,
            cancel_url=f"{back}?cancelled=1",
            idempotency_key=f"top-up-{top_up.pk}-{customer_id}",
        )

    try:
        session = customers.ask_as(top_up.wallet, ask)
    except StripeRefused as error:
        _give_up(top_up, str(error))
        raise
    return record(top_up.pk, session)


def _resume(top_up: TopUp) -> Checkout:
    if timezone.now() - top_up.created_at < KEY_LIFE:
        try:
            return _open_page(top_up)
        except StripeRefused:
            logger.warning("Top-up %s could not be opened any more.", top_up.pk)
    else:
        _give_up(top_up, "Stripe could not be reached for as long as it could be asked safely.")
    top_up.refresh_from_db()
    return Checkout(top_up)


def _give_up(top_up: TopUp, problem: str) -> None:
    TopUp.objects.filter(pk=top_up.pk, state=TopUp.State.CREATED).update(
        state=TopUp.State.EXPIRED, problem=problem, checked_at=timezone.now()
    )


def _write(top_up: TopUp, session: Session, verdict: Verdict) -> None:
    parked = verdict.state == TopUp.State.PARKED
    top_up.state = verdict.state
    top_up.problem = verdict.problem
    top_up.checked_at = timezone.now()
    if not parked:
        # A session and a payment are ours only where they fit; the sentence names those that don't.
        top_up.session_id = session.id
        top_up.payment_intent_id = session.payment_intent_id or top_up.payment_intent_id
        top_up.presentment_amount = session.presentment_amount
        top_up.presentment_currency = session.presentment_currency or ""
    top_up.received_cents = verdict.received_cents
    top_up.tax_cents = verdict.tax_cents
    if verdict.state == TopUp.State.PAID:
        top_up.paid_at = top_up.checked_at
        proofs.note(top_up, session.charge_id, session.receipt_url, session.invoice_url)
    top_up.save()
