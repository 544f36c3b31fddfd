"""The pages that tell of disputes, in a browser under the product's own policy; staff ask Stripe again there."""

from collections.abc import Callable

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import expect

from accounts.models import User
from tests.journey.browser import chromium, needs_chromium
from tests.staffing.test_browser import fill, session_of, shoot, signed_in
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.test_disputes import disputed, hear, move, paid
from wallet import tasks
from wallet.models import Wallet

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch, alices: Wallet, stripe_at_hand: Sandbox) -> Callable[[], str]:
    """Disputes of each kind; the balance ends at nothing. Returns the id of one that waits for evidence."""
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)

    def told() -> str:
        won, lost, open_, asked = (paid(stripe_at_hand, alices, cents) for cents in (500, 1200, 2500, 300))
        ids = [disputed(stripe_at_hand, each) for each in (won, lost)]
        move(stripe_at_hand, ids[0], "win")
        move(stripe_at_hand, ids[1], "lose")
        waits = disputed(stripe_at_hand, open_, amount=3300, reason="product_not_received")
        for dispute_id in (*ids, waits, disputed(stripe_at_hand, asked, inquiry="true")):
            hear(dispute_id)
        return waits

    return told


def test_disputes_are_told_to_the_owner_and_to_staff(
    story: Callable[[], str], alice: User, staff: User, stripe_at_hand: Sandbox, live_server: object
) -> None:
    waits = story()
    owner, desk = session_of(alice), session_of(staff)
    with chromium() as browser:
        with signed_in(browser, str(live_server), owner) as page:
            page.goto("/wallet/")
            expect(page.get_by_text("so calls with your keys are refused")).to_be_visible()
            expect(page.get_by_text("The bank keeps it")).to_be_visible()
            shoot(page, "dispute-wallet")
        with signed_in(browser, str(live_server), desk) as page:
            page.goto("/admin/")
            shoot(page, "dispute-index")
            page.goto("/admin/wallet/dispute/")
            shoot(page, "dispute-queue")
            page.goto(f"/admin/wallet/dispute/{quote(waits)}/change/")
            shoot(page, "dispute")
            page.get_by_role("link", name="Ask Stripe again").click()
            shoot(page, "dispute-ask")
            move(stripe_at_hand, waits, "win")
            fill(page, "The bank wrote that it is with us.")
            page.get_by_role("button", name="Ask Stripe again").click()
            expect(page.get_by_text("Stripe was asked. It is won (The bank is with us).")).to_be_visible()
            shoot(page, "dispute-won")
