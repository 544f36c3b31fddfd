"""What the queue and the clock call. Each loads an id and makes one call; all of it is found again from the tables."""

import logging
import threading
import time
from contextlib import suppress
from queue import Empty, Full, Queue

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from wallet import auto_topups, cards, disputes, events, grants, holds, invariants, rounds, seals, topups
from wallet.auto_topups import mail as auto_topup_mail
from wallet.reconciliation import runs
from wallet.refunds import asking as refund_asking
from wallet.refunds import mail as refund_mail
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups import proofs

logger = logging.getLogger(__name__)

PAUSE_S = 15.0
HINTS_AT_ONCE = 20
_next_try_at = 0.0
_hints: Queue[str] = Queue(maxsize=10_000)
_starting = threading.Lock()
_teller: threading.Thread | None = None


@shared_task
def handle_events(event_ids: list[str]) -> None:
    events.handle_some(event_ids)


@shared_task
@rounds.one_at_a_time
def handle_pending_events() -> None:
    events.handle_due()


@shared_task
@rounds.one_at_a_time
def settle_open_top_ups() -> None:
    topups.settle_unfinished()
    proofs.fill_missing()


@shared_task
@rounds.one_at_a_time
def settle_open_refunds() -> None:
    refund_asking.settle_unfinished()
    refund_asking.hear_again()
    refund_mail.tell_due()


@shared_task
@rounds.one_at_a_time
def look_at_disputes() -> None:
    disputes.look_again()


@shared_task(time_limit=1800, soft_time_limit=1750)
def reconcile() -> None:
    try:
        runs.run(runs.RECENT)
        if runs.is_long_due():
            runs.run(runs.LONG)
    except runs.AlreadyRunning:
        logger.info("Another process reconciles with Stripe at this moment.")
    except (StripeUnavailable, StripeRefused, SoftTimeLimitExceeded) as error:
        logger.warning("Reconciliation stopped, and goes on at its next time: %s", error)


@shared_task
@rounds.one_at_a_time
def top_up_automatically() -> None:
    cards.settle_unfinished()
    auto_topups.charge_due()
    auto_topup_mail.tell_charges()
    auto_topup_mail.tell_stopped()


@shared_task
def grant_missing_starter_credit() -> None:
    grants.give_missing_starter_credit()


@shared_task
def expire_holds() -> None:
    holds.expire_overdue()


@shared_task
def check_what_moved() -> None:
    invariants.run(full=False)


@shared_task(time_limit=3600, soft_time_limit=3500)
def check_everything() -> None:
    seals.seal_closed_days()
    invariants.run(full=True)


def hint(event_id: str) -> None:
    """Tell the queue about a stored event, or let it be: the periodic job finds it. Takes no time at all.

    A thread of its own tells the queue, several at once where they come fast, so that a broker that is slow or away
    does not keep Stripe waiting.
    """
    if time.monotonic() < _next_try_at:
        return
    with suppress(Full):
        _hints.put_nowait(event_id)
    with _starting:
        if _teller is None or not _teller.is_alive():
            _start()


def _start() -> None:
    global _teller
    _teller = threading.Thread(target=_tell, daemon=True)
    _teller.start()


def _tell() -> None:
    global _next_try_at
    while True:
        ids = [_hints.get()]
        with suppress(Empty):
            while len(ids) < HINTS_AT_ONCE:
                ids.append(_hints.get_nowait())
        try:
            handle_events.apply_async((ids,), retry=False, ignore_result=True)
        except Exception as error:
            _next_try_at = time.monotonic() + PAUSE_S
            logger.warning("The queue does not take events, which wait for the periodic job: %r", error)
