"""Idempotency keys: the stored answer of a key is given again, and a key is used by one request at a time."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .context import Context
from .errors import ApiError
from .http import Answer

LONGEST = 255
KEPT_S = 24 * 3_600


class Keys:
    """The keys of requests under way. Taken before the store's lock, or no two would ever meet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: set[str] = set()

    @contextmanager
    def held(self, key: str | None) -> Iterator[None]:
        """ApiError 409 while another request holds the key."""
        if key is None:
            yield
            return
        if not 0 < len(key) <= LONGEST or not key.isprintable():
            raise _misuse(400, f"Idempotency-Key must be 1 to {LONGEST} printable characters.")
        with self._lock:
            if key in self._busy:
                message = "There is currently another in-progress request using this Idempotent Key."
                raise _misuse(409, message, code="idempotency_key_in_use")
            self._busy.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(key)


def fingerprint(method: str, path: str, fields: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps([method, path, sorted(fields)]).encode()).hexdigest()


def stored(ctx: Context, key: str, print_: str) -> Answer | None:
    """The answer that this key has had; ApiError if it was for another request."""
    sql = "SELECT fingerprint, status, body, request_id FROM answers WHERE key = ?"
    rows = ctx.store.query(sql, (key,))
    if not rows:
        return None
    known, status, body, request_id = rows[0]
    if known != print_:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise _misuse(400, message)
    headers = {"Idempotent-Replayed": "true", "Original-Request": request_id}
    return Answer(status, json.loads(body), headers)


def keep(ctx: Context, key: str, print_: str, answer: Answer) -> None:
    row = (key, print_, answer.status, json.dumps(answer.body), ctx.request_id, ctx.clock.time())
    ctx.store.run("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)


def overwrite(ctx: Context, key: str, answer: Answer) -> None:
    """From now on the key gives this answer."""
    row = (answer.status, json.dumps(answer.body), key)
    ctx.store.run("UPDATE answers SET status = ?, body = ? WHERE key = ?", row)


def prune(ctx: Context) -> None:
    ctx.store.run("DELETE FROM answers WHERE created < ?", (ctx.clock.time() - KEPT_S,))


def forget(ctx: Context) -> int:
    """Drop every key now, whatever its age; returns how many there were."""
    return ctx.store.run("DELETE FROM answers")


def _misuse(status: int, message: str, *, code: str | None = None) -> ApiError:
    return ApiError(status, "idempotency_error", message, code=code)
