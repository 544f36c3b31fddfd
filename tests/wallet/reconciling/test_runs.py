"""Pages, kills, busy answers, two at once, and how far back a run looks."""

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.utils import timezone

from tests import plugin
from tests.parallel import at_once
from tests.stripe_sandbox.process import KEY, ROOT, Sandbox, until
from tests.wallet.books import balance_cents
from tests.wallet.reconciling.asking import good, many, run_where_nobody_does
from tests.wallet.test_clearing import credited
from tests.wallet.test_topups import pay, started
from wallet import clearing, ledger, tasks, topups
from wallet.models import Reconciliation, Refund, StripeTransaction, TopUp, Transfer, Wallet
from wallet.reconciliation import ending, runs
from wallet.reconciliation.report import Report
from wallet.stripe_api import StripeFailed, StripeRefused, StripeUnavailable, listing


def test_250_objects_of_one_second(alices: Wallet, stripe: Sandbox) -> None:
    top_ups = many(alices, 250)
    for top_up in top_ups:
        pay(stripe, top_up)
    database = sqlite3.connect(stripe.data / "stripe_sandbox.sqlite3")
    with database:
        database.execute("UPDATE objects SET created = (SELECT max(created) FROM objects)")
    database.close()
    run = good(runs.run())
    assert {name: run.compared[name] for name in ("sessions", "payments", "charges", "balance transactions")} == {
        "sessions": 250, "payments": 250, "charges": 250, "balance transactions": 250
    }  # fmt: skip
    assert len(run.repaired) == 250
    assert balance_cents(alices) == sum(top_up.amount_cents for top_up in top_ups)
    assert not TopUp.objects.exclude(state="paid").exists()


def test_what_is_made_during_paging_shifts_nothing(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)
    top_ups = many(alices, 10)
    seen: list[str] = []
    for page in listing.sessions(timezone.now() - timedelta(hours=1)):
        seen += [session.id for session in page.items]
        started(alices)
    assert seen == [top_up.session_id for top_up in reversed(top_ups)]


def test_a_run_that_was_stopped_goes_on(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)
    for top_up in many(alices, 12):
        pay(stripe, top_up)
    real, asked = runs._keep, []

    def stops_on_the_third_page(*given: Any, **more: Any) -> None:
        asked.append(given)
        if len(asked) == 3:
            raise KeyboardInterrupt
        real(*given, **more)

    monkeypatch.setattr(runs, "_keep", stops_on_the_third_page)
    with pytest.raises(KeyboardInterrupt):
        runs.run()
    [stopped] = Reconciliation.objects.all()
    assert (stopped.compared, len(stopped.repaired)) == ({"sessions": 8}, 12)
    assert stopped.cursor["after"]
    assert runs.last() is None
    monkeypatch.setattr(runs, "_keep", real)
    run = good(runs.run())
    assert run.pk == stopped.pk
    assert (run.compared["sessions"], run.compared["charges"], len(run.repaired)) == (12, 12, 12)
    assert Transfer.objects.filter(code="top_up").count() == 12


