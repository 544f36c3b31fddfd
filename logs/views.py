"""The list of calls as a page, and what that page asks for afterwards: its totals, and the calls that have arrived."""

from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from logs import archive, bounds, listing, pages
from logs.wanted import Wanted
from wallet.wallets import wallet_of

TOTALS_WAIT_MS = 5_000
# What is folded away until it is used.
MORE = {"stream", "above", "call"}


@require_safe
def logs(request: HttpRequest) -> HttpResponse:
    """The wallet's calls, newest first, those that were looked for; 400 with a sentence where that makes no sense."""
    response = _part(request) if is_fragment(request) else _list(request)
    patch_vary_headers(response, ["HX-Request"])
    return response


def is_fragment(request: HttpRequest) -> bool:
    """Whether a part of a page is asked for by the page itself."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def to_sign_in() -> HttpResponse:
    """Takes the whole page there, of which a part was asked for."""
    return HttpResponseClientRedirect(f"{resolve_url('account_login')}?next={resolve_url('logs')}")


@login_required
def _list(request: HttpRequest) -> HttpResponse:
    wallet = wallet_of(cast("User", request.user))
    form = listing.FilterForm(request.GET)
    models, chosen, archived_before = listing.models_of(wallet), form.chosen, archive.since(wallet.pk)
    if "model" in chosen and chosen["model"] not in models:
        models.append(chosen["model"][: listing.LONGEST_TEXT])
    context = {
        "form": form,
        "models": models,
        "keys": listing.keys_of(wallet),
        "chosen": chosen,
        "archived_before": archived_before,
        "has_more": not MORE.isdisjoint(chosen),
    }
    is_good = form.is_valid()
    if is_good:
        context |= _found(request, form, form.wanted(wallet.pk), archived_before)
    return render(request, "logs/logs.html", context, status=200 if is_good else 400)


def _found(
    request: HttpRequest, form: listing.FilterForm, wanted: Wanted, kept_since: datetime | None
) -> dict[str, Any]:
    """Totals are those of archived calls too."""
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    listed = replace(wanted, span=wanted.span.since(kept_since)) if kept_since else wanted
    try:
        page = pages.page(listed, form.chosen, before=before, after=after)
    except bounds.TooLong:
        return {"is_search_too_long": True}
    totals = _totals(wanted, counts="count" in request.GET)
    is_live = bool(request.GET.get("live")) and page.newer is None
    return {
        "page": page,
        "query": form.query,
        "is_live": is_live,
        "is_newest": page.newer is None,
        **totals,
    }


def _part(request: HttpRequest) -> HttpResponse:
    """Of what the address looks for: with `seen` the newest calls but those, 204 where there are none; else the totals."""
    if not request.user.is_authenticated:
        return to_sign_in()
    form = listing.FilterForm(request.GET)
    if not form.is_valid():
        return HttpResponse(status=400)
    wanted = form.wanted(wallet_of(request.user).pk)
    if "seen" not in request.GET:
        return render(request, "logs/logs.html#totals", {"query": form.query, **_totals(wanted, counts=True)})
    return _arrived(request, wanted)


def _arrived(request: HttpRequest, wanted: Wanted) -> HttpResponse:
    try:
        rows = pages.newest(wanted, set(request.GET["seen"].split(",")))
    except bounds.TooLong:
        rows = []  # Those that arrived come with the next answer.
    if not rows:
        return HttpResponse(status=204)
    return render(request, "logs/logs.html#rows", {"rows": rows})


def _totals(wanted: Wanted, *, counts: bool) -> dict[str, Any]:
    """`totals`, or why there are none. What takes longer is counted only where it is asked for."""
    if quick := wanted.quick_sums():
        return {"totals": quick}
    if not counts:
        return {}
    try:
        with bounds.alone(wanted.wallet_id, TOTALS_WAIT_MS):
            return {"totals": wanted.sums()}
    except bounds.TooLong:
        return {"are_totals_too_long": True}
    except bounds.Busy:
        return {"are_totals_busy": True}
