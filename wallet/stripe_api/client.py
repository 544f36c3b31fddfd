"""How Stripe is asked: one client, errors of ours, and a wait for calls of the same idempotency key."""

import datetime
import functools
import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import stripe
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

stripe.enable_telemetry = False

# Stripe forgets idempotency keys after a day at the earliest; past this age the same call could have a second effect.
KEY_LIFE = datetime.timedelta(hours=20)
# How long Stripe's pages stay open. It takes 30 minutes to 24 hours; short, so that a forgotten page closes soon.
PAGE_LIFE = datetime.timedelta(hours=1)
# How long a person waits for all that Stripe is asked for one page.
HURRY_S = 6.0
# Connection and answer, in seconds, of one question: while a person waits at most, and otherwise.
HURRIED, PATIENT = (2, 4), (3, 6)
# How long a call waits for another one with its idempotency key; one that Stripe answers at all is over by then.
TURN_S = 6.0
# The status of an idempotency key in use; the library leaves the code out of this error.
CONFLICT = 409
SERVER_ERROR = 500
NOT_FOUND = 404
MISSING = "resource_missing"
# Unlike a refusal, these say nothing about the request itself; the same one may succeed later.
_AWAY = (
    stripe.APIConnectionError,
    stripe.APIError,
    stripe.AuthenticationError,
    stripe.PermissionError,
    stripe.RateLimitError,
)


class StripeUnavailable(Exception):
    """Stripe did not answer, failed, or did not accept our key. Nobody knows whether the call had an effect."""


class StripeBusy(StripeUnavailable):
    """Stripe is at work on another call with the same idempotency key; its answer will be ours too."""


class StripeFailed(StripeUnavailable):
    """Stripe answered with an error of its own, and will answer so again under the same idempotency key."""


class StripeRefused(Exception):
    """Stripe understood the call and will not do it. `code` is Stripe's, such as `resource_missing`."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class CustomerGone(StripeRefused):
    """The customer that the call names is deleted at Stripe, or was never there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, MISSING)


_over_at: ContextVar[float] = ContextVar("_over_at", default=math.inf)


@contextmanager
def in_a_hurry(seconds: float = HURRY_S) -> "Iterator[None]":
    """A person waits: whatever Stripe is asked inside has so long in all, and nothing is asked twice by itself.

    What it does not answer in that time raises StripeUnavailable. A hurry inside of another is never the longer one.
    """
    token = _over_at.set(min(_over_at.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _over_at.reset(token)


def in_turn[**P, T](ask: "Callable[P, T]") -> "Callable[P, T]":
    """Wait for a call of the same idempotency key, up to TURN_S: a form sent twice is one wish, not an error."""

    @functools.wraps(ask)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        over = time.monotonic() + TURN_S
        while True:
            try:
                return ask(*args, **kwargs)
            except StripeBusy:
                if time.monotonic() > over:
                    raise
                time.sleep(0.1)

    return asked


@contextmanager
def asking() -> "Iterator[stripe.StripeClient]":
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("Stripe is never called inside a database transaction")
    client = _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, *_patience())
    try:
        yield client
    except _AWAY as error:
        if isinstance(error.__cause__, SoftTimeLimitExceeded):
            # The library takes the end of our own time for a fault of the network.
            raise error.__cause__ from None
        raise _away(error)(_words(error)) from error
    except stripe.InvalidRequestError as error:
        if error.code == MISSING and error.param == "customer":
            raise CustomerGone(_words(error)) from error
        raise StripeRefused(_words(error), error.code or "") from error
    except stripe.StripeError as error:
        raise StripeRefused(_words(error), error.code or "") from error


@contextmanager
def asking_customer() -> "Iterator[stripe.StripeClient]":
    """The same for a call whose address, not a parameter, names the customer."""
    with asking() as client:
        try:
            yield client
        except stripe.InvalidRequestError as error:
            if error.code == MISSING and error.http_status == NOT_FOUND:
                raise CustomerGone(_words(error)) from error
            raise


def _away(error: stripe.StripeError) -> type[StripeUnavailable]:
    if error.http_status == CONFLICT:
        return StripeBusy
    return StripeFailed if (error.http_status or 0) >= SERVER_ERROR else StripeUnavailable


def _patience() -> tuple[int, int, int]:
    """Seconds for the connection and for the answer, and how often the library tries again."""
    left_s = _over_at.get() - time.monotonic()
    if left_s == math.inf:
        return *PATIENT, 1
    if left_s < 1:
        raise StripeUnavailable("It did not answer in the time that a person waits.")
    # Whole seconds, so that few clients, each with connections of its own, serve all hurries.
    connect_s, answer_s = HURRIED
    return min(connect_s, int(left_s)), min(answer_s, int(left_s)), 0


@functools.lru_cache(maxsize=16)
def _client(key: str, base: str, connect_s: int, answer_s: int, tries_again: int) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        max_network_retries=tries_again,
        http_client=stripe.RequestsClient(timeout=(connect_s, answer_s)),
    )


def _words(error: stripe.StripeError) -> str:
    return (error.user_message or str(error))[:500]


def optional(found: Any, name: str) -> Any:
    return getattr(found, name, None)