def test_a_cursor_whose_object_is_gone_begins_anew(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    Reconciliation.objects.create(
        since=timezone.now() - timedelta(days=3), cursor={"kind": "charges", "after": "ch_gone"}
    )
    assert good(runs.run()).compared["charges"] == 1


def test_kill_9_in_the_middle_of_a_page(alices: Wallet, stripe: Sandbox) -> None:
    for top_up in many(alices, 130):
        pay(stripe, top_up)
    command = [sys.executable, "manage.py", "reconcile_stripe"]
    environment = os.environ | {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    environment["DATABASE_URL"] = plugin.CLUSTER.url(str(connection.settings_dict["NAME"]))
    killed = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        until(lambda: TopUp.objects.filter(state="paid").count() > 104, within_s=60)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=10)
    assert TopUp.objects.filter(state="paid").count() < 130
    [stopped] = Reconciliation.objects.all()
    assert stopped.compared == {"sessions": 100}
    # The lock went with the process.
    run = good(until(run_where_nobody_does))
    assert run.pk == stopped.pk
    assert (run.compared["sessions"], run.compared["balance transactions"]) == (130, 130)
    assert Transfer.objects.filter(code="top_up").count() == 130


def test_it_waits_where_stripe_is_busy(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(listing, "_sleep", waited.append)
    pay(stripe, started(alices))
    stripe.command("faults", kind="rate_limit", path="/v1/*", method="GET", times=3)
    stripe.command("faults", kind="error_before", path="/v1/charges", method="GET", times=4)
    good(runs.run())
    assert len(waited) >= 4
    assert 0.4 <= waited[0] <= 0.6
    assert waited[1] >= 0.8
    assert balance_cents(alices) == 100


def test_one_object_that_stripe_fails_about_holds_up_no_other(alices: Wallet, stripe: Sandbox) -> None:
    first, second = many(alices, 2)
    for top_up in (first, second):
        pay(stripe, top_up)
    for address in (f"/v1/checkout/sessions/{second.session_id}", "/v1/payment_intents/*"):
        stripe.command("faults", kind="error_before", path=address, method="GET")
    stripe.command("faults", kind="error_before", path="/v1/checkout/sessions", method="GET", times=1)
    told = runs.run().differences
    assert any("is in no wallet" in each and str(second.pk) in each for each in told)
    first.refresh_from_db()
    assert first.state == "paid"
    stripe.request("DELETE", "/_sandbox/faults")
    good(runs.run())
    assert balance_cents(alices) == 201


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("balance_transaction", "is still not explained: An error of its own."),
        ("payment", "could not be looked up: An error of its own."),
        ("endpoints", "Stripe does not tell about its webhook endpoints: An error of its own."),
        ("refunds_of", "could not be compared: An error of its own."),
    ],
)
def test_a_question_that_stripe_fails_about_does_not_keep_a_run_from_its_end(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch, question: str, told: str
) -> None:
    def failing(_: object = None) -> None:
        raise StripeFailed("An error of its own.")

    one, other = many(alices, 2)
    for top_up in (one, other):
        pay(stripe, top_up)
    good(runs.run())
    TopUp.objects.filter(pk=one.pk).update(charge_id=None)
    StripeTransaction.objects.create(
        id="txn_x", type="other", currency="usd", amount_cents=0, fee_cents=0, made_at=timezone.now()
    )
    Refund.objects.create(
        wallet=alices,
        top_up=other,
        request_id=uuid4(),
        refund_id="re_x",
        state="succeeded",
        amount_cents=1,
        created_at=timezone.now(),
    )
    monkeypatch.setattr(listing, question, failing)
    run = runs.run()
    assert run.finished_at
    assert any(told in each for each in [*run.differences, *run.warnings])


