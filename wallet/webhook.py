"""The door for Stripe's events: verify, store, answer. The work comes later.

2xx means stored, so anything else makes Stripe send it again. Who has no signature that could be good is turned away
before a byte of the body is read, so that a flood costs neither memory nor a look at the database.
"""

import functools
import logging

from django.conf import settings
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from wallet import events, stripe_api, tasks
from wallet.stripe_api import NotStripe

logger = logging.getLogger(__name__)

LARGEST_EVENT = 1024 * 1024


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    if not settings.STRIPE_WEBHOOK_SECRET.strip():
        return _answer("No webhook secret is set.", 503)
    try:
        signature = stripe_api.signature_of(request.headers.get("Stripe-Signature"))
        body = _body(request)
        if body is None:
            return _answer("The body is too large.", 413)
        event = stripe_api.read_event(body, signature)
        is_new = events.store(event)
    except (NotStripe, UnreadablePostError) as error:
        return _answer(str(error), 400)
    except DatabaseError:
        logger.exception("A Stripe event could not be stored; Stripe will send it again.")
        return _answer("The event could not be stored.", 503)
    if is_new:
        transaction.on_commit(functools.partial(tasks.hint, event["id"]))
    return _answer("Stored.", 200)


def _body(request: HttpRequest) -> bytes | None:
    """The raw body, or None where it is larger than an event can be; never more than that is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > LARGEST_EVENT:
        return None
    # Django reads no body that does not say its length.
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    source = request.META["wsgi.input"] if is_chunked else request
    body = source.read(LARGEST_EVENT + 1)
    return None if len(body) > LARGEST_EVENT else body


def _answer(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
