"""Switches that make the API fail as Stripe and the network do, by a seed so that a run can be repeated.

A switch acts on a share of the requests that its method and path fit. Which ones these are follows from its
seed and from how many requests it has seen, and from nothing else. Switches are asked in the order in which
they were set; the first that acts decides, and each stays until it has acted `times` times or is cleared.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from . import idempotency
from .context import Context
from .errors import ApiError
from .http import Answer, Ending, Request
from .params import Field, Integer, Params, Seconds, Text
from .store import Json

SETTING = "faults"

KINDS = {
    "error_before": "500, nothing done and nothing stored",
    "error_after": "500, done all the same; stored under the idempotency key",
    "timeout_after": "done, then silence and a closed connection",
    "rate_limit": "429, nothing done",
    "reset_before": "connection reset, nothing done",
    "reset_after": "connection reset, done all the same",
    "slow": "the right answer, late",
}

FIELDS: dict[str, Field] = {
    "kind": Text(required=True, choices=tuple(KINDS)),
    "share": Integer(least=0, most=100),
    "path": Text(longest=200),
    "method": Text(choices=("GET", "POST", "DELETE")),
    "times": Integer(least=1, most=1_000_000),
    "seconds": Seconds(),
    "should_retry": Text(choices=("true", "false")),
    "seed": Text(longest=100),
}


@dataclass
class Switch:
    """`path` is a pattern in which `*` stands for anything; `share` is in percent."""

    id: int
    kind: str
    share: int = 100
    path: str = "/v1/*"
    method: str | None = None
    times: int | None = None
    seconds: float = 30.0
    should_retry: str | None = None
    seed: str = "0"
    seen: int = 0
    acted: int = 0

    def fits(self, request: Request) -> bool:
        used_up = self.times is not None and self.acted >= self.times
        return not used_up and self.method in (None, request.method) and fnmatchcase(request.path, self.path)

    def acts(self) -> bool:
        """Count one more request, and say whether it is one of those."""
        self.seen += 1
        return chance(f"{self.seed}:{self.kind}:{self.seen}").random() * 100 < self.share


def chance(seed: str) -> random.Random:
    """The same numbers for the same seed, in every run."""
    return random.Random(seed)  # noqa: S311  # has to be repeatable, and is no secret


def switches(ctx: Context) -> list[Switch]:
    return [Switch(**row) for row in json.loads(ctx.store.setting(SETTING, "[]"))]


def _save(ctx: Context, rows: list[Switch]) -> None:
    ctx.store.set_setting(SETTING, json.dumps([asdict(row) for row in rows]))


def add(ctx: Context, given: Params) -> Switch:
    """`given` is as FIELDS reads it."""
    rows = switches(ctx)
    switch = Switch(id=max((row.id for row in rows), default=0) + 1, **given)
    _save(ctx, [*rows, switch])
    return switch


def clear(ctx: Context, switch_id: int | None = None) -> int:
    """Take away one switch, or all; returns how many there were."""
    rows = switches(ctx)
    kept = [row for row in rows if switch_id is not None and row.id != switch_id]
    _save(ctx, kept)
    return len(rows) - len(kept)


def shown(switch: Switch) -> Json:
    return asdict(switch)


def draw(ctx: Context, request: Request) -> Switch | None:
    """The switch that acts on this request, if one does. Counted even where the request fails by itself."""
    rows = switches(ctx)
    fitting = [row for row in rows if row.fits(request)]
    if not fitting:
        return None
    acting = None
    for row in fitting:
        # Every fitting switch counts the request, so that one does not change what another does.
        if row.acts() and acting is None:
            acting = row
            row.acted += 1
    _save(ctx, rows)
    return acting


def instead(switch: Switch | None) -> Answer | None:
    """What the client gets without anything being done; None where the work goes on."""
    if switch is None or switch.kind not in ("error_before", "rate_limit", "reset_before"):
        return None
    if switch.kind == "reset_before":
        return Answer(500, b"", ending=Ending.RESET)
    return Answer(*(_failure() if switch.kind == "error_before" else _too_many()), headers=_retry(switch))


def afterwards(ctx: Context, switch: Switch | None, answer: Answer, key: str | None) -> Answer:
    """What the client gets in place of `answer` once the work is done and its answer stored."""
    if switch is None:
        return answer
    if switch.kind == "error_after":
        return _spoilt(ctx, switch, answer, key)
    endings = {"timeout_after": Ending.SILENCE, "reset_after": Ending.RESET, "slow": Ending.ANSWER}
    wait_s = 0.0 if switch.kind == "reset_after" else switch.seconds
    return Answer(answer.status, answer.body, answer.headers, wait_s, endings[switch.kind])


def _spoilt(ctx: Context, switch: Switch, answer: Answer, key: str | None) -> Answer:
    """A 500 over the real answer. One that was refused or replayed did nothing, and stands as it is."""
    did_something = answer.status in (200, 402) and "Idempotent-Replayed" not in answer.headers
    if not did_something:
        return answer
    status, body = _failure()
    if key is not None:
        idempotency.overwrite(ctx, key, Answer(status, body))
    headers = {"Idempotency-Key": key} if key else {}
    return Answer(status, body, {**headers, **_retry(switch)})


def _failure() -> tuple[int, Any]:
    message = "An unexpected error occurred (a fault switch of the Stripe sandbox)."
    return 500, ApiError(500, "api_error", message).body()


def _too_many() -> tuple[int, Any]:
    message = "Request rate limit exceeded (a fault switch of the Stripe sandbox)."
    return 429, ApiError(429, "invalid_request_error", message, code="rate_limit").body()


def _retry(switch: Switch) -> dict[str, str]:
    return {"Stripe-Should-Retry": switch.should_retry} if switch.should_retry else {}


def _set(ctx: Context, given: Params) -> Json:
    return {"fault": shown(add(ctx, given))}


def _show(ctx: Context, given: Params) -> Json:
    return {"faults": [shown(switch) for switch in switches(ctx)]}


def _clear(ctx: Context, given: Params, switch_id: str | None = None) -> Json:
    return {"cleared": clear(ctx, None if switch_id is None else int(switch_id))}


def _forget_keys(ctx: Context, given: Params) -> Json:
    return {"forgotten": idempotency.forget(ctx)}


COMMANDS: list[tuple[str, str, Callable[..., Json], Mapping[str, Field]]] = [
    ("POST", r"/_sandbox/faults", _set, FIELDS),
    ("GET", r"/_sandbox/faults", _show, {}),
    ("DELETE", r"/_sandbox/faults", _clear, {}),
    ("DELETE", r"/_sandbox/faults/([0-9]{1,9})", _clear, {}),
    ("POST", r"/_sandbox/idempotency/forget", _forget_keys, {}),
]
