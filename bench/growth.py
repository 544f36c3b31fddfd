"""What recording and checking cost as the books grow: fills them with calls of the last 30 days, as batches would have."""

import time
from collections.abc import Callable, Iterator

import psycopg

from bench import books
from bench.drawing import Past
from bench.filling import History
from bench.measures import BATCH, BATCH_CLIENTS, Lab, Recording
from bench.results import Books, Spread, Stage
from cometsite.quickstart import commands
from wallet import seals

SMALLEST = 10_000
STEP = 10
DAYS = 30


def stages(
    lab: Lab, calls: int, rounds: int, seconds: float, say: Callable[[str], None]
) -> Iterator[tuple[Stage, Books]]:
    """Fill, record, check; ten times as much each time. At the end the days are sealed and everything is checked again."""
    recording = Recording(lab, "growth", lab.population.keys, BATCH, BATCH_CLIENTS, 20_000)
    with psycopg.connect(lab.machine.cluster.url(commands.DATABASE), autocommit=True) as connection:
        history = History(connection, lab.population, Past(calls, DAYS, BATCH))
        for size in _sizes(lab.accepted, calls):
            say(f"Filling the books up to {size:,} calls")
            history.fill(size - lab.accepted)
            say("Recording")
            speeds = [recording(seconds)["growth"].per_second for _ in range(rounds)]
            is_last = size == calls
            seal_seconds = _sealed_in(say) if is_last else None
            say("Checking")
            checked = books.verify(
                granted_nanousd=lab.population.granted_nanousd,
                acknowledged=lab.accepted + history.calls,
                refused=lab.refused,
            )
            stage = Stage(size, Spread.of(speeds), checked.seconds, history.megabytes(), seal_seconds)
            yield stage, checked


def _sizes(present: int, calls: int) -> list[int]:
    """Ten times as many each time, from what is there on."""
    sizes = [size for size in (SMALLEST * STEP**power for power in range(12)) if present < size < calls]
    return [*sizes, calls]


def _sealed_in(say: Callable[[str], None]) -> float:
    say("Sealing the days")
    began_at = time.perf_counter()
    seals.seal_closed_days()
    return time.perf_counter() - began_at
