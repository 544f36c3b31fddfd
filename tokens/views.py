"""The pages of a wallet's keys. A key's text is in one answer only: the one to the form that made it."""

import uuid
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from pricing import catalogue, examples
from pricing.models import Kind
from tokens import keys, spending
from tokens.forms import NameForm
from tokens.models import ApiKey
from wallet.models import Wallet
from wallet.wallets import wallet_of

REVOKED_SHOWN = 100
# In the session: the forms that made a key.
SENT_FORMS = "sent_token_forms"
# Cheap and known to everybody; where it isn't for sale, the first text model is the example.
EXAMPLE_MODEL = "gpt-4o-mini"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The wallet's keys; a POST with `name` makes one and shows it this once."""
    wallet = _wallet(request)
    form = NameForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        if _was_sent_before(request):
            messages.info(request, "That token was made already. A key is shown once; lost it? Make another.")
            return redirect("tokens")
        try:
            return _show_new(request, keys.issue(wallet, form.cleaned_data["name"]))
        except keys.KeyLimitReached as error:
            form.add_error("name", str(error))
    return _list(request, wallet, form, status=422 if form.is_bound else 200)


@login_required
@require_safe
def token(request: HttpRequest, key_id: int) -> HttpResponse:
    """One key: what it did, a form to rename it, and one to revoke it, which says what that means."""
    key = _own(request, key_id)
    return render(request, "tokens/token.html", {"key": key, "form": NameForm(initial={"name": key.name})})


@login_required
@require_POST
def rename(request: HttpRequest, key_id: int) -> HttpResponse:
    key, form = _own(request, key_id), NameForm(request.POST)
    if not form.is_valid():
        return render(request, "tokens/token.html", {"key": key, "form": form}, status=422)
    keys.change(key, form.cleaned_data["name"], keys.rules_of(key))
    messages.success(request, "The name is changed.")
    return redirect("token", key_id=key.pk)


@login_required
@require_POST
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    key = _own(request, key_id)
    keys.revoke(key)
    messages.success(request, f"“{key.name}” is revoked. No call is let in with it any more.")
    return redirect("tokens")


def _was_sent_before(request: HttpRequest) -> bool:
    """Whether this very form made a key already: a reload of the page that shows it sends the form again."""
    form_id = request.POST.get("form_id", "")[:36]
    sent = request.session.get(SENT_FORMS, [])
    if not form_id or form_id in sent:
        return bool(form_id)
    request.session[SENT_FORMS] = [*sent[-19:], form_id]
    return False


def _wallet(request: HttpRequest) -> Wallet:
    return wallet_of(cast("User", request.user))


def _own(request: HttpRequest, key_id: int) -> ApiKey:
    """A key of this person's wallet; anybody else's is not found."""
    key = get_object_or_404(ApiKey, pk=key_id, wallet__owner=cast("User", request.user))
    spending.show([key])
    return key


def _list(request: HttpRequest, wallet: Wallet, form: NameForm, *, status: int) -> HttpResponse:
    own = ApiKey.objects.filter(wallet=wallet)
    active = list(own.filter(revoked_at=None).order_by("-id"))
    revoked = list(own.exclude(revoked_at=None).order_by("-revoked_at", "-id")[: REVOKED_SHOWN + 1])
    spending.show([*active, *revoked])
    context = {
        "is_suspended": wallet.suspended_at is not None,
        "form": form,
        "form_id": uuid.uuid4(),
        "active": active,
        "revoked": revoked[:REVOKED_SHOWN],
        "more_revoked": len(revoked) > REVOKED_SHOWN,
    }
    return render(request, "tokens/tokens.html", context, status=status)


def _show_new(request: HttpRequest, issued: keys.IssuedKey) -> HttpResponse:
    context = {
        "issued": issued,
        "example": _example(issued.text),
        "base_url": settings.GATEWAY_BASE_URL,
    }
    response = render(request, "tokens/new.html", context, status=201)
    response["Cache-Control"] = "private, no-store"
    return response


def _example(text: str) -> str:
    """A call to paste into a terminal, with this key; empty while no text model is for sale."""
    now = timezone.now()
    wanted = catalogue.find(EXAMPLE_MODEL, at=now)
    others = (model for model in catalogue.sellable(at=now) if model.kind == Kind.TEXT)
    model = wanted or next(others, None)
    table = model.price_at(now) if model else None
    if model is None or table is None:
        return ""
    curl = examples.snippets(model, table, base_url=settings.GATEWAY_BASE_URL)[0].code
    return curl.replace("$API_KEY", text)
