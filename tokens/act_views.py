"""What people do to a key: each a form, which may be sent twice and then changes nothing more."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.views.decorators.http import require_POST

from tokens import keys
from tokens.models import ApiKey
from tokens.views import own, show_new
from wallet.views import SeeOther

OVERLAPS = {
    "0": timedelta(0),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}


def _act(do: Callable[[ApiKey], object], told: str) -> Callable[[HttpRequest, int], HttpResponse]:
    @login_required
    @require_POST
    def act(request: HttpRequest, key_id: int) -> HttpResponse:
        key = own(request, key_id)
        do(key)
        if key.is_revoked:
            messages.info(request, f"“{key.name}” is revoked, and stays so.")
        else:
            messages.success(request, told.format(name=key.name))
        return SeeOther(resolve_url("token", key_id))

    return act


disable = _act(keys.disable, "“{name}” is disabled. No call is let in with it until you enable it.")
enable = _act(keys.enable, "“{name}” is enabled.")
end_overlap = _act(keys.end_overlap, "The old text of “{name}” is refused from now on.")
revoke = _act(keys.revoke, "“{name}” is revoked. No call is let in with it any more.")


@login_required
@require_POST
def rotate(request: HttpRequest, key_id: int) -> HttpResponse:
    """Shows the new text this once. A form that is sent again, or was opened before another was sent, rotates nothing."""
    key = own(request, key_id)
    overlap = OVERLAPS.get(request.POST.get("overlap", "0"))
    back = SeeOther(resolve_url("token", key_id))
    if overlap is None:
        messages.error(request, "Choose how long the old text stays good.")
        return back
    try:
        issued = keys.rotate(key, overlap, seen=request.POST.get("seen", ""))
    except keys.KeyRevoked:
        messages.error(request, f"“{key.name}” is revoked, so it gets no new text.")
    except keys.KeyChanged:
        messages.error(
            request,
            "The key was rotated since that form was opened. The new text is shown once; lost it? Rotate again.",
        )
    else:
        return show_new(request, issued, status=200)
    return back
