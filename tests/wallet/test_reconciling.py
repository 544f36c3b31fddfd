"""Reconciliation against a stand-in of its own, over HTTP, without a single event."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from cometsite import staff_index
from tests import plugin
from tests.books import assert_books
from tests.parallel import at_once
from tests.stripe_sandbox.process import KEY, ROOT, SECRET, Sandbox, payment, until
from tests.wallet.books import CENT, balance_cents
from tests.wallet.test_clearing import credited, lies
from tests.wallet.test_topups import pay, started
from wallet import clearing, events, invariants, ledger
from wallet.models import Code, Reconciliation, StripeTransaction, TopUp, Transfer, Wallet
from wallet.reconciliation import runs, subscription
from wallet.stripe_api import StripeUnavailable, listing

ENDPOINT = "http://127.0.0.1:8000/wallet/stripe/webhook/"
NEEDED = sorted(events.READERS)


@pytest.fixture
def stripe(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """With no past, so that all that lies there is this test's."""
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    settings.SITE_URL = "http://127.0.0.1:8000"
    # What people do is done in hundreds here.
    settings.TOP_UPS_PER_HOUR = 10_000
    monkeypatch.setattr(listing, "_sleep", lambda seconds: None)
    with Sandbox(tmp_path / "stripe", "--bank-delay", "86400").running() as sandbox:
        settings.STRIPE_API_BASE = sandbox.url
        sandbox.client().v1.webhook_endpoints.create({"url": ENDPOINT, "enabled_events": ["*"]})
        sandbox.command("webhooks/drop")
        yield sandbox


def good(run: Reconciliation) -> Reconciliation:
    assert run.differences == []
    assert run.is_good
    assert_books()
    assert invariants.check() == []
    return run


def many(wallet: Wallet, count: int) -> list[TopUp]:
    return [started(wallet, 100 + number) for number in range(count)]


def test_what_no_event_told_is_credited_once(alices: Wallet, stripe: Sandbox) -> None:
    paid, waiting, closed = many(alices, 3)
    pay(stripe, paid)
    pay(stripe, waiting, "bank")
    stripe.client().v1.checkout.sessions.expire(str(closed.session_id))
    run = good(runs.run())
    assert (balance_cents(alices), lies("stripe_clearing")) == (100, 67)
    told = " ".join(run.repaired)
    assert f"Top-up {paid.pk} was open, and is paid now, with $1.00 credited" in told
    assert f"Top-up {waiting.pk} was open, and is pending now" in told
    assert f"Top-up {closed.pk} was open, and is expired now" in told
    assert len(run.repaired) == 3
    assert (run.compared["sessions"], run.compared["balance transactions"]) == (3, 1)
    assert (run.clearing_nanousd, run.stripe_nanousd, run.in_transit_nanousd) == (67 * CENT, 67 * CENT, 0)
    again = good(runs.run())
    assert again.repaired == []
    assert balance_cents(alices) == 100
    assert Transfer.objects.count() == 2


def test_a_debit_that_settles_after_the_window(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 500)
    pay(stripe, top_up, "bank")
    good(runs.run())
    # Five days later: the session lies outside of the window of a recent run, the settlement within.
    later = timezone.now() + timedelta(minutes=5)
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=5))
    run = good(runs.run(since=later))
    assert run.compared == {"unfinished top-ups": 1}
    assert (balance_cents(alices), run.in_transit_nanousd) == (500, 500 * CENT)
    assert good(runs.run()).in_transit_nanousd == 0
    assert StripeTransaction.objects.get().type == "payment"


def test_a_payment_of_no_wallet_is_one_difference(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 200))
    session = stripe.client().v1.checkout.sessions.create(payment())
    stripe.command(f"sessions/{session.id}/pay", method="card")
    stripe.client().v1.checkout.sessions.create(payment())  # not paid: nobody's business
    intent = stripe.client().v1.checkout.sessions.retrieve(session.id).payment_intent
    run = runs.run()
    payment_in_no_wallet, sums = run.differences
    assert f"Payment {intent} of $1.00 at Stripe is in no wallet" in payment_in_no_wallet
    assert "stripe_clearing holds $1.64; Stripe's balance transactions sum to $2.31" in sums
    assert "-$0.67 too much here (unexplained transactions make -$0.67 of it)" in sums
    assert not run.is_good
    assert runs.last_good() is None
    assert balance_cents(alices) == 200
    assert invariants.check() == []


