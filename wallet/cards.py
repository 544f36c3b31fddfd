"""Saved cards: a row of ours first, then Stripe's page, then the card. Owns wallet_cardsetup and wallet_savedcard.

A card's number never comes near us; what is kept is what Stripe calls it. Saving one moves no money. A wallet charges one
card: the one that Stripe's page shows its owner as the default. Never saves a card of another customer's.
"""

import datetime
from collections.abc import Callable
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from wallet import rounds, stripe_api, wallets
from wallet.models import AutoTopUp, CardSetup, SavedCard, StripeCustomer, Wallet
from wallet.stripe_api import PAGE_LIFE, Card, CustomerGone, SetupSession, StripeRefused
from wallet.topups import customers
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

# How long after its beginning a page is looked at by itself, in case neither event nor person came back.
LOOKED_AT = datetime.timedelta(hours=2)
FORMS = UUID("c0b2d6f4-7a35-4e1c-9a0e-2f9c7f5f3d7b")
REMOVED = "The saved card was removed, so nothing is charged any more. Save a card, then switch it on again."


class TooManySetups(Exception):
    """This wallet opened as many pages within an hour as it may."""


def start(wallet: Wallet, form_id: str = "") -> str:
    """Address of Stripe's page to save a card on. The same form sent twice leads to the same page.

    Raises Suspended and TooManySetups, before Stripe hears of it; StripeUnavailable and StripeRefused.
    """
    setup = _row(wallet, form_id)
    back = settings.SITE_URL + reverse("card_saved", args=[setup.pk])

    def ask(customer_id: str) -> SetupSession:
        return stripe_api.create_setup_session(
            customer_id=customer_id,
            card_setup_id=str(setup.pk),
            expires_at=int((setup.created_at + PAGE_LIFE).timestamp()),
            success_url=back,
            cancel_url=f"{back}?cancelled=1",
            idempotency_key=f"card-setup-{setup.pk}-{customer_id}",
        )

    session = customers.ask_as(wallet, ask)
    CardSetup.objects.filter(pk=setup.pk, session_id=None).update(session_id=session.id)
    if session.url is None:
        raise StripeRefused("This page was used already, or is closed.")
    return session.url


def settle(setup: CardSetup) -> bool:
    """Ask Stripe whether a card was saved, and keep what it is called. Any number of times; whether one was.

    Raises StripeUnavailable, StripeRefused and Parked.
    """
    if not setup.is_done and setup.session_id:
        CardSetup.objects.filter(pk=setup.pk).update(checked_at=timezone.now())
        again_if_lost(_what_follows(setup, stripe_api.setup_session(setup.session_id)))
        setup.refresh_from_db()
    return setup.is_done


def settle_unfinished(limit: int = 100) -> int:
    """One round of the periodic job over pages that were opened lately; returns how many were asked about.

    One that was opened and left is asked about ever more rarely: again when it is twice as old as the last time.
    """
    lately = CardSetup.objects.filter(
        is_done=False, is_over=False, created_at__gt=timezone.now() - LOOKED_AT, session_id__isnull=False
    ).alias(since=Now() - F("checked_at"), until=F("checked_at") - F("created_at"))
    is_due = Q(checked_at=None) | Q(since__gt=F("until"))
    due = lately.filter(is_due).order_by(F("checked_at").asc(nulls_first=True))
    return rounds.go_round("card setup", due[:limit], settle)


def refresh(wallet: Wallet) -> None:
    """Follow what Stripe knows of the wallet's card now. Raises StripeUnavailable and StripeRefused."""
    again_if_lost(_what_is_there(wallet))


def heard_of_session(session_id: str) -> Callable[[], None]:
    """What follows from a session in setup mode, for a transaction of the caller's. Raises Parked."""
    session = stripe_api.setup_session(session_id)
    setup = _of_session(session)
    if setup is None:
        raise Parked(f"Session {session.id} saves a card, but for no wallet of ours.")
    return _what_follows(setup, session)


def heard_of_card(payment_method_id: str) -> Callable[[], None]:
    """The same of a payment method that changed. Those that no wallet charges are none of ours."""
    saved = SavedCard.objects.filter(payment_method_id=payment_method_id).first()
    return _what_is_there(saved.wallet) if saved else _nothing


def heard_of_customer(customer_id: str) -> Callable[[], None]:
    """The same of a customer that changed, because its default card may have, or that is deleted."""
    known = StripeCustomer.objects.filter(customer_id=customer_id, gone_at=None).first()
    return _what_is_there(known.wallet) if known else _nothing


def removed(wallet_id: int, payment_method_id: str | None = None) -> None:
    """Stripe has the card no more: forget it, and switch automatic top-ups off. In the caller's transaction.

    Without an id whichever card is saved.
    """
    wallets.lock(wallet_id)
    card = SavedCard.objects.filter(wallet=wallet_id)
    if payment_method_id:
        card = card.filter(payment_method_id=payment_method_id)
    gone, _ = card.delete()
    if gone:
        AutoTopUp.objects.filter(wallet=wallet_id, is_on=True).update(
            is_on=False, paused_for=REMOVED, is_told=False
        )


def forget(owner: User) -> None:
    """The account is closed: forget the card, which stays at Stripe with its payments. Twice is fine."""
    SavedCard.objects.filter(wallet__owner=owner).delete()


