"""The receipt of a call: as a page, as the inside of a row, as data; and its check."""

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from logs import archive, receipts
from logs.models import Call
from logs.receipts import CallReceipt
from logs.views import is_fragment, to_sign_in
from pricing import catalogue
from pricing.listings import UNDATED_FROM
from wallet.wallets import wallet_of

JSON = "application/json"
NOT_FOUND = "None of your calls has this id."


@require_safe
def call(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """The receipt of one of the wallet's own calls; anybody else's is not found."""
    response = _receipt(request, call_id) if request.user.is_authenticated else _sign_in(request)
    patch_vary_headers(response, ["Accept", "HX-Request"])
    return response


@require_safe
def call_json(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """The receipt as data, for those who can't ask for it by a header."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    found = _own(request, call_id)
    if found is None:
        return _refusal(404, "call_not_found", NOT_FOUND)
    return HttpResponse(receipts.as_json(receipts.of(found)), content_type=JSON)


@require_POST
@login_required
def check(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """Computes the charge again, and says both numbers. Safe to repeat; staff are told of a difference."""
    found = _own(request, call_id)
    if found is None:
        raise Http404(NOT_FOUND)
    context = {**_context(receipts.check(found)), "is_checked": True}
    return render(request, "logs/call.html#check" if is_fragment(request) else "logs/call.html", context)


def _receipt(request: HttpRequest, call_id: UUID) -> HttpResponse:
    found = _own(request, call_id)
    if found is None:
        return _not_found(request)
    receipt = receipts.of(found)
    if _wants_json(request):
        return HttpResponse(receipts.as_json(receipt), content_type=JSON)
    template = "logs/call.html#receipt" if is_fragment(request) else "logs/call.html"
    return render(request, template, _context(receipt))


def _own(request: HttpRequest, call_id: UUID) -> Call | None:
    """The call of this id where it is one of theirs who ask, archived or not. Raises archive.Unreadable."""
    own = Call.objects.filter(wallet__owner=cast("User", request.user)).select_related("model", "key")
    # In this order: a month counts by its file before it leaves the table.
    return own.filter(pk=call_id).first() or archive.find(wallet_of(cast("User", request.user)).pk, call_id)


def _context(receipt: CallReceipt) -> dict[str, object]:
    return {
        "receipt": receipt,
        "call": receipt.call,
        "is_sold": catalogue.find(receipt.call.model.name) is not None,
        "undated": UNDATED_FROM,
        "as_json": receipts.as_json(receipt),
    }


def _not_found(request: HttpRequest) -> HttpResponse:
    if _wants_json(request):
        return _refusal(404, "call_not_found", NOT_FOUND)
    raise Http404(NOT_FOUND)


def _sign_in(request: HttpRequest) -> HttpResponse:
    if _wants_json(request):
        return _refusal(401, "not_signed_in", "Sign in to see your calls.")
    return to_sign_in() if is_fragment(request) else redirect_to_login(request.get_full_path())


def _refusal(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", JSON]) == JSON
