"""The queue of webhook deliveries: who is told of which event, when it is tried again, and signing.

Posting is done by `background.py`; here is what the store knows of it. A delivery ends as delivered (any
2xx), failed (given up after three days) or dropped (on purpose, or the endpoint is gone).
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from . import disturbance
from .context import Context
from .disturbance import Fate
from .faults import chance
from .store import Json

# Seconds after the first, second, … failed attempt; the last one goes on until three days have passed.
BACKOFF_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600)
GIVE_UP_AFTER_S = 3 * 86_400

# Between two posts that were put into an order; far above what the clock can tell apart.
STEP_S = 0.000_01

MODE = "webhook_mode"
MODES = ("deliver", "pause", "drop")


@dataclass(frozen=True)
class Delivery:
    """One post that is due."""

    id: int
    event_id: str
    endpoint_id: str
    url: str
    secret: str


def queue(ctx: Context, event_id: str, kind: str, fate: Fate) -> None:
    """One delivery for every enabled endpoint that asked for this kind of event, unless `fate` has it else."""
    for endpoint in ctx.store.select("kind = 'webhook_endpoint'", []):
        wanted = any(fnmatchcase(kind, pattern) for pattern in endpoint.body["enabled_events"])
        if wanted and endpoint.body["status"] == "enabled":
            delays_s = fate.delays_s()
            for delay_s in delays_s:
                _add(ctx, event_id, endpoint.id, delay_s=delay_s)
            if not delays_s:
                _add(ctx, event_id, endpoint.id, lost=True)


def send_again(ctx: Context, event_id: str, copies: int = 1) -> int:
    """Queue the event anew for every enabled endpoint, subscribed or not; returns the number of posts."""
    ctx.get("event", event_id)
    endpoints = ctx.store.select(
        "kind = 'webhook_endpoint' AND json_extract(body, '$.status') = 'enabled'", []
    )
    for endpoint in endpoints:
        for _ in range(copies):
            _add(ctx, event_id, endpoint.id)
    return len(endpoints) * copies


def _add(ctx: Context, event_id: str, endpoint_id: str, *, delay_s: float = 0.0, lost: bool = False) -> None:
    state = "dropped" if lost or mode(ctx) == "drop" else "pending"
    now = ctx.clock.time()
    ctx.store.run(
        """INSERT INTO deliveries (event_id, endpoint_id, state, created_at, next_attempt_at)
           VALUES (?, ?, ?, ?, ?)""",
        (event_id, endpoint_id, state, now, now + delay_s),
    )
    ctx.wake.set()


def pending(ctx: Context, event_id: str) -> int:
    """How many deliveries have not been answered with a 2xx yet."""
    sql = "SELECT count(*) FROM deliveries WHERE event_id = ? AND state = 'pending'"
    return int(ctx.store.query(sql, (event_id,))[0][0])


def due(ctx: Context, limit: int, busy: set[int]) -> list[Delivery]:
    """Posts to make now. Those whose endpoint was deleted or disabled are dropped on the way."""
    if mode(ctx) == "pause":
        return []
    if disturbance.current(ctx).in_turn:
        limit = 0 if busy else 1
    sql = """SELECT id, event_id, endpoint_id FROM deliveries
             WHERE state = 'pending' AND next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT ?"""
    found = []
    for key, event_id, endpoint_id in ctx.store.query(sql, (ctx.clock.time(), limit + len(busy))):
        endpoint = ctx.store.find("webhook_endpoint", endpoint_id)
        if key in busy:
            continue
        if endpoint is None or endpoint.body["status"] != "enabled":
            ctx.store.run("UPDATE deliveries SET state = 'dropped' WHERE id = ?", (key,))
            continue
        found.append(Delivery(key, event_id, endpoint_id, endpoint.body["url"], endpoint.private["secret"]))
    return found[:limit]


def next_due_at(ctx: Context) -> float | None:
    if mode(ctx) == "pause":
        return None
    rows = ctx.store.query("SELECT min(next_attempt_at) FROM deliveries WHERE state = 'pending'")
    return None if rows[0][0] is None else float(rows[0][0])


def record(ctx: Context, delivery: Delivery, *, status: int | None, error: str | None) -> None:
    """Write down how an attempt ended, and when to try again."""
    rows = ctx.store.query("SELECT attempts, created_at, state FROM deliveries WHERE id = ?", (delivery.id,))
    if not rows:
        return  # Its event was forgotten meanwhile.
    attempts, created_at, before = rows[0]
    now = ctx.clock.time()
    next_at = now + BACKOFF_S[min(attempts, len(BACKOFF_S) - 1)]
    if status is not None and 200 <= status < 300:
        state = "delivered"
    else:
        state = "pending" if next_at < created_at + GIVE_UP_AFTER_S else "failed"
        # One that was dropped while it was under way is not tried again.
        state = "dropped" if before == "dropped" else state
    ctx.store.run(
        """UPDATE deliveries SET state = ?, attempts = ?, next_attempt_at = ?, last_status = ?, last_error = ?
           WHERE id = ?""",
        (state, attempts + 1, next_at if state == "pending" else None, status, error, delivery.id),
    )


def signature(secret: str, payload: bytes, at: int) -> str:
    """The Stripe-Signature header: HMAC-SHA256 over `t.body`."""
    signed = str(at).encode() + b"." + payload
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def payload(event: Json) -> bytes:
    return json.dumps(event, indent=2).encode()


def history(ctx: Context, event_id: str) -> list[Json]:
    """The deliveries of one event, oldest first."""
    names = ("id", "endpoint", "state", "attempts", "next_attempt_at", "last_status", "last_error")
    sql = """SELECT id, endpoint_id, state, attempts, next_attempt_at, last_status, last_error
             FROM deliveries WHERE event_id = ? ORDER BY id"""
    rows: list[tuple[Any, ...]] = ctx.store.query(sql, (event_id,))
    return [dict(zip(names, row, strict=True)) for row in rows]


def queued(ctx: Context, limit: int) -> list[tuple[str, int]]:
    """Events that have something queued, oldest first, with how many posts."""
    sql = """SELECT event_id, count(*) FROM deliveries WHERE state = 'pending'
             GROUP BY event_id ORDER BY min(id) LIMIT ?"""
    return [(str(event_id), int(count)) for event_id, count in ctx.store.query(sql, (limit,))]


def totals(ctx: Context) -> dict[str, int]:
    """How many deliveries there are in each state; none is under way where `pending` is 0."""
    counted = dict(ctx.store.query("SELECT state, count(*) FROM deliveries GROUP BY state"))
    return {state: counted.get(state, 0) for state in ("pending", "delivered", "failed", "dropped")}


def mode(ctx: Context) -> str:
    return ctx.store.setting(MODE, "deliver")


def set_mode(ctx: Context, mode: str) -> None:
    """`pause` keeps deliveries for later, `drop` loses those that come up meanwhile."""
    ctx.store.set_setting(MODE, mode)
    ctx.wake.set()


def shuffle(ctx: Context, seed: str) -> int:
    """Put what is queued into an order that follows from the seed; returns how many posts that is.

    Pause first, so that everything is still queued, and go on afterwards. Sent by several threads at once,
    neighbours can still swap: the disturbance `in_turn` sends one at a time.
    """
    rows = [
        row[0] for row in ctx.store.query("SELECT id FROM deliveries WHERE state = 'pending' ORDER BY id")
    ]
    chance(seed).shuffle(rows)
    now = ctx.clock.time()
    for place, key in enumerate(rows):
        # All are due within a moment, and the earlier one goes first.
        ctx.store.run("UPDATE deliveries SET next_attempt_at = ? WHERE id = ?", (now + place * STEP_S, key))
    ctx.wake.set()
    return len(rows)


def duplicate(ctx: Context, copies: int) -> int:
    """`copies` more posts of everything that is queued; returns how many were added."""
    rows = ctx.store.query("SELECT event_id, endpoint_id FROM deliveries WHERE state = 'pending' ORDER BY id")
    for event_id, endpoint_id in rows * copies:
        _add(ctx, event_id, endpoint_id)
    return len(rows) * copies


def lose(ctx: Context, event_id: str | None = None) -> int:
    """What is queued, of one event or of all, is never sent; returns how many posts that was."""
    sql = (
        "UPDATE deliveries SET state = 'dropped' WHERE state = 'pending' AND event_id = coalesce(?, event_id)"
    )
    return ctx.store.run(sql, (event_id,))


def delay(ctx: Context, event_id: str, seconds: float) -> int:
    """What is queued of the event is sent `seconds` from now; returns how many posts that is."""
    sql = "UPDATE deliveries SET next_attempt_at = ? WHERE state = 'pending' AND event_id = ?"
    return ctx.store.run(sql, (ctx.clock.time() + seconds, event_id))
