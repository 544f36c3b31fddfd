"""The pages of promotion codes, saved cards and automatic top-ups, and the help on them, in a browser."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.journey.browser import chromium, needs_chromium
from tests.staffing.test_browser import session_of, shoot, signed_in
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.saved import switched_on
from tests.wallet.test_auto_topups import unanswered
from tests.wallet.test_payments import paid
from wallet import auto_topups, stripe_api, topups
from wallet.auto_topups.endings import STRIPE_FAILED
from wallet.models import Wallet
from wallet.stripe_api import Payment, StripeFailed
from wallet.topups.customers import customer_of

pytestmark = [pytest.mark.browser, needs_chromium]


def fits(page: Page) -> None:
    """Nothing is wider than a phone."""
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def story(
    alices: Wallet, stripe_at_hand: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, str]:
    """A part of a price and a whole one covered by codes, and a charge that Stripe failed about; their addresses."""
    settings.STRIPE_PROMOTION_CODES = settings.STRIPE_TAX = True
    part = paid(stripe_at_hand, alices, coupon="SAVE25", country="DE")
    whole = paid(stripe_at_hand, alices, coupon="FREE100")

    def failing(**_: Any) -> Payment:
        raise StripeFailed("Bad gateway.")

    switched_on(stripe_at_hand, alices, wish=auto_topups.Wish(2000, 1000, 5000))
    monkeypatch.setattr(stripe_api, "charge_card", failing)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    failed = auto_topups.settle(unanswered(top_up))
    part_path, whole_path, failed_path = (topups.path(one) for one in (part, whole, failed))
    return part_path, whole_path, failed_path


def test_what_became_of_payments_is_said(
    story: tuple[str, str, str], alice: User, alices: Wallet, stripe_at_hand: Sandbox, live_server: object
) -> None:
    part, whole, failed = story
    session, customer = session_of(alice), customer_of(alices)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto(part)
        expect(page.get_by_text("$10.00 less $2.50 by a promotion code")).to_be_visible()
        shoot(page, "code-part")
        fits(page)
        page.goto(whole)
        expect(page.get_by_role("heading", name="Nothing to pay")).to_be_visible()
        shoot(page, "code-whole")
        fits(page)
        page.goto(failed)
        expect(page.get_by_text("Your saved card was not charged")).to_be_visible()
        shoot(page, "auto-failed")
        page.goto("/wallet/")
        expect(page.get_by_text("A promotion code lowers what you pay")).to_be_visible()
        expect(page.locator("#auto-last")).to_contain_text(STRIPE_FAILED)
        shoot(page, "wallet-card")
        fits(page)
        assert stripe_at_hand.client().v1.customers.delete(customer).deleted
        page.goto("/wallet/card/")
        expect(page.locator("#auto-paused")).to_contain_text("The saved card was removed")
        shoot(page, "wallet-gone")
        page.goto("/help/")
        page.get_by_role("link", name="How does automatic top-up work?").click()
        expect(page.get_by_role("heading", name="What if my bank disputes a payment?")).to_be_visible()
        shoot(page, "help")
        fits(page)
