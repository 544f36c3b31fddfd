"""How the site says no before a view could: to people with a page, to programs in the form of the API that they ask."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from tokens.bearing import ErrorForm, open_to_browsers, openai_error, plain_error


def _finders_form(status: int, code: str, message: str) -> dict[str, Any]:
    return {"message": message}


# By the beginning of the address; the first that fits. `/api/` itself is a page.
FORMS: tuple[tuple[str, ErrorForm], ...] = (
    ("/v1/", openai_error),
    ("/dashboard/", openai_error),
    ("/api/v1/", openai_error),
    ("/api/", plain_error),
    ("/user/", plain_error),
    ("/tokens/leaks", _finders_form),
)


def refusal(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse | None:
    """The answer to a program; None where people ask."""
    form = next((form for prefix, form in FORMS if request.path.startswith(prefix)), None)
    if form is None or request.path == "/api/":
        return None
    answer = JsonResponse(form(status, code, message), status=status)
    if form is not _finders_form:
        open_to_browsers(answer)
    return answer


def bad_address(request: HttpRequest, message: str) -> HttpResponse:
    """400 for what no address may have."""
    return refusal(request, 400, "invalid_address", message) or render(request, "400.html", status=400)
