"""The pages of a wallet's keys. A key's text is in one answer only: the one to the form that made it."""

import uuid
from datetime import timedelta
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render, resolve_url
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from pricing import calling, catalogue
from pricing.models import Kind
from tokens import charts, keys, spending, states, words
from tokens.forms import KINDS, KeyForm
from tokens.models import ApiKey, Notice
from tokens.states import State
from wallet.models import Wallet
from wallet.views import SeeOther
from wallet.wallets import wallet_of

REVOKED_SHOWN = 100
CALLS_SHOWN = 20
MODELS_SHOWN = 12
DAYS_SHOWN = 30
# Cheap and known to everybody; where a key may not call it, the first text model that it may is the example.
EXAMPLE_MODEL = "gpt-4o-mini"
LARGEST_ID = 2**63 - 1


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The wallet's keys; a POST with `name` makes one and shows it this once."""
    wallet = _wallet(request)
    form = KeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        form_id, name = request.POST.get("form_id", "")[:36], form.cleaned_data["name"]
        try:
            issued = keys.issue(wallet, name, form.chosen_kind, form.rules, form_id=form_id)
        except keys.KeyLimitReached as error:
            form.add_error("name", str(error))
        except keys.MadeBefore:
            # A reload of the page that shows the key sends its form again.
            messages.info(request, "That token was made already. A key is shown once; lost it? Make another.")
            return SeeOther(resolve_url("tokens"))
        else:
            return show_new(request, issued, status=201)
    return _list(request, wallet, form, status=422 if form.is_bound else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def token(request: HttpRequest, key_id: int) -> HttpResponse:
    """One key: what it may do and did, and every form there is about it. A POST changes its name and rules."""
    key = own(request, key_id)
    form = KeyForm(request.POST if request.method == "POST" else None, key=key)
    if request.method == "POST" and key.is_revoked:
        messages.warning(request, f"“{key.name}” is revoked, so nothing of it can be changed.")
        return SeeOther(resolve_url("token", key_id))
    if form.is_valid():
        keys.change(key, form.cleaned_data["name"], form.rules)
        messages.success(request, "Saved. It holds from now on.")
        return SeeOther(resolve_url("token", key_id))
    return _page(request, key, form, status=422 if form.is_bound else 200)


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Models for sale whose names hold every word of `q`, for the form to choose from as one types."""
    wanted = request.GET.get("q", "")[:100].casefold().split()
    names = [model.name for model in catalogue.sellable()]
    found = [name for name in names if all(word in name.casefold() for word in wanted)] if wanted else []
    context = {"q": " ".join(wanted), "names": found[:MODELS_SHOWN], "more": len(found) - MODELS_SHOWN}
    return render(request, "tokens/fields.html#found", context)


def own(request: HttpRequest, key_id: int) -> ApiKey:
    """A key of this person's wallet; anybody else's is not found."""
    return get_object_or_404(ApiKey, pk=min(key_id, LARGEST_ID), wallet__owner=cast("User", request.user))


def show_new(request: HttpRequest, issued: keys.IssuedKey, *, status: int) -> HttpResponse:
    """The one page that has a key's text."""
    is_for_calls = issued.key.kind == ApiKey.Kind.INFERENCE
    context = {
        "issued": issued,
        "key": issued.key,
        "is_rotated": issued.key.previous_until is not None,
        "example": _example(issued) if is_for_calls else "",
        **_addresses(),
    }
    response = render(request, "tokens/new.html", context, status=status)
    response["Cache-Control"] = "private, no-store"
    return response


def _wallet(request: HttpRequest) -> Wallet:
    return wallet_of(cast("User", request.user))


def _list(request: HttpRequest, wallet: Wallet, form: KeyForm, *, status: int) -> HttpResponse:
    mine = ApiKey.objects.filter(wallet=wallet)
    active = list(mine.filter(revoked_at=None).order_by("-id"))
    revoked = list(mine.exclude(revoked_at=None).order_by("-revoked_at", "-id")[: REVOKED_SHOWN + 1])
    states.put([*active, *revoked])
    context = {
        "is_suspended": wallet.suspended_at is not None,
        "form": form,
        "kinds": _kinds(form),
        "form_id": uuid.uuid4(),
        "active": active,
        "in_use": sum(key.standing.state == State.IN_USE for key in active),
        "revoked": revoked[:REVOKED_SHOWN],
        "more_revoked": len(revoked) > REVOKED_SHOWN,
    }
    return render(request, "tokens/tokens.html", context, status=status)


def _page(request: HttpRequest, key: ApiKey, form: KeyForm, *, status: int) -> HttpResponse:
    now = timezone.now()
    states.put([key], now)
    days = spending.by_day(key, now.date() - timedelta(days=DAYS_SHOWN - 1), now.date())
    has_overlap = key.previous_until is not None and key.previous_until > now and not key.is_revoked
    context = {
        "key": key,
        "form": form,
        "is_for_calls": key.kind == ApiKey.Kind.INFERENCE,
        "words": words.of(key),
        "open_calls": states.open_calls(key, CALLS_SHOWN, now),
        "chart": charts.of_days(days),
        "has_overlap": has_overlap,
        "notices": Notice.objects.filter(key=key),
        **_addresses(),
    }
    return render(request, "tokens/token.html", context, status=status)


def _kinds(form: KeyForm) -> list[tuple[str, str, str, bool]]:
    """Value, label, sentence, and whether it is chosen."""
    chosen = form["kind"].value() or ApiKey.Kind.INFERENCE
    choices = cast("list[tuple[str, str]]", list(form.fields["kind"].choices))  # type: ignore[attr-defined]
    return [(value, label, KINDS[ApiKey.Kind(value)], value == chosen) for value, label in choices]


def _addresses() -> dict[str, object]:
    return {
        "base_url": settings.GATEWAY_BASE_URL,
        "site_url": settings.SITE_URL,
        "by_address": settings.BALANCE_BY_ADDRESS,
    }


def _example(issued: keys.IssuedKey) -> str:
    """A call to paste into a terminal that this key may make; empty where it may call no model with an endpoint."""
    now, allowed = timezone.now(), issued.key.model_ids
    models = [model for model in catalogue.sellable(at=now) if allowed is None or model.id in allowed]
    models.sort(key=lambda model: (model.name != EXAMPLE_MODEL, model.kind != Kind.TEXT))
    for model in models:
        table = model.price_at(now)
        found = calling.snippets(model, table, base_url=settings.GATEWAY_BASE_URL) if table else []
        if found:
            return found[0].code.replace("$API_KEY", issued.text)
    return ""
