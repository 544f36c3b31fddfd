"""The pages that belong to no app: the front page, help, and the description of the API."""

import sys

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from cometsite import openapi as openapi_document
from cometsite.openapi import reading
from cometsite.refusing import refusal
from logs.archive import Unreadable
from pricing.browsers import for_any_site
from pricing.money import NANO_PER_USD, usd

# Of Anthropic's models the newest of little cost. Older ones stop being served there, so look here now and then.
CLAUDE_MODEL = "claude-haiku-5-5"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("wallet")
    return render(request, "home.html", _facts())


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, "help/index.html", _facts())


@for_any_site
def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(openapi_document.document(settings.SITE_URL))


@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    document = openapi_document.document(settings.SITE_URL)
    about = reading.prose(document["info"]["description"])
    return render(request, "api/reference.html", {"about": about, "groups": reading.groups(document)})


def server_error(request: HttpRequest) -> HttpResponse:
    """The answer to what nobody foresaw; 503 where a server or a file that we need is away, since it comes back."""
    error = sys.exc_info()[1]
    is_archive = isinstance(error, Unreadable)
    is_outage = is_archive or isinstance(error, (OperationalError, InterfaceError, RedisError))
    status, code = (503, "unavailable") if is_outage else (500, "internal_error")
    message = "The database does not answer. Ask again." if is_outage else "This is our mistake."
    if is_archive:
        message = "Calls of an archived month can't be read. Ask for a later time, or again."
    context = {"is_outage": is_outage, "is_archive": is_archive}
    response = refusal(request, status, code, message) or HttpResponse(
        render_to_string("500.html", context), status=status
    )
    if is_outage:
        response["Retry-After"] = "5"
    return response


def _facts() -> dict[str, object]:
    return {
        "site_url": settings.SITE_URL,
        "gateway_base_url": settings.GATEWAY_BASE_URL,
        "claude_model": CLAUDE_MODEL,
        "starter_credit": usd(settings.STARTER_CREDIT_NANOUSD),
        "min_top_up": usd(settings.TOP_UP_MINIMUM_CENTS * NANO_PER_USD // 100),
    }
