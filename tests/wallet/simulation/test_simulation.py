"""Many payments through the stand-in over real HTTP, with lost, doubled and reordered webhooks and a Stripe that fails.

After one reconciliation our books equal the stand-in's to the cent, per payment and in sum. `make simulate` does it with
10,000. A seed says what people do and what goes wrong; a failure prints it.
"""

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from tests.books import assert_books
from tests.stripe_sandbox.process import KEY, SECRET, Sandbox
from tests.wallet.simulation.comparing import differences
from tests.wallet.simulation.shoppers import Shoppers, unfinished
from wallet import events, invariants, tasks
from wallet.models import Refund, StripeEvent, StripeTransaction, TopUp, Wallet
from wallet.reconciliation import runs
from wallet.stripe_api import listing
from wallet.wallets import wallet_of

PAYMENTS = int(os.environ.get("SIMULATED_PAYMENTS", "60"))
SEED = os.environ.get("SIMULATION_SEED", "")
TWO_DAYS_S = 2 * 86_400
QUIET_S = 60


@pytest.fixture
def stripe(
    settings: Any, tmp_path: Path, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
    settings.SITE_URL = live_server.url
    settings.TOP_UPS_PER_HOUR = 1_000_000
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)
    monkeypatch.setattr(listing, "_sleep", lambda seconds: None)
    # Errors are logged by the thousand; what counts is what is in the books.
    monkeypatch.setattr("logging.Logger.handle", lambda self, record: None)
    address = live_server.url + reverse("stripe_webhook")
    with Sandbox(tmp_path / "stripe", "--bank-delay", "3600", "--webhook-url", address).running() as sandbox:
        settings.STRIPE_API_BASE = sandbox.url
        yield sandbox


@pytest.fixture
def wallets(transactional_db: None) -> list[Wallet]:
    people = range(max(5, PAYMENTS // 20))
    return [wallet_of(User.objects.create_user(f"shopper{number}@example.com")) for number in people]


@pytest.mark.timeout(6 * 3600)
def test_everything_is_equal_after_one_reconciliation(stripe: Sandbox, wallets: list[Wallet]) -> None:
    seed = SEED or secrets.token_hex(4)
    again = f"SIMULATED_PAYMENTS={PAYMENTS} SIMULATION_SEED={seed} repeats this."
    print(f"{PAYMENTS} payments, seed {seed}.", flush=True)
    began = time.monotonic()
    shoppers = Shoppers(stripe, wallets, seed)
    shoppers.save_cards()
    disturb(stripe, seed)
    for number in range(1, PAYMENTS + 1):
        shoppers.buy()
        if number % 500 == 0:
            print(f"{number:,} payments after {time.monotonic() - began:.0f} s", flush=True)
    print(f"Everybody has paid after {time.monotonic() - began:.0f} s", flush=True)
    # Pages expire, debits settle, refunds arrive or fail; and what is still queued comes.
    stripe.command("clock", seconds=TWO_DAYS_S)
    until_quiet(stripe)
    events.handle_due(limit=100_000)
    lost = unfinished()
    print(f"Webhooks came to an end after {time.monotonic() - began:.0f} s", flush=True)
    run = runs.run()
    print(f"Reconciled after {time.monotonic() - began:.0f} s", flush=True)
    assert run.differences == [], again
    assert run.is_good, again
    found = differences(stripe.request("GET", "/_sandbox/books").json, in_refund_cents=in_refund())
    assert found == [], f"{found[:20]}; {again}"
    assert invariants.check() == [], again
    assert_books()
    for sweep in (events.handle_due, runs.run):
        # What comes late, after the reconciliation, changes nothing any more.
        sweep()
    late = differences(stripe.request("GET", "/_sandbox/books").json, in_refund_cents=in_refund())
    assert late == [], f"{late[:20]}; {again}"
    report(shoppers, run.compared, len(run.repaired), lost, time.monotonic() - began)


def disturb(stripe: Sandbox, seed: str) -> None:
    """10 % of the events are never made; of the others 30 % are doubled, 10 % lost, 50 % overtaken.

    5 % of the API's answers are errors, some of them after the work was done.
    """
    stripe.command("webhooks/disturb", never=10, duplicate=30, drop=10, reorder=50, reorder_s=1, seed=seed)
    for kind, share in (("error_before", 2), ("error_after", 2), ("rate_limit", 1)):
        stripe.command("faults", kind=kind, share=share, path="/v1/*", seed=f"{seed} {kind}")


def until_quiet(stripe: Sandbox) -> None:
    deadline = time.monotonic() + QUIET_S + PAYMENTS / 10
    while stripe.request("GET", "/_sandbox/webhooks").json["deliveries"].get("pending", 0):
        assert time.monotonic() < deadline, "Webhooks do not come to an end."
        time.sleep(0.1)


def in_refund() -> Counter[str]:
    """What people were promised and Stripe has not sent yet, by customer."""
    waiting: Counter[str] = Counter()
    for row in Refund.objects.filter(state__in=Refund.UNFINISHED).select_related("wallet__stripe_customer"):
        sent = StripeTransaction.objects.filter(source_id=row.refund_id or "-", state="booked").exists()
        if not sent:
            waiting[row.wallet.stripe_customer.customer_id] += row.amount_cents + row.tax_cents
    return waiting


def report(
    shoppers: Shoppers, compared: dict[str, int], repaired: int, lost: dict[str, int], seconds: float
) -> None:
    states = Counter(TopUp.objects.values_list("state", flat=True))
    parked = Counter(StripeEvent.objects.values_list("state", flat=True))
    print(f"What people did: {dict(shoppers.done)}")
    print(
        f"Top-ups: {dict(states)}; refunds: {dict(Counter(Refund.objects.values_list('state', flat=True)))}"
    )
    print(f"Events: {dict(parked)}; unfinished before the reconciliation: {lost}")
    print(f"Compared: {compared}; repaired: {repaired}; {seconds:.0f} s in all.", flush=True)