def test_a_payment_of_no_wallet_that_was_given_back_is_explained(
    alices: Wallet, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay(stripe, started(alices, 200))
    session = stripe.client().v1.checkout.sessions.create(payment())
    stripe.command(f"sessions/{session.id}/pay", method="card")
    assert len(runs.run().differences) == 2
    stripe.command(f"charges/{session.id}/refund", amount=60)
    stripe.command(f"charges/{session.id}/refund")
    # Within a day it may still turn out to be somebody's.
    assert "is in no wallet" in " ".join(runs.run().differences)
    monkeypatch.setattr(clearing, "UNCLAIMED", timedelta())
    good(runs.run())
    assert (balance_cents(alices), lies("refunds_pending"), lies("stripe_clearing")) == (200, 0, 164 - 33)
    assert good(runs.run()).repaired == []


def test_what_is_credited_without_a_payment_is_a_difference(alices: Wallet, stripe: Sandbox) -> None:
    credited(alices, 300, payment="pi_invented")
    run = runs.run()
    assert [told for told in run.differences if "pi_invented" in told] == [
        f"Top-up {TopUp.objects.get().pk} is credited with $3.00, but Stripe knows no payment pi_invented."
    ]


@pytest.mark.parametrize("change", [{"received_cents": 101}, {"received_cents": 99}, {"tax_cents": 1}])
def test_another_amount_than_stripes_is_a_difference(
    alices: Wallet, stripe: Sandbox, change: dict[str, int]
) -> None:
    top_up = started(alices)
    pay(stripe, top_up)
    with transaction.atomic():
        # As a fault of ours would: the credit is not what Stripe received.
        TopUp.objects.filter(pk=top_up.pk).update(
            **{
                "state": "paid",
                "received_cents": 100,
                "tax_cents": 0,
                "payment_intent_id": _intent(stripe, top_up),
            }
            | change
        )
    run = runs.run()
    assert any(f"is $1.00 at Stripe; top-up {top_up.pk} has" in told for told in run.differences)
    assert any("stripe_clearing holds $0.00; Stripe's" in told for told in run.differences)


def test_a_parked_top_up_whose_payment_came_is_a_difference(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices)
    pay(stripe, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=1)
    run = runs.run()
    assert any("is in no wallet: top-up" in told and "is parked" in told for told in run.differences)
    assert balance_cents(alices) == 0


def test_a_transfer_past_the_books_of_stripe_shows_in_the_sum(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    good(runs.run())
    with transaction.atomic():
        ledger.post(
            code=Code.PAYOUT,
            reference="payout:by hand",
            debit=ledger.house("bank"),
            credit=ledger.house("stripe_clearing"),
            amount_nanousd=7 * CENT,
        )
    [told] = runs.run().differences
    assert "holds $0.60; Stripe's balance transactions sum to $0.67, and $0.00 is on its way there" in told
    assert [finding.invariant.name for finding in invariants.check()] == ["stripe_clearing"]


def test_a_lie_about_a_transaction_breaks_an_invariant(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    good(runs.run())
    StripeTransaction.objects.update(fee_cents=34)
    assert {finding.invariant.name for finding in invariants.check()} == {
        "stripe_transactions",
        "stripe_clearing",
    }
    StripeTransaction.objects.update(fee_cents=33, source_id="ch_other")
    assert "of no top-up of that amount" in invariants.check()[0].ids[0]


# What came of payments


def test_a_refund_and_its_failure_that_no_event_told(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    good(runs.run())
    made = stripe.command(f"charges/{top_up.session_id}/refund", amount=400, outcome="waits")["refund"]
    run = good(runs.run())
    assert f"Refund {made['id']} of $4.00 was unknown here, and is" in run.repaired[0]
    assert (balance_cents(alices), lies("refunds_pending")) == (600, -400 + _left_stripe())
    stripe.command(f"refunds/{made['id']}/succeed")
    good(runs.run())
    assert (balance_cents(alices), lies("refunds_pending")) == (600, 0)
    stripe.command(f"refunds/{made['id']}/fail")
    run = good(runs.run())
    assert f"Refund {made['id']} of $4.00 was succeeded, and is failed now." in run.repaired
    assert (balance_cents(alices), lies("refunds_pending"), lies("stripe_clearing")) == (1000, 0, 941)


def _left_stripe() -> int:
    gone = StripeTransaction.objects.filter(type="refund").values_list("amount_cents", flat=True)
    return -sum(gone)


def test_a_dispute_that_no_event_told(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    opened = stripe.command(f"charges/{top_up.session_id}/dispute")["dispute"]
    run = good(runs.run())
    assert f"Dispute {opened['id']} is needs_response now, with $10.00 withdrawn" in " ".join(run.repaired)
    assert (balance_cents(alices), lies("disputes"), lies("stripe_fees")) == (0, 0, 59 + 1500)
    stripe.command(f"disputes/{opened['id']}/win")
    run = good(runs.run())
    assert run.repaired == [
        f"Dispute {opened['id']} is won now, with $10.00 withdrawn and $10.00 reinstated; here it was needs_response."
    ]
    assert (balance_cents(alices), lies("disputes"), lies("stripe_clearing")) == (1000, 0, 941 - 1500)
    assert good(runs.run()).repaired == []


def test_a_dispute_on_day_90(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up)
    good(runs.run())
    # What its own list shows lies in the window; its payment is long gone from it.
    later = timezone.now() + timedelta(seconds=2)
    stripe.command("clock", seconds=90 * 86_400)
    stripe.command(f"charges/{top_up.session_id}/dispute", amount=300)
    run = good(runs.run(since=later))
    assert (run.compared.get("charges"), run.compared["disputes"]) == (None, 1)
    assert balance_cents(alices) == 700


def test_a_debit_that_comes_back_after_it_succeeded(alices: Wallet, stripe: Sandbox) -> None:
    top_up = started(alices, 1000)
    pay(stripe, top_up, "bank")
    stripe.command(f"sessions/{top_up.session_id}/settle", outcome="succeeds")
    good(runs.run())
    stripe.command(f"charges/{top_up.session_id}/return")
    run = good(runs.run())
    assert f"A bank took $10.00 of top-up {top_up.pk} back" in run.repaired[0]
    assert (balance_cents(alices), lies("stripe_clearing"), lies("refunds_pending")) == (0, -59, 0)
    assert good(runs.run()).repaired == []


def test_a_payout_and_a_fee(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 1000))
    sent = stripe.command("payouts", amount=500)["payout"]
    stripe.command("balance_transactions", amount=-25)
    good(runs.run())
    assert (lies("bank"), lies("stripe_fees"), lies("stripe_clearing")) == (500, 59 + 25, 416)
    stripe.command(f"payouts/{sent['id']}/fail")
    good(runs.run())
    assert (lies("bank"), lies("stripe_clearing")) == (0, 916)


# Paging


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
    run = good(until(_run_where_nobody_does))
    assert run.pk == stopped.pk
    assert (run.compared["sessions"], run.compared["balance transactions"]) == (130, 130)
    assert Transfer.objects.filter(code="top_up").count() == 130


def _run_where_nobody_does() -> Reconciliation | None:
    try:
        return runs.run()
    except runs.AlreadyRunning:
        return None


# Rate limits


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


# One at a time


def test_one_run_at_a_time(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    with runs._alone():
        assert at_once(3, lambda _: _run_where_nobody_does()) == [None, None, None]
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


# How far back


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


# The webhook endpoint


def test_an_endpoint_as_it_should_be(stripe: Sandbox) -> None:
    assert subscription.warnings() == []


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"disabled": True}, "is disabled at Stripe"),
        ({"url": "http://127.0.0.1:8000/elsewhere/"}, "Stripe has no webhook endpoint with the address"),
        ({"enabled_events": NEEDED[1:]}, f"not subscribed to {NEEDED[0]}."),
        ({"enabled_events": NEEDED}, ""),
        ({"url": ENDPOINT.rstrip("/")}, ""),
    ],
)
def test_an_endpoint_that_lacks_something(
    alices: Wallet, stripe: Sandbox, change: dict[str, Any], warning: str
) -> None:
    v1 = stripe.client().v1
    v1.webhook_endpoints.update(v1.webhook_endpoints.list().data[0].id, change)  # type: ignore[arg-type]  # one of many
    pay(stripe, started(alices))
    run = good(runs.run())
    assert balance_cents(alices) == 100
    assert (warning in " ".join(run.warnings)) if warning else run.warnings == []
    assert runs.problems() == run.warnings


def test_an_endpoint_of_another_version(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.SITE_URL = "http://127.0.0.1:8000"
    old = listing.Endpoint(ENDPOINT, "enabled", "2020-08-27", frozenset({"*"}))
    monkeypatch.setattr(listing, "endpoints", lambda: [old])
    assert "sends events in version 2020-08-27; objects are read in 2026" in subscription.warnings()[0]


# What people see


def command(**options: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("reconcile_stripe", stdout=out, stderr=err, **options)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_the_command_says_what_it_did(alices: Wallet, stripe: Sandbox) -> None:
    pay(stripe, started(alices))
    code, out, err = command()
    assert (code, err) == (0, "")
    assert "1 sessions" in out
    assert "is paid now, with $1.00 credited" in out
    assert "stripe_clearing holds $0.67; Stripe's balance transactions sum to $0.67" in out
    assert "Everything at Stripe is in the books, to the cent." in out


def test_the_command_exits_1_where_a_difference_is_left(alices: Wallet, stripe: Sandbox) -> None:
    credited(alices, 300, payment="pi_invented")
    code, out, err = command(since=(timezone.now() - timedelta(days=1)).date().isoformat())
    assert code == 1
    assert "DIFFERENCE Top-up" in err
    assert "Stripe knows no payment pi_invented" in err
    assert "Everything" not in out


def test_health_is_degraded_and_the_first_page_alarms(
    alices: Wallet, stripe: Sandbox, staff: User, client: Client
) -> None:
    def seen() -> tuple[list[str], str]:
        staff_index.forget()
        found = {number.title: number for number in staff_index.numbers().waiting}["Stripe"]
        answer = client.get("/readyz")
        assert answer.status_code == 200
        of_stripe = [told for told in answer.json()["problems"] if "Stripe" in told]
        assert bool(of_stripe) <= (answer.json()["status"] == "degraded")
        return of_stripe, f"{found.value}, {found.note}{'!' if found.is_alarming else ''}"

    assert seen() == ([], "–, not compared yet")
    started(alices)
    TopUp.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert seen() == (
        ["there was no reconciliation with Stripe without a difference yet"],
        "–, not compared yet!",
    )
    good(runs.run())
    assert seen() == ([], "Equal, compared 0 min ago")
    Reconciliation.objects.update(finished_at=timezone.now() - timedelta(minutes=90))
    late = "the last reconciliation with Stripe without a difference is 90 minutes old"
    assert seen() == ([late], "Equal, compared 90 min ago!")
    credited(alices, 300, payment="pi_invented")
    runs.run()
    assert seen() == ([late], "1 differ, equal 90 min ago!")


def test_staff_read_runs_and_transactions(
    alices: Wallet, stripe: Sandbox, staff: User, client: Client
) -> None:
    pay(stripe, started(alices))
    session = stripe.client().v1.checkout.sessions.create(payment())
    stripe.command(f"sessions/{session.id}/pay", method="card")
    run = runs.run()
    client.force_login(staff)
    page = client.get(f"/admin/wallet/reconciliation/{run.pk}/change/").content.decode()
    assert "is in no wallet" in page
    assert "$0.67" in page
    assert client.get("/admin/wallet/reconciliation/").status_code == 200
    listed = client.get("/admin/wallet/stripetransaction/?state__exact=unexplained").content.decode()
    [odd] = StripeTransaction.objects.filter(state="unexplained")
    [fine] = StripeTransaction.objects.filter(state="booked")
    assert odd.pk in listed
    assert fine.pk not in listed
    assert (
        f"stripe_fee:{fine.pk}"
        in client.get(f"/admin/wallet/stripetransaction/{fine.pk}/change/").content.decode()
    )
    assert client.post(f"/admin/wallet/stripetransaction/{fine.pk}/change/", {}).status_code == 403


def _intent(stripe: Sandbox, top_up: TopUp) -> str:
    return str(stripe.client().v1.checkout.sessions.retrieve(str(top_up.session_id)).payment_intent)
