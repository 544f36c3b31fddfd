"""The whole stand-in without its socket: a request goes in, one transaction is made, an answer comes out."""

import logging
import threading
from dataclasses import replace
from pathlib import Path

from . import (
    API_VERSION,
    api,
    control,
    dashboard,
    endpoints,
    faults,
    ids,
    pages,
    schedule,
    trouble_page,
    upgrade,
)
from .clock import Clock
from .context import Context, Settings
from .errors import ApiError
from .http import Answer, Request
from .idempotency import Keys
from .store import Store

log = logging.getLogger("stripe_sandbox")


class App:
    """Owns the state; safe to call from many threads."""

    def __init__(self, settings: Settings, data: Path) -> None:
        self.settings = settings
        self.store = Store(data / "stripe_sandbox.sqlite3")
        self.clock = Clock(self.store)
        self.wake = threading.Event()
        self._keys = Keys()
        with self.store.transaction():
            upgrade.run(self.context())
        if settings.webhook_url:
            with self.store.transaction():
                endpoints.configure(self.context(), settings.webhook_url, settings.webhook_secret)

    def context(self, request_id: str | None = None, idempotency_key: str | None = None) -> Context:
        """Call inside a transaction: the time is read from the database."""
        now = int(self.clock.time())
        return Context(self.store, self.settings, self.clock, now, self.wake, request_id, idempotency_key)

    def handle(self, request: Request) -> Answer:
        """The answer to any request; a fault of the stand-in's own is a 500 in Stripe's form."""
        if request.path == "/healthz":
            return Answer(200, "ok\n", {"Content-Type": "text/plain; charset=utf-8"})
        try:
            if request.path.startswith("/v1/"):
                return self._api(request)
            if request.path.startswith("/_sandbox/"):
                return self._control(request)
            return self._page(request)
        except ApiError as error:
            return Answer(error.status, error.body())
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            failure = ApiError(500, "api_error", "The Stripe sandbox failed; its log says why.")
            return Answer(500, failure.body())

    def _api(self, request: Request) -> Answer:
        request_id = ids.new_id("request")
        try:
            answer = self._perform(request, request_id)
        except ApiError as error:
            retry = {"Stripe-Should-Retry": "true"} if error.status == 409 else {}
            answer = Answer(error.status, error.body(), retry)
        head = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
        return replace(answer, headers={**head, **answer.headers})

    def _perform(self, request: Request, request_id: str) -> Answer:
        api.authorize(request, self.settings.secret_key)
        call = api.resolve(request)
        with self._keys.held(call.key), self.store.transaction():
            schedule.run_due(self.context())
            ctx = self.context(request_id, call.key)
            switch = faults.draw(ctx, request)
            if answer := faults.instead(switch):
                return answer
            try:
                answer = api.perform(ctx, call)
            except ApiError as error:
                # Answered inside the transaction, so that what is kept of a refusal is committed.
                headers = {"Idempotency-Key": call.key} if call.key else {}
                answer = Answer(error.status, error.body(), headers)
            return faults.afterwards(ctx, switch, answer, call.key)

    def _control(self, request: Request) -> Answer:
        api.authorize(request, self.settings.secret_key)
        with self.store.transaction():
            ctx = self.context()
            schedule.run_due(ctx)
            return Answer(200, control.perform(ctx, request))

    def _page(self, request: Request) -> Answer:
        if request.method == "POST" and request.headers.get("sec-fetch-site") == "cross-site":
            raise ApiError(403, "invalid_request_error", "A form of another site cannot act here.")
        with self.store.transaction():
            ctx = self.context()
            schedule.run_due(ctx)
            return (
                dashboard.answer(ctx, request)
                or trouble_page.answer(ctx, request)
                or pages.answer(ctx, request)
            )
