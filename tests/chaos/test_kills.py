"""A dozen kills; `make chaos` does a hundred."""

import pytest

from tests.chaos import victims
from tests.chaos.plan import KINDS, LONGEST_GAP_S, kills
from tests.chaos.trial import Trial


def test_a_seed_decides_all_of_the_plan() -> None:
    plan = kills(100, "seed")
    assert plan == kills(100, "seed")
    assert plan != kills(100, "another")
    assert {kill.kind for kill in plan} == set(KINDS)
    assert all(0 <= kill.gap_s <= LONGEST_GAP_S for kill in plan)


@pytest.mark.stack
def test_a_dozen_kills_lose_nothing_and_count_nothing_twice(trial: Trial) -> None:
    trial.load()
    carried_out = [victims.kill(trial, planned) for planned in kills(12, trial.seed)]
    trial.unload()
    trial.settle(by_hand=True)
    assert trial.compare() == []
    assert carried_out == [True] * 12
    assert len(trial.journal.charged) > 100
    assert trial.journal.retries > 0
