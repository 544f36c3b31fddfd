"""The pages of an account that allauth does not have."""

from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts import closing
from accounts.audit import Refused
from accounts.forms import CloseForm
from accounts.models import User


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth publishes no types
def close(request: HttpRequest) -> HttpResponse:
    """What closing means, what is left and what stands in the way; a POST closes. Asks for the password before."""
    person = cast("User", request.user)
    form = CloseForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            closing.close_own(person)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            logout(request)
            messages.success(request, "Your account is closed. Thank you for having been here.")
            return redirect("home")
    context = {"form": form, "standing": closing.standing(person)}
    return render(request, "account/close.html", context, status=422 if form.is_bound else 200)
