"""The pages of calls: the list, and the receipt of one as a page, as the inside of a row, and as data."""

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from logs import listing, pages, receipts
from logs.models import Call
from pricing import catalogue
from pricing.listings import UNDATED_FROM
from wallet.wallets import wallet_of

JSON = "application/json"


@login_required
@require_safe
def logs(request: HttpRequest) -> HttpResponse:
    """The wallet's calls, newest first, those that were looked for; 400 with a sentence where that makes no sense."""
    wallet = wallet_of(cast("User", request.user))
    form = listing.FilterForm(request.GET)
    page = None
    if form.is_valid():
        before, after = request.GET.get("before", ""), request.GET.get("after", "")
        page = pages.page(form.wanted(wallet.pk), form.chosen, before=before, after=after)
    models, chosen = listing.models_of(wallet), form.chosen
    if "model" in chosen and chosen["model"] not in models:
        models.append(chosen["model"][: listing.LONGEST_TEXT])
    context = {
        "form": form,
        "page": page,
        "models": models,
        "keys": listing.keys_of(wallet),
        "chosen": chosen,
    }
    return render(request, "logs/logs.html", context, status=200 if page else 400)


@require_safe
def call(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """The receipt of one of the wallet's own calls; anybody else's is not found."""
    response = _receipt(request, call_id) if request.user.is_authenticated else _sign_in(request)
    patch_vary_headers(response, ["Accept", "HX-Request"])
    return response


def _receipt(request: HttpRequest, call_id: UUID) -> HttpResponse:
    own = Call.objects.filter(wallet__owner=cast("User", request.user)).select_related("model", "key")
    found = own.filter(pk=call_id).first()
    if found is None:
        return _not_found(request)
    receipt = receipts.of(found)
    if _wants_json(request):
        return HttpResponse(receipts.as_json(receipt), content_type=JSON)
    context = {
        "receipt": receipt,
        "call": receipt.call,
        "is_sold": catalogue.find(receipt.call.model.name) is not None,
        "undated": UNDATED_FROM,
    }
    return render(request, "logs/call.html#receipt" if _is_fragment(request) else "logs/call.html", context)


def _not_found(request: HttpRequest) -> HttpResponse:
    if _wants_json(request):
        return _refusal(404, "call_not_found", "None of your calls has this id.")
    raise Http404("None of your calls has this id.")


def _sign_in(request: HttpRequest) -> HttpResponse:
    if _wants_json(request):
        return _refusal(401, "not_signed_in", "Sign in to see your calls.")
    if _is_fragment(request):
        return HttpResponseClientRedirect(f"{resolve_url('account_login')}?next={resolve_url('logs')}")
    return redirect_to_login(request.get_full_path())


def _refusal(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", JSON]) == JSON


def _is_fragment(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
