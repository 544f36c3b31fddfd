"""Servers that go away, for some seconds; in `make chaos` for a minute."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.chaos import outages
from tests.chaos.trial import Trial
from tests.stack import Stack

pytestmark = pytest.mark.stack

SECONDS = 8.0
# What beat sends once a minute.
PERIODIC_JOB = "from wallet.tasks import handle_pending_events; handle_pending_events.delay()"


@pytest.mark.parametrize("how", [outages.standing_still, outages.down])
def test_without_the_database_everything_is_refused_soon_and_comes_back_soon(
    trial: Trial, how: Callable[[Stack], AbstractContextManager[None]]
) -> None:
    trial.load(how.__name__)
    outage = outages.without_database(trial, how(trial.stack), SECONDS)
    trial.unload()
    assert outage.findings == [], outage
    assert outage.statuses[503] > 3
    trial.settle(by_hand=True)
    assert trial.compare() == []


def test_without_the_broker_charging_goes_on(trial: Trial) -> None:
    before = len(trial.journal.charged)
    assert outages.without_broker(trial, 4) == []
    assert len(trial.journal.charged) > before
    assert trial.compare() == []


def test_what_only_the_queue_knew_is_found_again(trial: Trial) -> None:
    outages.lose_the_queue(trial, "forgotten")
    assert trial.pending_events() > 0
    trial.stack.manage("shell", "-v0", "-c", PERIODIC_JOB)
    # An event whose first try fails is due again after half a minute, and the job comes once a minute.
    trial.stack.wait_for(lambda: trial.pending_events() == 0, 100)
    trial.settle(by_hand=True)
    assert trial.compare() == []
