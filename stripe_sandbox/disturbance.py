"""What goes wrong with webhooks on purpose: a fate for every event, by a seed so that a run can be repeated.

The n-th event that fits fares as the seed says, whatever the others do: it is never generated at all, and each
of its deliveries is lost, doubled, late, or overtaken by later ones. What is sent again by hand is left alone.
"""

import json
import random
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase

from .context import Context
from .faults import chance
from .params import Boolean, Field, Integer, Many, Params, Seconds, Text
from .store import Json

SETTING = "webhook_disturbance"

SHARE = Integer(least=0, most=100)
FIELDS: dict[str, Field] = {
    "never": SHARE,
    "drop": SHARE,
    "duplicate": SHARE,
    "copies": Integer(least=1, most=100),
    "late": SHARE,
    "late_s": Seconds(most=30 * 86_400),
    "reorder": SHARE,
    "reorder_s": Seconds(),
    "in_turn": Boolean(),
    "types": Many(Text(longest=100), most=50),
    "seed": Text(longest=100),
}


@dataclass
class Disturbance:
    """Shares are in percent. `types` are patterns of the events that are concerned; no pattern is all of them."""

    never: int = 0
    drop: int = 0
    duplicate: int = 0
    copies: int = 1
    late: int = 0
    late_s: float = 60.0
    reorder: int = 0
    reorder_s: float = 2.0
    in_turn: bool = False
    types: list[str] = field(default_factory=list)
    seed: str = "0"
    seen: int = 0


@dataclass(frozen=True)
class Fate:
    """What becomes of one event. Ask `delays_s` once for each endpoint, in a fixed order."""

    plan: Disturbance
    dice: random.Random
    never: bool

    def delays_s(self) -> list[float]:
        """One entry for each post to make, in seconds from now; none where the delivery is lost."""
        # The dice are thrown for everything every time: one share does not change what another picks.
        lost, doubled, late, overtaken = (self.dice.random() * 100 for _ in range(4))
        waits = [self.dice.random() * self.plan.reorder_s for _ in range(self.plan.copies + 1)]
        if lost < self.plan.drop:
            return []
        posts = 1 + (self.plan.copies if doubled < self.plan.duplicate else 0)
        behind = self.plan.late_s if late < self.plan.late else 0.0
        return [behind + (waits[n] if overtaken < self.plan.reorder else 0.0) for n in range(posts)]


def current(ctx: Context) -> Disturbance:
    return Disturbance(**json.loads(ctx.store.setting(SETTING, "{}")))


def put(ctx: Context, given: Params) -> Disturbance:
    """In place of the one before. `given` is as FIELDS reads it."""
    plan = Disturbance(**given)
    ctx.store.set_setting(SETTING, json.dumps(asdict(plan)))
    ctx.wake.set()
    return plan


def end(ctx: Context) -> None:
    """Webhooks go undisturbed from now on; what is late already stays so."""
    ctx.store.set_setting(SETTING, "{}")


def shown(plan: Disturbance) -> Json:
    return asdict(plan)


def told(plan: Disturbance) -> str:
    """What is on, in words; nothing where events go undisturbed."""
    shares = (
        (plan.never, "never generated"),
        (plan.drop, "dropped"),
        (plan.duplicate, f"sent {plan.copies + 1} times"),
        (plan.late, f"late by {plan.late_s:g} s"),
        (plan.reorder, f"reordered within {plan.reorder_s:g} s"),
    )
    parts = [f"{share} % {what}" for share, what in shares if share]
    if plan.in_turn:
        parts.append("one at a time")
    return f"{', '.join(parts)}, of {' '.join(plan.types) or 'all kinds'}" if parts else ""


def fate(ctx: Context, kind: str) -> Fate:
    """Throw the dice for a new event of this kind."""
    plan = current(ctx)
    if plan.types and not any(fnmatchcase(kind, pattern) for pattern in plan.types):
        return Fate(Disturbance(), chance(""), never=False)
    dice = chance(f"{plan.seed}:{plan.seen + 1}")
    never = dice.random() * 100 < plan.never
    if any((plan.never, plan.drop, plan.duplicate, plan.late, plan.reorder)):
        plan.seen += 1
        ctx.store.set_setting(SETTING, json.dumps(asdict(plan)))
    return Fate(plan, dice, never)
