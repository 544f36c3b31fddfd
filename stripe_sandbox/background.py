"""The thread that does what is due and posts webhooks, so that no API request waits for either."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from . import schedule, upkeep, webhooks
from .app import App
from .rendering import render
from .webhooks import Delivery

log = logging.getLogger("stripe_sandbox")

SENDERS = 8
TIMEOUT_S = 10
LONGEST_NAP_S = 1.0
PRUNE_EVERY_S = 600


class Background:
    """What is in flight is known to this process only: after a crash it is due again, and sent twice."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stopping = False
        self._busy: set[int] = set()
        self._pruned_at = 0.0
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Attempts under way are given up after their timeout at the latest."""
        self._stopping = True
        self._app.wake.set()
        self._thread.join()
        self._senders.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping:
            self._app.wake.clear()
            try:
                nap_s = self._turn()
            except Exception:
                log.exception("The background thread failed and goes on")
                nap_s = LONGEST_NAP_S
            if nap_s > 0:
                self._app.wake.wait(nap_s)

    def _turn(self) -> float:
        """Do what is due; returns the seconds until there is more."""
        with self._app.store.transaction():
            ctx = self._app.context()
            schedule.run_due(ctx)
            if time.monotonic() - self._pruned_at > PRUNE_EVERY_S:
                upkeep.prune(ctx)
                self._pruned_at = time.monotonic()
            found = (
                webhooks.due(ctx, SENDERS - len(self._busy), self._busy) if len(self._busy) < SENDERS else []
            )
            next_jobs = [schedule.next_due_at(ctx), webhooks.next_due_at(ctx) if not self._busy else None]
            nap_s = min([LONGEST_NAP_S, *(at - self._app.clock.time() for at in next_jobs if at is not None)])
            self._busy |= {delivery.id for delivery in found}
        for delivery in found:
            self._senders.submit(self._attempt, delivery)
        return max(nap_s, 0.0) if not found else 0.0

    def _attempt(self, delivery: Delivery) -> None:
        try:
            self._post_and_record(delivery)
        except Exception:
            log.exception("A webhook could not be recorded; it will be sent again")
        finally:
            with self._app.store.transaction():
                self._busy.discard(delivery.id)
            self._app.wake.set()

    def _post_and_record(self, delivery: Delivery) -> None:
        with self._app.store.transaction():
            ctx = self._app.context()
            payload = webhooks.payload(render(ctx, ctx.get("event", delivery.event_id)))
        # Signed with the real time, wherever the stand-in's clock is: receivers compare it with theirs.
        signature = webhooks.signature(delivery.secret, payload, int(time.time()))
        status, error = post(delivery.url, payload, signature)
        with self._app.store.transaction():
            webhooks.record(self._app.context(), delivery, status=status, error=error)


def post(url: str, payload: bytes, signature: str) -> tuple[int | None, str | None]:
    """The status, or why there is none. Redirects are not followed, as at Stripe."""
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": "StripeSandbox/1.0",
        "Connection": "close",
    }
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, payload, headers)
        return connection.getresponse().status, None
    except TimeoutError:
        return None, f"no answer within {TIMEOUT_S} s"
    except (OSError, HTTPException, ValueError) as error:
        return None, str(getattr(error, "strerror", None) or error or type(error).__name__)[:200]
    finally:
        connection.close()
