"""What holds for every answer: pages about a person are never cached, and hostile input gets a 400, not a crash."""

import re
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import parse_qsl, unquote_plus, urlencode

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import resolve
from django.utils.cache import patch_vary_headers
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes

from cometsite.refusing import bad_address, not_found, refusal
from tokens import masking

Handler = Callable[[HttpRequest], HttpResponse]
# NUL cannot be stored by PostgreSQL, and has no business in an address or a query.
NUL = re.compile(r"%00|\x00")


class Programs:
    """Requests of gateways and of Stripe go straight to their view: a program has no session, form or language.

    What it passes by costs as much as letting a call in, or storing an event.
    """

    URLS: ClassVar[dict[str, str]] = {
        "/metering/v1/": "logs.metering_urls",
        "/wallet/stripe/": "wallet.stripe_urls",
    }

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        prefix = next((each for each in self.URLS if request.path_info.startswith(each)), None)
        if prefix is None:
            return self.get_response(request)
        request.get_host()  # Raises for a host that is not ours.
        match = resolve(request.path_info.removeprefix(prefix[:-1]), self.URLS[prefix])
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        response["Content-Length"] = str(len(response.content))
        response["Cache-Control"] = "private, no-store"
        response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return response


class PrivatePages:
    """Answers to somebody signed in, and to any form, stay out of caches."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        patch_vary_headers(response, ["Cookie", "Authorization"])
        return response


class HostileInput:
    """NUL bytes in an address and bodies that are too large or no UTF-8 are refused before a view sees them."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or NUL.search(request.META.get("QUERY_STRING", "")):
            return bad_address(request, "An address may hold no NUL.")
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, RequestDataTooBig):
            return render(request, "400.html", status=413)
        return None


class KeysOutOfSight:
    """A full key that comes in an address or a form goes no further: into no answer, no link, no way to log in.

    A page's address is given back without it, cut down to what can be searched by; a program is told. Only addresses that
    take a key as their query, for clients that know no other way, may have one.
    """

    TAKES_A_KEY: ClassVar[set[str]] = {"/user/quota", "/user/quota/", "/api/token/search"}

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if masking.holds_key(request.path):
            return not_found(request)
        query = request.META.get("QUERY_STRING", "")
        if masking.holds_key(unquote_plus(query)) and request.path not in self.TAKES_A_KEY:
            refused = refusal(request, 400, "invalid_address", "A full key has no place in this address.")
            if refused or request.method not in {"GET", "HEAD"}:
                return refused or render(request, "400.html", status=400)
            pairs = parse_qsl(query, keep_blank_values=True)
            shortened = [(masking.shortened(name), masking.shortened(value)) for name, value in pairs]
            # Two slashes at its start would name another host.
            path = escape_leading_slashes(escape_uri_path(request.path))
            return redirect(f"{path}?{urlencode(shortened)}")
        return _unrepeated(request, self.get_response(request))


def _unrepeated(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer without the keys that its form brought, cut short or not; a form that nobody read is not read for this."""
    if "_post" not in vars(request) or response.streaming:
        return response
    sent = [value for name in request.POST for value in (name, *request.POST.getlist(name))]
    texts = {found[0] for value in sent for found in masking.KEY.finditer(value)}
    if not texts:
        return response

    def hidden(found: re.Match[str]) -> str:
        return f"{found[1]}…" if any(text.startswith(found[0]) for text in texts) else found[0]

    response.content = masking.KEY.sub(hidden, response.text)
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))
    if response.has_header("Location"):
        response["Location"] = masking.shortened(response["Location"])
    return response
