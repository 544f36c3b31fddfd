"""The wallet's pages."""

import datetime
import logging
import uuid
from contextlib import suppress
from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from wallet import disputes, grants, history, invariants, ledger, stripe_api, topups
from wallet.auto_topups import forms as auto_topup_forms
from wallet.auto_topups.forms import AutoTopUpForm
from wallet.forms import TopUpForm, dollars, presets
from wallet.models import Code, Hold, TopUp, Transfer, Wallet
from wallet.refunds import forms as refund_forms
from wallet.refunds.forms import RefundForm
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups import proofs, stories
from wallet.topups.presentment import presented
from wallet.wallets import Suspended, wallet_of

logger = logging.getLogger(__name__)

HOLDS_SHOWN = 20
TOP_UPS_SHOWN = 100
# Of those that nobody waits for: pages that were left, and what a promotion code covered.
IDLE_SHOWN = 2
FAILURES_SHOWN = datetime.timedelta(days=7)
# While a bank takes its time, a page that asks again and again is answered from the row for this long.
FRESH = datetime.timedelta(seconds=5)
LARGEST_ID = 2**63 - 1


class SeeOther(HttpResponseRedirect):
    """After a form: go on with GET."""

    status_code = 303


@login_required
@require_safe
def wallet(request: HttpRequest) -> HttpResponse:
    return wallet_page(request)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def top_up_create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        # Where a login in between, or a reload after an error, leads.
        return redirect("wallet")
    form = TopUpForm(request.POST)
    if not form.is_valid():
        return wallet_page(request, form, status=422)
    amount_cents, form_id = form.cleaned_data["amount"], form.cleaned_data["form_id"]
    try:
        with stripe_api.in_a_hurry():
            checkout = topups.start(_my_wallet(request), amount_cents, form_id)
    except Suspended:
        form.add_error(None, "Your wallet is suspended, so no payment was started. Nothing was charged.")
        return wallet_page(request, form, status=403)
    except topups.TooManyTopUps:
        form.add_error(None, "That were many top-ups within an hour. Wait a while, then try again.")
        return wallet_page(request, form, status=429)
    except StripeUnavailable as error:
        logger.warning("Stripe is away, a top-up waits: %s", error)
        form.add_error(
            None, "Stripe does not answer at the moment. Nothing was charged; try again in a minute."
        )
        return wallet_page(request, form, status=503)
    except StripeRefused as error:
        logger.error("Stripe refused a top-up: %s", error)
        form.add_error(None, "Stripe refused to open a payment page. Nothing was charged.")
        return wallet_page(request, form, status=502)
    if checkout.page_url is None:
        return SeeOther(topups.path(checkout.top_up))
    return SeeOther(checkout.page_url)


@login_required
@require_safe
def top_up(request: HttpRequest, top_up_id: uuid.UUID) -> HttpResponse:
    own = _my_wallet(request)
    mine = get_object_or_404(TopUp, pk=top_up_id, wallet=own)
    is_away = False
    was_asked = mine.checked_at is not None and mine.checked_at > timezone.now() - FRESH
    is_fresh = mine.state == TopUp.State.PENDING and was_asked
    is_poll = bool(request.headers.get("HX-Request"))
    try:
        with stripe_api.in_a_hurry():
            checkout = topups.Checkout(mine) if is_poll and is_fresh else topups.settle(mine.pk)
    except (StripeUnavailable, StripeRefused):
        checkout, is_away = topups.Checkout(mine), True
    context: dict[str, object] = {
        "top_up": checkout.top_up,
        "page_url": None if own.suspended_at else checkout.page_url,
        "is_suspended": own.suspended_at is not None,
        "is_away": is_away,
        "was_cancelled": "cancelled" in request.GET,
        "balances": ledger.balances(own),
    }
    context |= _told_of(checkout.top_up)
    response = render(request, f"wallet/top_up.html{'#status' if is_poll else ''}", context)
    if is_poll and checkout.top_up.is_settled:
        # Nothing more to ask for; the whole page shows the new balance.
        response.status_code = 286
        response["HX-Refresh"] = "true"
    return response


