"""Many payments through the stand-in over real HTTP, with lost, doubled and reordered webhooks and a Stripe that fails.

After one reconciliation our books equal the stand-in's to the cent, per payment and in sum; and a fault planted into a copy
of either is found. `make simulate` does it with 10,000. A seed says what people do and what goes wrong; a failure of
any kind tells it.
"""

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from tests.books import assert_books
from tests.stripe_sandbox.process import KEY, SECRET, Sandbox
from tests.wallet.simulation.comparing import differences, taken_beyond_payments
from tests.wallet.simulation.planting import overlooked
from tests.wallet.simulation.shoppers import Shoppers
from wallet import events, invariants, tasks
from wallet.models import Dispute, Refund, StripeEvent, TopUp, Wallet
from wallet.reconciliation import runs
from wallet.stripe_api import listing
from wallet.wallets import wallet_of

PAYMENTS = int(os.environ.get("SIMULATED_PAYMENTS", "60"))
SEED = os.environ.get("SIMULATION_SEED", "")
TWO_DAYS_S = 2 * 86_400
QUIET_S = 60
# Those that need no more than one credited payment.
LEAST_PLANTED = 8


@pytest.fixture
def stripe(
    settings: Any, tmp_path: Path, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
    settings.SITE_URL = live_server.url
    settings.TOP_UPS_PER_HOUR = 1_000_000
    settings.STRIPE_TAX = settings.STRIPE_PROMOTION_CODES = True
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


@contextmanager
def repeatable() -> Iterator[str]:
    """A seed; whatever fails says how to have it again."""
    seed = SEED or secrets.token_hex(4)
    print(f"{PAYMENTS} payments, seed {seed}.", flush=True)
    try:
        yield seed
    except BaseException as error:
        error.add_note(f"The seed is {seed}. To have it again: make simulate PAYMENTS={PAYMENTS} SEED={seed}")
        raise


@pytest.mark.timeout(6 * 3600)
def test_everything_is_equal_after_one_reconciliation(stripe: Sandbox, wallets: list[Wallet]) -> None:
    with repeatable() as seed:
        began = time.monotonic()

        def reached(what: str) -> None:
            print(f"{what} after {time.monotonic() - began:.0f} s", flush=True)

        shoppers = Shoppers(stripe, wallets, seed)
        shoppers.save_cards()
        disturb(stripe, seed)
        for number in range(1, PAYMENTS + 1):
            shoppers.buy()
            if number % 500 == 0:
                reached(f"{number:,} payments")
        reached("Everybody has paid")
        # Pages expire, debits settle, refunds arrive or fail; and what is still queued comes.
        stripe.command("clock", seconds=TWO_DAYS_S)
        until_quiet(stripe)
        events.handle_due(limit=100_000)
        lost = unfinished()
        reached("Webhooks came to an end")
        run = runs.run()
        reached("Reconciled")
        excess = taken_beyond_payments(assert_equal(stripe))
        assert set(run.differences) == excess
        assert run.is_good == (not excess)
        # What comes late, after the reconciliation, changes nothing any more.
        events.handle_due()
        runs.run()
        books = assert_equal(stripe)
        missed, planted = overlooked(books)
        assert missed == []
        assert planted >= LEAST_PLANTED
        reached(f"{planted} planted faults were found")
        print(f"Compared: {run.compared}; repaired: {len(run.repaired)}.")
        report(shoppers, lost)


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


def unfinished() -> dict[str, int]:
    """What is still under way here."""
    return {
        "top-ups": TopUp.objects.filter(state__in=TopUp.UNFINISHED).count(),
        "refunds": Refund.objects.filter(state__in=Refund.UNFINISHED).count(),
    }


def assert_equal(stripe: Sandbox) -> dict[str, Any]:
    """Both books, and ours in themselves; the stand-in's are returned."""
    books: dict[str, Any] = stripe.request("GET", "/_sandbox/books").json
    found = differences(books)
    assert found == [], "\n".join(found[:20])
    assert invariants.check() == []
    assert_books()
    return books


def report(shoppers: Shoppers, lost: dict[str, int]) -> None:
    def counted(model: Any, name: str) -> dict[str, int]:
        return dict(Counter(model.objects.values_list(name, flat=True)))

    print(f"What people did: {dict(shoppers.done)}")
    print(f"Top-ups: {counted(TopUp, 'state')}; refunds: {counted(Refund, 'state')}")
    print(f"Disputes: {counted(Dispute, 'status')}; events: {counted(StripeEvent, 'state')}")
    print(f"Unfinished before the reconciliation: {lost}", flush=True)
