"""The metering API: gateways ask before a call (authorize) and report after it (calls). JSON in, JSON out.

Every answer that isn't a success is `{"error": {"code", "message"}}`; no answer ever contains a key.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from logs import authorizing
from logs.authorizing import Question, Refused
from logs.recording import record
from logs.reports import LONGEST_MODEL, UUID_FORM, BadCall, MalformedBody, is_storable, parse, read_ip
from pricing.units import BOUNDS, Family
from tokens import masking
from tokens.gateways import is_gateway_key
from wallet import holds

logger = logging.getLogger(__name__)

LARGEST_BODY = 2 * 1024 * 1024
MOST_CALLS = 1000
LONGEST_KEY = 4096
RETRY_AFTER_S = 2

type Endpoint = Callable[[dict[str, Any]], HttpResponse]


def failure(status: int, code: str, message: str, retry_after_s: int | None = None) -> JsonResponse:
    response = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    if retry_after_s or status in {429, 503}:
        response["Retry-After"] = str(retry_after_s or RETRY_AFTER_S)
    return response


def endpoint(view: Endpoint) -> Callable[[HttpRequest], HttpResponseBase]:
    """Gateway key, method, size and JSON are checked here; the view gets the object in the body."""

    @csrf_exempt
    @functools.wraps(view)
    def checked(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST":
            response = failure(405, "method_not_allowed", "Use POST.")
            response["Allow"] = "POST"
            return response
        try:
            if not is_gateway_key(_bearer(request)):
                return failure(
                    401, "invalid_gateway_key", "Authorization must carry a gateway key as Bearer."
                )
            body = _body(request)
            if len(body) > LARGEST_BODY:
                return failure(413, "body_too_large", f"A body may have at most {LARGEST_BODY} bytes.")
            return view(parse(body))
        except MalformedBody as error:
            return failure(400, "malformed_body", str(error))
        except UnreadablePostError:
            return failure(400, "malformed_body", "The body broke off.")
        except BadCall as error:
            return failure(400, error.code, str(error))
        except Refused as refusal:
            return failure(refusal.status, refusal.code, str(refusal), refusal.retry_after_s)
        except (OperationalError, InterfaceError):
            return failure(
                503, "unavailable", "The database does not answer. Send this again; nothing is done twice."
            )
        except Exception:
            logger.exception("The metering API failed on %s", view.__name__)
            return failure(
                500, "internal_error", "This is our mistake. Send it again; nothing is done twice."
            )

    return checked


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:
    return failure(404, "not_found", "There is no such address. See /api/.")


@endpoint
def authorize(body: dict[str, Any]) -> HttpResponse:
    return JsonResponse(authorizing.authorize(_question(body)).as_json())


@endpoint
def calls(body: dict[str, Any]) -> HttpResponse:
    batch = body.get("calls")
    if type(batch) is not list or not 1 <= len(batch) <= MOST_CALLS:
        raise MalformedBody(f"calls must be a list of 1 to {MOST_CALLS} calls.")
    results = record(batch)
    counted = [result.result for result in results]
    return JsonResponse(
        {
            "accepted": counted.count("accepted"),
            "duplicates": counted.count("duplicate"),
            "results": [result.as_json() for result in results],
        }
    )


@endpoint
def release(body: dict[str, Any]) -> HttpResponse:
    call_id = body.get("call_id")
    if type(call_id) is not str or not UUID_FORM.fullmatch(call_id):
        raise BadCall("invalid_field", "call_id must be a UUID of version 7.")
    holds.release(UUID(call_id))
    return HttpResponse(status=204)


def _bearer(request: HttpRequest) -> str:
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _body(request: HttpRequest) -> bytes:
    """The body, read no further than one byte past the limit; also where it comes in chunks without a length."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise MalformedBody("Content-Length is no number.")
    if int(length) > LARGEST_BODY:
        return bytes(LARGEST_BODY + 1)
    if (
        "CONTENT_LENGTH" not in request.META
        and request.META.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    ):
        return bytes(request.META["wsgi.input"].read(LARGEST_BODY + 1))
    return request.read(LARGEST_BODY + 1)


def _question(body: dict[str, Any]) -> Question:
    return Question(
        key=_text(body, "key", LONGEST_KEY),
        # A key that stands in the wrong place goes into no statement, which the database may log.
        model=masking.masked(_text(body, "model", LONGEST_MODEL)),
        client_ip=read_ip(body.get("client_ip")),
        input_tokens=_tokens(body, "input_tokens"),
        max_output_tokens=_tokens(body, "max_output_tokens"),
    )


def _text(body: dict[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if type(value) is not str or not is_storable(value):
        raise BadCall("invalid_field", f"{name} must be text.")
    if len(value) > longest:
        raise BadCall("invalid_field", f"{name} may have at most {longest} characters.")
    return value


def _tokens(body: dict[str, Any], name: str) -> int | None:
    value, largest = body.get(name), BOUNDS[Family.TOKENS]
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= largest:
        raise BadCall("invalid_field", f"{name} must be an integer from 0 to {largest}.")
    return value
