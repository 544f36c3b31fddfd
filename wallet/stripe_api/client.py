"""How Stripe is asked: one client, errors of ours, and a wait for calls of the same idempotency key."""

import functools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import stripe
from django.conf import settings
from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

stripe.enable_telemetry = False

# How long a call waits for another one with its idempotency key; one that Stripe answers at all is over by then.
TURN_S = 6.0
# The status of an idempotency key in use; the library leaves the code out of this error.
CONFLICT = 409
SERVER_ERROR = 500
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
def asking(impatient: bool = False) -> "Iterator[stripe.StripeClient]":
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("Stripe is never called inside a database transaction")
    client = _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, impatient)
    try:
        yield client
    except _AWAY as error:
        raise _away(error)(_words(error)) from error
    except stripe.StripeError as error:
        raise StripeRefused(_words(error), error.code or "") from error


def _away(error: stripe.StripeError) -> type[StripeUnavailable]:
    if error.http_status == CONFLICT:
        return StripeBusy
    return StripeFailed if (error.http_status or 0) >= SERVER_ERROR else StripeUnavailable


@functools.lru_cache(maxsize=4)
def _client(key: str, base: str, impatient: bool) -> stripe.StripeClient:
    timeout = (2, 4) if impatient else (3, 6)
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        max_network_retries=0 if impatient else 1,
        http_client=stripe.RequestsClient(timeout=timeout),
    )


def _words(error: stripe.StripeError) -> str:
    return (error.user_message or str(error))[:500]


def optional(found: Any, name: str) -> Any:
    return getattr(found, name, None)
