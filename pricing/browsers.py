"""What pages of other sites may read: answers that need no cookie. None is let through, so a key has to be given."""

import functools
import re
from collections.abc import Callable
from typing import Concatenate

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

# A preflight is asked again after a day.
PREFLIGHT_S = "86400"
USUAL_HEADERS = "Authorization, Content-Type"
# Names of headers and nothing else.
ASKED_HEADERS = re.compile(r"[\w!#$%&'*+.^`|~, -]{1,2000}", re.ASCII)


def open_to_browsers[R: HttpResponseBase](request: HttpRequest, response: R) -> R:
    """Lets programs on any site read this. They may send what headers they like: clients' libraries add their own, and we
    heed none of those."""
    asked = request.headers.get("Access-Control-Request-Headers", "") if is_preflight(request) else ""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "GET, OPTIONS"
    response["Access-Control-Allow-Headers"] = asked if ASKED_HEADERS.fullmatch(asked) else USUAL_HEADERS
    response["Access-Control-Expose-Headers"] = "ETag, Retry-After"
    response["Access-Control-Max-Age"] = PREFLIGHT_S
    return response


def is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS"


def preflight(request: HttpRequest) -> HttpResponse:
    """The answer to the question before the question: 204, with what may be sent."""
    return open_to_browsers(request, HttpResponse(status=204))


def for_any_site[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Decorator: a public view that is only read, also by pages of other sites."""
    safe = require_safe(view)

    @csrf_exempt
    @functools.wraps(view)
    def opened(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if is_preflight(request):
            return preflight(request)
        return open_to_browsers(request, safe(request, *args, **kwargs))

    return opened
