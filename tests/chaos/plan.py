"""Which processes are killed and when: all of it drawn from the seed before anything starts."""

import random
from dataclasses import dataclass

# How often of 100; the database most, since it is what remembers.
WEIGHTS = {
    "postgres": 14,
    "postgres connection": 20,
    "postgres helper": 6,
    "web": 18,
    "web process": 16,
    "worker": 8,
    "worker process": 8,
    "beat": 4,
    "valkey": 6,
}
KINDS = tuple(WEIGHTS)
SHORTEST_GAP_S, LONGEST_GAP_S = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Wait `gap_s`, then kill one of that kind: the one at that place (0 to 1) among those that run.

    `under_load`: wait first until answers come again, so that it meets more than what is still starting.
    """

    gap_s: float
    under_load: bool
    kind: str
    place: float


def kills(count: int, seed: str) -> list[Kill]:
    """Single kills, two at once, and the same again while it comes back. Every kind occurs where count allows."""
    chance = random.Random(f"{seed}:kills")
    kinds = chance.sample(KINDS, len(KINDS))
    planned: list[Kill] = []
    while len(planned) < count:
        gap_s = chance.uniform(SHORTEST_GAP_S, LONGEST_GAP_S)
        how = chance.random()
        if planned and how < 0.15:
            kind, gap_s = planned[-1].kind, chance.uniform(SHORTEST_GAP_S, 0.4)
        else:
            kind = kinds.pop() if kinds else chance.choices(KINDS, list(WEIGHTS.values()))[0]
            gap_s = 0.0 if planned and how > 0.85 else gap_s
        planned.append(Kill(gap_s, 0.15 <= how < 0.7, kind, chance.random()))
    return planned