def _told_of(mine: TopUp) -> dict[str, object]:
    """What was paid for a top-up, Stripe's papers, and the correction that took it back."""
    if proofs.is_incomplete(mine):
        with suppress(StripeUnavailable, StripeRefused), stripe_api.in_a_hurry():
            mine = proofs.look_again(mine.pk)
    undone_by = stories.undone_by(mine)
    return {
        "links": proofs.links(mine),
        "paid_as": presented(mine.presentment_amount, mine.presentment_currency),
        "discount": stories.discount(mine),
        "discount_nanousd": stories.discount_nanousd(mine),
        "since": stories.since(mine),
        "undone_by": undone_by,
        "undone_before": undone_by and undone_by.pk + 1,
    }


def _my_wallet(request: HttpRequest) -> Wallet:
    return wallet_of(cast("User", request.user))


def wallet_page(
    request: HttpRequest,
    form: TopUpForm | None = None,
    *,
    refund_form: RefundForm | None = None,
    auto_form: AutoTopUpForm | None = None,
    card_error: str = "",
    status: int = 200,
) -> HttpResponse:
    """The wallet, with the form that was sent and is refused, if one was."""
    mine = _my_wallet(request)
    form = form or TopUpForm(initial={"form_id": uuid.uuid4()})
    before = _id(request.GET.get("before", ""))
    context = {
        "form": form,
        "form_id": form["form_id"].value() or "",
        "presets": presets(),
        "smallest": dollars(settings.TOP_UP_MINIMUM_CENTS),
        "largest": dollars(settings.TOP_UP_MAXIMUM_CENTS),
        "is_taxed": settings.STRIPE_TAX,
        "takes_codes": settings.STRIPE_PROMOTION_CODES,
        "is_suspended": mine.suspended_at is not None,
        "balances": ledger.balances(mine),
        "holds": Hold.objects.filter(
            wallet=mine, state=Hold.State.OPEN, expires_at__gt=timezone.now()
        ).order_by("-created_at")[:HOLDS_SHOWN],
        **_top_ups_to_see(mine, are_all_wanted=request.GET.get("top_ups") == "all"),
        "history": history.page(mine, before),
        "is_first_page": before is None,
        "checked": invariants.last_good(),
        "starter_credit": _starter_credit(mine),
        **disputes.on_wallet_page(mine),
        **refund_forms.on_wallet_page(mine, refund_form or refund_forms.unbound()),
        **auto_topup_forms.on_wallet_page(mine, auto_form),
        "card_error": card_error,
    }
    return render(request, "wallet/wallet.html", context, status=status)


def _top_ups_to_see(mine: Wallet, *, are_all_wanted: bool) -> dict[str, object]:
    """Not in the history, since no money moved: those that wait for somebody or that a bank refused in the last week, then
    the newest of the pages that were left, and of what a promotion code covered as a whole. With Stripe's papers.
    """
    own = TopUp.objects.filter(wallet=mine).order_by("-created_at")
    waits = Q(state__in=[TopUp.State.PARKED, TopUp.State.PENDING])
    refused = Q(state=TopUp.State.FAILED, created_at__gt=timezone.now() - FAILURES_SHOWN)
    idle = (
        own.filter(state__in=[TopUp.State.CREATED, TopUp.State.OPEN]),
        own.filter(state=TopUp.State.PAID, received_cents=0),
    )
    most = TOP_UPS_SHOWN if are_all_wanted else IDLE_SHOWN
    shown = [*own.filter(waits | refused)[:TOP_UPS_SHOWN], *(each for kind in idle for each in kind[:most])]
    return {
        "top_ups": [(each, proofs.links(each)) for each in shown],
        "top_ups_left_out": 0 if are_all_wanted else sum(max(kind.count() - most, 0) for kind in idle),
    }


def _starter_credit(mine: Wallet) -> str:
    """What to say of starter credit that this wallet has not: "elsewhere", "awaited", or nothing."""
    if not settings.STARTER_CREDIT_NANOUSD:
        return ""
    if Transfer.objects.filter(wallet=mine, code=Code.STARTER_GRANT).exists():
        return ""
    if grants.had_starter_credit_elsewhere(mine.owner):
        return "elsewhere"
    return "awaited" if settings.EMAIL_VERIFICATION_REQUIRED else ""


def _id(text: str) -> int | None:
    """A transfer's id from an address; anything else shows the newest page."""
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    return min(int(text), LARGEST_ID) if is_number else None
