"""How long a request waits for the database: a server that is there but does not answer must not hold its client.

PostgreSQL's own limits do not help against a server that stands still, so the client's side of each wait ends. The
connection is given up then, and with it what was not committed; where COMMIT was on its way nobody knows, and the one
who asked sends it again under the same id. Celery's jobs and commands wait as long as it takes.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import psycopg
from django.http import HttpRequest, HttpResponseBase
from psycopg import errors

# Seconds for all of a gateway's request. Its clients wait for it, and hang up after a few.
AUTHORIZE_S, METERING_S = 3.0, 5.0
# Seconds for one statement of a page, which may also have to wait for Stripe.
PAGE_S = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """At most `each_s` seconds for one wait, and none after `until` on the monotonic clock."""

    each_s: float
    until: float

    @property
    def left_s(self) -> float:
        return max(0.0, min(self.each_s, self.until - time.monotonic()))


patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


class PatientConnection(psycopg.Connection[Any]):
    """Waits no longer than the request that it serves has time."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        mine = patience.get()
        if mine is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, mine.left_s)
        # A private name, because psycopg has no public one for what `wait` raises when its time is over.
        except errors._WaitTimeout:
            # What the server may still answer belongs to nobody: this connection is of no more use.
            self.pgconn.finish()
            # Not an error that is worth another try: the request has no time left.
            raise errors.QueryCanceled("the database did not answer in time") from None


class PatientRequests:
    """Middleware: sets the patience of each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = patience.set(_of(request.path))
        try:
            return self.get_response(request)
        finally:
            patience.reset(token)


def _of(path: str) -> Patience:
    now = time.monotonic()
    if path == "/metering/v1/authorize":
        return Patience(AUTHORIZE_S, now + AUTHORIZE_S)
    if path.startswith("/metering/v1/"):
        return Patience(METERING_S, now + METERING_S)
    return Patience(PAGE_S, float("inf"))
