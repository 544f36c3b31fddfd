"""Rounds of the periodic jobs that ask Stripe: one row after the other, for so long and no longer.

What a round does not come to is the next one's, so every round begins with what was looked at longest ago. A row that fails
holds up no other, and a Stripe that does not answer ends the round. The time limit of the task itself is never swallowed.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterable

from celery.exceptions import SoftTimeLimitExceeded

from wallet import counting
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked

logger = logging.getLogger(__name__)

# A task has two rounds of this length at most, and 200 seconds; the last question of a round may take twenty more.
ROUND_S = 50.0
# So many questions without an answer end it. One row that Stripe always fails about is not enough for that.
MOST_UNANSWERED = 3
# After this one that did not say that it ended, since its process was killed, is no longer waited for.
LONGEST_S = 120


def go_round[T](
    what: str, rows: Iterable[T], look: Callable[[T], object], *, seconds: float = ROUND_S
) -> int:
    """Look at each, named `what` in the log; returns at how many. `look` moves its row behind the others."""
    over_at = time.monotonic() + seconds
    looked = unanswered = 0
    for row in rows:
        if unanswered == MOST_UNANSWERED or time.monotonic() > over_at:
            logger.info("This round ends before %s %s; the next one comes to it.", what, row)
            break
        try:
            look(row)
            looked += 1
        except SoftTimeLimitExceeded:
            raise
        except StripeUnavailable as error:
            logger.warning("Stripe is away, %s %s waits: %s", what, row, error)
            unanswered += 1
        except (StripeRefused, Parked) as error:
            logger.error("Nothing came of %s %s: %s", what, row, error)
            looked += 1
        except Exception:
            logger.exception("Nothing came of %s %s.", what, row)
            looked += 1
    return looked


def one_at_a_time(job: Callable[[], None]) -> Callable[[], None]:
    """Skip the job while another process is at it, so that a slow Stripe is not asked everything twice.

    Only spares questions; nothing else relies on it.
    """
    name = f"round-{job.__name__}"

    @functools.wraps(job)
    def alone() -> None:
        if counting.count(name, seconds=LONGEST_S) > 1:
            logger.info("%s is at work already.", job.__name__)
            return
        try:
            job()
        finally:
            counting.forget(name)

    return alone
