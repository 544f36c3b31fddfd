"""The webhook endpoint, and what people see of a run."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from cometsite import staff_index
from tests.stripe_sandbox.process import Sandbox, payment
from tests.wallet.books import balance_cents
from tests.wallet.reconciling.asking import good
from tests.wallet.reconciling.conftest import ENDPOINT
from tests.wallet.test_clearing import credited
from tests.wallet.test_topups import pay, started
from wallet import events
from wallet.models import Reconciliation, StripeTransaction, TopUp, Wallet
from wallet.reconciliation import runs, subscription
from wallet.stripe_api import listing

NEEDED = sorted(events.READERS)


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
