"""The admin panel as a whole: who gets in, how they log in, and its own Content-Security-Policy."""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

from tokens import masking

# Unfold's pages run on Alpine, which compiles its attributes ('unsafe-eval') and sets style attributes. They hold no
# inline script and, with Unfold's colours in a file, no inline style sheet; so neither is allowed.
POLICY: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF],
    "style-src-attr": [CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "form-action": [CSP.SELF],
}
LONGEST_SEARCH = 200


class StaffSite(UnfoldAdminSite):  # type: ignore[misc]  # Unfold publishes no types
    """Logging in, logging out and changing a password are the site's own pages, whose limits then hold for staff too."""

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Any:
        return csp_override(POLICY)(super().admin_view(_without_keys(view), cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Staff go on to where they wanted; others signed in get 403; the rest the site's log-in page."""
        from allauth.account.decorators import secure_admin_login  # needs the apps to be loaded

        response: HttpResponse = secure_admin_login(_go_on)(request)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        logout(request)
        return redirect("home")

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("account_change_password")

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Unfold's search over the names of the lists; it takes neither a bad page number nor a long text itself."""
        query = request.GET.copy()
        query.pop("page", None)
        query["s"] = query.get("s", "")[:LONGEST_SEARCH]
        request.GET = query  # type: ignore[assignment]  # a QueryDict as before, only not frozen
        response: HttpResponse = super().search(request, extra_context)
        return response

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        # Unfold writes its colours into each page as a style sheet; ours are in static/css/staff.css.
        return {**super().each_context(request), "colors": None}


def _without_keys(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view, but for forms that hold a key: nothing of it is kept. A reason is refused beside its own field."""

    @functools.wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        typed = (value for name, values in request.POST.lists() if name != "reason" for value in values)
        if any(map(masking.holds_key, typed)):
            messages.error(request, f"Nothing was changed. {masking.HOLDS_KEY}")
            return HttpResponseRedirect(request.path)
        return view(request, *args, **kwargs)

    return checked


def _go_on(request: HttpRequest) -> HttpResponse:
    wanted = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(iri_to_uri(wanted) if safe else reverse("admin:index"))


class StaffConfig(AdminConfig):
    """Django's admin with this site as the one that `admin.register` fills."""

    default_site = "cometsite.staff_site.StaffSite"