def test_an_error_about_one_object_holds_up_no_other(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = many(alices, 2)
    for top_up in (first, second):
        pay(stripe, top_up)
    apply = topups.apply

    def conflicting(top_up_id: Any, session: Any) -> Any:
        if top_up_id == first.pk:
            raise ledger.ReferenceConflict("top_up:pi moved another amount.")
        return apply(top_up_id, session)

    monkeypatch.setattr(topups, "apply", conflicting)
    run = runs.run()
    assert any("is in no wallet" in each and str(first.pk) in each for each in run.differences)
    assert balance_cents(alices) == second.amount_cents


def test_it_gives_up_and_the_next_run_goes_on(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(listing, "_sleep", waited.append)
    pay(stripe, started(alices))
    stripe.command("faults", kind="rate_limit", path="/v1/charges", method="GET")
    with pytest.raises(StripeUnavailable):
        runs.run()
    assert len(waited) == len(listing.WAITS_S)
    assert sum(waited) < 180
    stripe.request("DELETE", "/_sandbox/faults")
    run = good(runs.run())
    assert (Reconciliation.objects.count(), run.compared["sessions"], run.compared["charges"]) == (1, 1, 1)


def test_one_run_at_a_time(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    with runs._alone():
        assert at_once(3, lambda _: run_where_nobody_does()) == [None, None, None]
    assert Reconciliation.objects.count() == 0
    good(runs.run())


def test_at_once_they_book_nothing_twice(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even without the lock, which only saves requests."""
    monkeypatch.setattr(runs, "_alone", NoLock)
    for top_up in many(alices, 5):
        pay(stripe, top_up)
    at_once(4, lambda _: runs.run().pk)
    good(runs.run())
    assert Transfer.objects.count() == 10


class NoLock:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_a_run_overlaps_the_one_before_however_long_ago(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices)
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=200))
    first = runs.run()
    assert first.since == clearing.begin()
    top_up.refresh_from_db()
    assert timezone.now() - runs.run().since < runs.RECENT + timedelta(minutes=1)
    Reconciliation.objects.update(started_at=timezone.now() - timedelta(days=20))
    assert timezone.now() - runs.run().since > timedelta(days=20)
    assert timezone.now() - runs.run(runs.LONG).since > timedelta(days=119)


def test_a_longer_run_does_not_continue_a_shorter_one(alices: Wallet, stripe: Sandbox) -> None:
    started(alices)
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=200))
    runs.run()
    short = Reconciliation.objects.create(
        since=timezone.now() - runs.RECENT, cursor={"kind": "end", "after": None}
    )
    long = runs.run(runs.LONG)
    assert long.pk != short.pk
    assert long.compared["sessions"] == 1


def test_what_nothing_explains_is_asked_about_in_turn(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are that nothing will explain, each gets its turn."""
    monkeypatch.setattr(ending, "MOST_ASKED", 2)
    started(alices)
    for number in range(5):
        StripeTransaction.objects.create(
            id=f"txn_{number}",
            type="odd",
            currency="usd",
            amount_cents=1,
            fee_cents=0,
            made_at=timezone.now() - timedelta(days=5 - number),
        )
    asked: list[str] = []

    def fails(transaction_id: str) -> Any:
        asked.append(transaction_id)
        raise StripeRefused("There is none.")

    monkeypatch.setattr(listing, "balance_transaction", fails)
    for _ in range(3):
        assert len([told for told in runs.run().differences if "txn_" in told]) == 5
    assert asked[:5] == [f"txn_{number}" for number in range(5)]
    assert asked[5] == "txn_0"


def test_every_credit_on_its_way_is_looked_up(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    for number in range(5):
        credited(alices, 100, payment=f"pi_invented_{number}")
    run = runs.run()
    assert run.compared["credits on their way"] == 5
    for number in range(5):
        assert any(f"Stripe knows no payment pi_invented_{number}." in told for told in run.differences)


def test_a_debit_that_came_back_before_its_credit_is_booked_whenever_that_is(
    alices: Wallet, stripe: Sandbox
) -> None:
    """Its transaction lies outside of the window by then."""
    top_up = started(alices, 1000)
    pay(stripe, top_up, "bank")
    TopUp.objects.update(amount_cents=1)
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    stripe.command(f"charges/{top_up.session_id}/return")
    assert any("is parked" in told for told in runs.run().differences)
    TopUp.objects.update(amount_cents=1000, state="open")
    topups.settle(top_up.pk)
    assert balance_cents(alices) == 1000
    good(runs.run(since=timezone.now()))
    assert balance_cents(alices) == 0


def test_the_long_run_is_made_when_none_ended_for_a_day(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's clock has to strike: it follows from the table."""
    assert not runs.is_long_due()
    started(alices)
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=200))
    assert runs.is_long_due()
    tasks.reconcile()
    assert Reconciliation.objects.count() == 1  # The first reaches back to the beginning.
    Reconciliation.objects.update(finished_at=timezone.now() - timedelta(days=1, minutes=1))
    tasks.reconcile()
    tasks.reconcile()
    reached = [run.started_at - run.since for run in Reconciliation.objects.order_by("pk")]
    assert [each > timedelta(days=100) for each in reached] == [True, False, True, False]
    assert not runs.is_long_due()


def test_a_long_run_that_was_stopped_goes_on_and_holds_up_no_short_one(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(alices)
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=200))
    runs.run()
    Reconciliation.objects.update(finished_at=timezone.now() - timedelta(days=2))
    real = runs._finish

    def time_is_up(report: Report) -> None:
        if report.run.started_at - report.run.since > timedelta(days=100):
            raise SoftTimeLimitExceeded
        real(report)

    with monkeypatch.context() as short_of_time:
        short_of_time.setattr(runs, "_finish", time_is_up)
        for _ in range(2):
            tasks.reconcile()
    # The first, a short one, the long one, another short one; the long one went on in vain.
    found = Reconciliation.objects.order_by("pk")
    assert [run.finished_at is None for run in found] == [False, False, True, False]
    tasks.reconcile()
    assert Reconciliation.objects.filter(finished_at=None).count() == 0
    assert Reconciliation.objects.count() == 5


def test_the_end_of_its_time_ends_a_run_wherever_it_comes(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library that asks Stripe would take it for a fault of the network, and the run would wait and go on."""
    pay(stripe, started(alices))

    def over(*_: Any, **__: Any) -> Any:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as late:
        late.setattr("requests.Session.request", over)
        with pytest.raises(SoftTimeLimitExceeded):
            runs.run()
        tasks.reconcile()
    [stopped] = Reconciliation.objects.all()
    assert stopped.finished_at is None
    assert good(runs.run()).pk == stopped.pk
    assert balance_cents(alices) == 100
