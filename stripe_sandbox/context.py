"""What a piece of work knows about where it comes from: the state, the time, and the request behind it."""

import threading
from dataclasses import dataclass
from typing import Any

from .clock import Clock
from .store import Json, Record, Store


@dataclass(frozen=True)
class Settings:
    """How the process was started."""

    secret_key: str
    webhook_secret: str
    webhook_url: str | None
    base_url: str
    bank_delay_s: float


@dataclass
class Context:
    """One request, one shopper's click or one due job. `now` is in seconds since 1970.

    `request_id` and `idempotency_key` are those of an API call; what the shopper or the time caused has
    neither, as at Stripe.
    """

    store: Store
    settings: Settings
    clock: Clock
    now: int
    # Set when there is something for the background thread: a delivery, a job that is due soon.
    wake: threading.Event
    request_id: str | None = None
    idempotency_key: str | None = None

    def create(self, kind: str, key: str, fields: Json, private: Json | None = None) -> Record:
        """Store a new object with the fields that Stripe's objects have in common."""
        head: Json = {"id": key, "object": kind, "created": self.now}
        if kind not in ("balance_transaction", "refund"):
            head["livemode"] = False
        return self.store.insert(head | fields, private)

    def get(self, kind: str, key: Any, *, param: str | None = None) -> Record:
        return self.store.get(kind, str(key), param=param)