def _row(wallet: Wallet, form_id: str) -> CardSetup:
    now = timezone.now()
    key = uuid5(FORMS, f"{wallet.pk} {form_id}") if form_id else uuid4()
    with transaction.atomic():
        wallets.lock_to_pay_in(wallet.pk)
        before = CardSetup.objects.filter(pk=key).first()
        if before and not before.is_done and before.created_at > now - PAGE_LIFE / 2:
            return before
        lately = CardSetup.objects.filter(wallet=wallet, created_at__gt=now - datetime.timedelta(hours=1))
        if lately.count() >= settings.TOP_UPS_PER_HOUR:
            raise TooManySetups
        return CardSetup.objects.create(pk=uuid4() if before else key, wallet=wallet, created_at=now)


def _of_session(session: SetupSession) -> CardSetup | None:
    found = CardSetup.objects.filter(session_id=session.id).first()
    if found is None:
        try:
            order = UUID(session.client_reference_id or "")
        except ValueError:
            return None
        found = CardSetup.objects.filter(pk=order, session_id=None).first()
    return found


def _what_follows(setup: CardSetup, session: SetupSession) -> Callable[[], None]:
    """Raises Parked where the session is not the one of this setup, or saved what is not this customer's."""
    problem = _difference(session, setup, customers.ids_of(setup.wallet_id))
    if problem:
        raise Parked(problem)
    card, customer_id = session.card, str(session.customer_id)
    if session.status == "expired":
        return lambda: _close(setup.pk)
    if session.status != "complete" or session.setup_status != "succeeded" or card is None:
        return _nothing
    if card.type != "card" or card.customer_id not in (customer_id, None):
        raise Parked(f"It saved {card.id}, a {card.type} of customer {card.customer_id}.")
    if not setup.is_done and card.customer_id and not _newer(setup).exists():
        try:
            stripe_api.set_default_card(
                customer_id=customer_id,
                payment_method_id=card.id,
                idempotency_key=f"card-default-{setup.pk}",
            )
        except CustomerGone:
            # And its card with it: the next look finds that nobody has it.
            return lambda: customers.gone(customer_id)
    return lambda: _save(setup.pk, session.id, card)


def _difference(session: SetupSession, setup: CardSetup, owners: list[str]) -> str:
    ours = str(setup.pk)
    checks = [
        (session.mode == "setup", f"Its mode is {session.mode}, not setup."),
        (setup.session_id in (None, session.id), f"It is session {session.id}, not {setup.session_id}."),
        (session.client_reference_id == ours, f"It names {session.client_reference_id} as its order."),
        (session.card_setup_id == ours, f"Its metadata names {session.card_setup_id} as its order."),
        (
            session.customer_id in owners,
            f"Its customer is {session.customer_id}, not {' or '.join(owners)}.",
        ),
        (session.livemode == settings.STRIPE_LIVEMODE, f"Its livemode is {session.livemode}."),
    ]
    return next((sentence for holds, sentence in checks if not holds), "")


def _save(setup_id: UUID, session_id: str, card: Card) -> None:
    """Once per setup; a page that was left open never replaces a card that was saved on a newer one."""
    setup = CardSetup.objects.get(pk=setup_id)
    wallet = wallets.lock(setup.wallet_id)
    setup.refresh_from_db()
    if setup.is_done:
        return
    CardSetup.objects.filter(pk=setup_id).update(is_done=True, session_id=session_id)
    customer = customers.current(wallet)
    is_its_own = customer is not None and card.customer_id == customer.customer_id
    if is_its_own and wallet.owner.is_active and not _newer(setup).exists():
        _keep(wallet.pk, card)
        # Declines were those of the card before.
        AutoTopUp.objects.filter(wallet=wallet).update(declines=0, next_attempt_at=None)


def _close(setup_id: UUID) -> None:
    CardSetup.objects.filter(pk=setup_id).update(is_over=True)


def _newer(setup: CardSetup) -> QuerySet[CardSetup]:
    """Pages that were opened after this one, and that saved a card."""
    return CardSetup.objects.filter(wallet=setup.wallet_id, is_done=True, created_at__gt=setup.created_at)


def _what_is_there(wallet: Wallet) -> Callable[[], None]:
    """The default card at Stripe is the wallet's; without one, its card stays as long as Stripe has it."""
    customer = customers.current(wallet)
    if customer is None:
        return _nothing
    customer_id = customer.customer_id
    saved = SavedCard.objects.filter(wallet=wallet).first()
    before = saved.payment_method_id if saved else None
    try:
        card = stripe_api.default_card(customer_id)
    except CustomerGone:
        return lambda: customers.gone(customer_id)
    if (card is None or card.type != "card") and before:
        card = stripe_api.card(before)
    if card is not None and (card.type != "card" or card.customer_id != customer_id):
        card = None
    return lambda: _follow(wallet.pk, before, card)


def _follow(wallet_id: int, before: str | None, card: Card | None) -> None:
    """`before` is what was saved when Stripe was asked; whatever was saved since is newer."""
    wallet = wallets.lock(wallet_id)
    saved = SavedCard.objects.filter(wallet=wallet).first()
    if (saved.payment_method_id if saved else None) != before or not wallet.owner.is_active:
        return
    if card is not None:
        _keep(wallet_id, card)
    elif before:
        removed(wallet_id, before)


def _keep(wallet_id: int, card: Card) -> None:
    SavedCard.objects.update_or_create(
        wallet_id=wallet_id,
        defaults={
            "payment_method_id": card.id,
            "brand": card.brand,
            "last_four": card.last_four,
            "expires": card.expires,
        },
    )


def _nothing() -> None:
    """Nothing follows."""
