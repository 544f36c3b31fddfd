"""How the site says no before a view could: to people with a page, to programs in the form of the API that they ask."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from pricing.browsers import open_to_browsers
from tokens.bearing import ErrorForm, openai_error, plain_error


def _finders_form(status: int, code: str, message: str) -> dict[str, Any]:
    return {"message": message}


# By the beginning of the address, the first that fits, and whether pages of other sites may read it. `/api/` itself is a
# page; what is below it and not named here is the account API.
FORMS: tuple[tuple[str, ErrorForm, bool], ...] = (
    ("/v1/", openai_error, True),
    ("/dashboard/", openai_error, True),
    ("/api/v1/", openai_error, True),
    ("/api/usage/", plain_error, True),
    ("/api/model", plain_error, True),
    ("/api/pricing", plain_error, True),
    ("/api/", plain_error, False),
    ("/user/", plain_error, True),
    ("/tokens/leaks", _finders_form, False),
)


def refusal(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse | None:
    """The answer to a program; None where people ask."""
    found = next((each for each in FORMS if request.path.startswith(each[0])), None)
    if found is None or request.path == "/api/":
        return None
    _, form, from_browsers = found
    answer = JsonResponse(form(status, code, message), status=status)
    return open_to_browsers(request, answer) if from_browsers else answer


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 for an address where nothing is. Clients that call models here are told where those are called."""
    message = "There is nothing at this address."
    if request.path.startswith("/v1/"):
        message += f" Models are not called on this site: calls go to {settings.GATEWAY_BASE_URL}."
    return refusal(request, 404, "not_found", message) or render(request, "404.html", status=404)


def bad_address(request: HttpRequest, message: str) -> HttpResponse:
    """400 for what no address may have."""
    return refusal(request, 400, "invalid_address", message) or render(request, "400.html", status=400)
