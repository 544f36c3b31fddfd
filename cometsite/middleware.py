"""What holds for every answer: pages about a person are never cached, and hostile input gets a 400, not a crash."""

import re
from collections.abc import Callable
from typing import ClassVar

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import resolve
from django.utils.cache import patch_vary_headers

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
            return render(request, "400.html", status=400)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, RequestDataTooBig):
            return render(request, "400.html", status=413)
        return None
