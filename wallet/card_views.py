"""Saving a card on Stripe's page, the page where it is removed, and the form of automatic top-ups."""

import logging
import uuid
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from wallet import auto_topups, cards, counting, stripe_api
from wallet.auto_topups import forms as auto_topup_forms
from wallet.auto_topups import standing
from wallet.forms import dollars
from wallet.models import CardSetup, SavedCard, Wallet
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups import customers
from wallet.topups.verdicts import Parked
from wallet.views import SeeOther, wallet_page
from wallet.wallets import Suspended, wallet_of

logger = logging.getLogger(__name__)

AWAY = "Stripe does not answer at the moment. Nothing was changed; try again in a minute."
TOO_OFTEN = "That were many tries within an hour. Wait a while, then try again."
CHANGED = "It, or its card, was changed after you opened this page, so nothing was saved now."
FORM_AND_RELOAD = ["GET", "HEAD", "POST"]


@login_required
@require_http_methods(FORM_AND_RELOAD)
def card(request: HttpRequest) -> HttpResponse:
    """POST leads to Stripe's page to save a card on; GET, where Stripe's portal leads back to, asks what is left of it."""
    mine = _my_wallet(request)
    if request.method != "POST":
        return _back_from_portal(request, mine)
    try:
        with stripe_api.in_a_hurry():
            return SeeOther(cards.start(mine, request.POST.get("form_id", "")[:64]))
    except Suspended:
        return _refused(request, "Your wallet is suspended, so no card was saved.", 403)
    except cards.TooManySetups:
        return _refused(request, TOO_OFTEN, 429)
    except StripeUnavailable as error:
        logger.warning("Stripe is away, a card is not saved: %s", error)
        return _refused(request, AWAY, 503)
    except StripeRefused as error:
        logger.error("Stripe refused a page to save a card on: %s", error)
        return _refused(request, "Stripe refused to open its page. No card was saved.", 502)


@login_required
@require_safe
def card_saved(request: HttpRequest, setup_id: uuid.UUID) -> HttpResponse:
    """Where Stripe's page leads back to. Asks Stripe; that somebody came here says nothing."""
    setup = get_object_or_404(CardSetup, pk=setup_id, wallet=_my_wallet(request))
    try:
        with stripe_api.in_a_hurry():
            is_saved = cards.settle(setup)
    except (StripeUnavailable, StripeRefused) as error:
        logger.warning("Whether a card was saved is not known yet: %s", error)
        messages.warning(
            request, "Stripe does not answer at the moment. Your card shows here as soon as it does."
        )
    except Parked as reason:
        logger.error("Card setup %s does not add up: %s", setup.pk, reason)
        messages.error(request, "Something about this card did not fit, so it was not saved.")
    else:
        if is_saved:
            messages.success(request, "Your card is saved.")
        else:
            messages.info(request, "No card was saved.")
    return _to_section()


@login_required
@require_http_methods(FORM_AND_RELOAD)
def portal(request: HttpRequest) -> HttpResponse:
    """POST leads to Stripe's own page, which lists the cards and removes them; a suspended wallet's owner may too."""
    if request.method != "POST":
        return redirect("wallet")
    mine = _my_wallet(request)
    if counting.count(f"portal-{mine.pk}", seconds=3600) > settings.TOP_UPS_PER_HOUR:
        return _refused(request, TOO_OFTEN, 429)
    try:
        with stripe_api.in_a_hurry():
            address = customers.ask_as(mine, _portal_of)
    except StripeUnavailable as error:
        logger.warning("Stripe is away, its portal does not open: %s", error)
        return _refused(request, AWAY, 503)
    except StripeRefused as error:
        logger.error("Stripe refused to open its portal: %s", error)
        return _refused(request, "Stripe refused to open the page of your cards.", 502)
    return SeeOther(address)


@login_required
@require_http_methods(FORM_AND_RELOAD)
def auto_top_up(request: HttpRequest) -> HttpResponse:
    """`below`, `add` and `monthly` in dollars change it, with `switch=on` they switch it on; `switch=off` switches it off.

    `seen` is what the page showed. Where that is not what stands, nothing is changed but by switching off.
    """
    if request.method != "POST":
        return redirect("wallet")
    mine = _my_wallet(request)
    if request.POST.get("switch") == "off":
        return _switch_off(request, mine)
    form = auto_topup_forms.bound(request.POST)
    if not form.is_valid():
        return wallet_page(request, auto_form=form, status=422)
    is_switch = request.POST.get("switch") == "on"
    try:
        follow = auto_topups.switch_on if is_switch else auto_topups.change
        follow(mine, form.wish, seen=request.POST.get("seen", ""))
    except auto_topups.NoCard:
        form.add_error(None, "Save a card first; then it can be charged.")
        return wallet_page(request, auto_form=form, status=422)
    except auto_topups.Changed:
        return _refused(request, f"Automatic top-up {standing.in_words(mine)}. {CHANGED}", 409)
    except Suspended:
        form.add_error(None, "Your wallet is suspended, so nothing can be charged to your card.")
        return wallet_page(request, auto_form=form, status=403)
    messages.success(
        request, "Automatic top-up is on." if is_switch else "Saved. Automatic top-up goes on like this."
    )
    return _to_section()


def _portal_of(customer_id: str) -> str:
    return stripe_api.create_portal_session(
        customer_id=customer_id,
        return_url=settings.SITE_URL + reverse("card"),
        # A page for some minutes, which changes nothing: each click has its own.
        idempotency_key=f"portal-{uuid.uuid4()}",
    )


def _switch_off(request: HttpRequest, mine: Wallet) -> HttpResponse:
    under_way = auto_topups.switch_off(mine)
    if under_way is None:
        messages.success(request, "Automatic top-up is off. Your card is not charged any more.")
    else:
        messages.warning(
            request,
            f"Automatic top-up is off. A charge of {dollars(under_way.amount_cents)} is under way at"
            " Stripe already and may still go through; no other begins.",
        )
    return _to_section()


def _back_from_portal(request: HttpRequest, mine: Wallet) -> HttpResponse:
    had_card = SavedCard.objects.filter(wallet=mine).exists()
    try:
        with stripe_api.in_a_hurry():
            cards.refresh(mine)
    except (StripeUnavailable, StripeRefused) as error:
        logger.warning("What is left of a saved card is not known yet: %s", error)
    else:
        if had_card and not SavedCard.objects.filter(wallet=mine).exists():
            messages.success(request, "Your card is removed. Nothing is charged to it any more.")
    return _to_section()


def _refused(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    return wallet_page(request, card_error=sentence, status=status)


def _to_section() -> HttpResponse:
    return SeeOther(f"{reverse('wallet')}#auto-top-up")


def _my_wallet(request: HttpRequest) -> Wallet:
    return wallet_of(cast("User", request.user))
