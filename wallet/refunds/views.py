"""The pages of refunds: the form's address, how one stands, and canceling what still waits."""

import uuid
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from wallet import ledger, refunds
from wallet.models import Refund
from wallet.refunds import asking as refund_asking
from wallet.refunds import forms as refund_forms
from wallet.refunds import requests as refund_requests
from wallet.refunds.forms import RefundForm
from wallet.views import SeeOther, wallet_page
from wallet.wallets import wallet_of


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def refund_create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        # Where a login in between, or a reload after an error, leads.
        return redirect("wallet")
    form = RefundForm(request.POST, auto_id="refund_%s")
    if not form.is_valid():
        return _refused(request, form)
    own = wallet_of(cast("User", request.user))
    try:
        request_id = refunds.start(own, form.cleaned_data["amount"], form.cleaned_data["form_id"])
    except refunds.TooMuch as error:
        form.add_error("amount", refund_forms.too_much(error.refundable))
        return _refused(request, form)
    except refunds.TooManyRefunds:
        form.add_error(
            None, "That were many refunds within an hour. Nothing was taken; wait a while, then try again."
        )
        return _refused(request, form, status=429)
    except refunds.OtherAmount as error:
        # With an id of its own the form can be sent again, by somebody who has read this.
        again = RefundForm({**request.POST.dict(), "form_id": str(uuid.uuid4())}, auto_id="refund_%s")
        again.is_valid()
        again.add_error("amount", refund_forms.other_amount(error.cents))
        return _refused(request, again, status=409)
    refund_asking.settle_request(request_id)
    return SeeOther(refund_requests.path(request_id))


@login_required
@require_safe
def refund(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    own = wallet_of(cast("User", request.user))
    if not Refund.objects.filter(wallet=own, request_id=request_id).exists():
        raise Http404
    is_away = not refund_asking.settle_request(request_id)
    asked = refund_requests.find(request_id, own)
    assert asked is not None
    is_poll = bool(request.headers.get("HX-Request"))
    context = {
        "asked": asked,
        "is_away": is_away,
        "is_suspended": own.suspended_at is not None,
        "balances": ledger.balances(own),
    }
    response = render(request, f"wallet/refund.html{'#status' if is_poll else ''}", context)
    if is_poll and asked.is_settled:
        # Nothing more to ask for; the whole page shows how it ended.
        response.status_code = 286
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def refund_cancel(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    own = wallet_of(cast("User", request.user))
    if not Refund.objects.filter(wallet=own, request_id=request_id).exists():
        raise Http404
    refunds.cancel(own, request_id)
    return SeeOther(refund_requests.path(request_id))


def _refused(request: HttpRequest, form: RefundForm, *, status: int = 422) -> HttpResponse:
    """The wallet, scrolled to the form that was sent."""
    form.fields["amount"].widget.attrs["autofocus"] = True
    return wallet_page(request, refund_form=form, status=status)
