"""Rounds of the periodic jobs: they end in time, one at a time, and nothing in them holds up the rest."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.core.cache import cache
from django.utils import timezone

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.saved import opened_page, switched_on
from tests.wallet.test_topups import started
from wallet import auto_topups, cards, disputes, events, rounds, stripe_api, tasks, topups
from wallet.models import Dispute, Refund, StripeEvent, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeFailed, StripeRefused, StripeUnavailable
from wallet.topups import proofs


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the questions move."""
    now = [1000.0]
    monkeypatch.setattr("wallet.rounds.time.monotonic", lambda: now[0])
    return now


def test_a_round_ends_in_time(slow: list[float]) -> None:
    looked: list[int] = []

    def look(row: int) -> None:
        looked.append(row)
        slow[0] += 8

    assert rounds.go_round("row", range(200), look) == len(looked) == 7
    assert slow[0] - 1000 < rounds.ROUND_S + 8


def test_the_next_round_begins_with_what_was_looked_at_longest_ago(
    alices: Wallet, stripe_at_hand: Sandbox, slow: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        started(alices)
    asked: list[str] = []
    real = stripe_api.session

    def slowly(session_id: str) -> Any:
        slow[0] += 8
        asked.append(session_id)
        return real(session_id)

    monkeypatch.setattr(stripe_api, "session", slowly)
    assert topups.settle_unfinished() == 7
    assert topups.settle_unfinished() == 7
    assert len(set(asked[:10])) == 10, "all of them before one of them twice"


def test_what_fails_holds_up_no_other_and_silence_ends_the_round() -> None:
    errors: list[Exception] = [RuntimeError("poison"), StripeRefused("no"), StripeUnavailable("away")]
    looked: list[int] = []

    def look(row: int) -> None:
        looked.append(row)
        if row < len(errors):
            raise errors[row]

    assert rounds.go_round("row", range(6), look) == 5
    assert looked == list(range(6))

    def away(row: int) -> None:
        looked.append(row)
        raise StripeUnavailable("away")

    looked.clear()
    assert rounds.go_round("row", range(6), away) == 0
    assert len(looked) == rounds.MOST_UNANSWERED


def out_of_time(*_: Any, **__: Any) -> Any:
    raise SoftTimeLimitExceeded


JOBS: dict[str, tuple[str, Callable[[], object]]] = {
    "top-ups": ("session", topups.settle_unfinished),
    "receipts": ("session", proofs.fill_missing),
    "card pages": ("setup_session", cards.settle_unfinished),
    "automatic top-ups": ("charge_card", auto_topups.charge_due),
    "disputes": ("dispute", disputes.look_again),
    "refunds": ("create_refund", refund_asking.settle_unfinished),
    "events": ("session", events.handle_due),
    "told events": ("session", lambda: events.handle_some(["evt_1"])),
}


@pytest.mark.parametrize("job", JOBS)
def test_the_time_limit_of_a_task_ends_it(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    """It comes as an exception, anywhere; who swallows it goes on until the process is killed."""
    switched_on(stripe_at_hand, alices)
    opened_page(alices)
    open_ = started(alices)
    paid = TopUp.objects.create(
        wallet=alices, amount_cents=100, received_cents=100, tax_cents=0, state="paid", session_id="cs_1",
        payment_intent_id="pi_1", paid_at=timezone.now(),
    )  # fmt: skip
    Refund.objects.create(
        request_id=paid.pk, wallet=alices, top_up=paid, amount_cents=100, created_at=timezone.now()
    )
    Dispute.objects.create(id="dp_1", amount_cents=1, status="needs_response", opened_at=timezone.now())
    StripeEvent.objects.create(
        id="evt_1", type="checkout.session.completed", object_id=str(open_.session_id), livemode=False,
        payload={},
    )  # fmt: skip
    question, run = JOBS[job]
    monkeypatch.setattr(stripe_api, question, out_of_time)
    with pytest.raises(SoftTimeLimitExceeded):
        run()
    assert StripeEvent.objects.get().attempts == 0, "it says nothing about the event"


def test_a_job_is_skipped_while_another_process_is_at_it(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on, runs = threading.Event(), threading.Event(), []

    def work(*_: Any) -> int:
        runs.append(1)
        inside.set()
        assert go_on.wait(20)
        return 0

    monkeypatch.setattr(topups, "settle_unfinished", work)
    first = threading.Thread(target=tasks.settle_open_top_ups)
    first.start()
    assert inside.wait(20)
    tasks.settle_open_top_ups()
    assert len(runs) == 1
    go_on.set()
    first.join(20)
    tasks.settle_open_top_ups()
    assert len(runs) == 2


def test_a_job_that_failed_is_not_at_work_any_more(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    def broken(*_: Any) -> int:
        runs.append(1)
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(disputes, "look_again", broken)
    for _ in range(2):
        with pytest.raises(SoftTimeLimitExceeded):
            tasks.look_at_disputes()
    assert len(runs) == 2


def test_without_the_cache_jobs_run_all_the_same(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("Valkey is away")

    runs: list[int] = []
    monkeypatch.setattr(disputes, "look_again", lambda: runs.append(1))
    for name in ("add", "incr", "delete"):
        monkeypatch.setattr(cache, name, broken)
    tasks.look_at_disputes()
    tasks.look_at_disputes()
    assert len(runs) == 2


def test_wallets_that_stripe_always_fails_about_come_first_in_no_second_round(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an earlier charge came through after all is asked before the next one."""
    switched_on(stripe_at_hand, alices)
    row = auto_topups.begin(alices.pk)
    assert row is not None
    TopUp.objects.filter(pk=row.pk).update(state="failed")

    def failing(*_: object) -> None:
        raise StripeFailed("Bad gateway.")

    monkeypatch.setattr(stripe_api, "payment_of_top_up", failing)
    assert list(auto_topups.due(10)) == [alices.pk]
    assert auto_topups.charge_due() == 0
    assert list(auto_topups.due(10)) == []
