"""Refunds in a browser: from the form to the page that tells how it stands, light and dark, on a desk and on a phone."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.journey.browser import Complaints, chromium, needs_chromium
from tests.metering.gateway import give
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT
from tests.wallet.refunding import paid
from wallet import refunds
from wallet.models import Refund, Wallet

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(as_alice: Client, live_server: object) -> Iterator[Page]:
    session = as_alice.cookies[settings.SESSION_COOKIE_NAME].value
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=str(live_server))
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": str(live_server)}]
        )
        context.set_default_timeout(20_000)
        yield context.new_page()


def beside[T](work: Callable[[], T]) -> T:
    """In a thread of its own, because the browser's loop runs in this one."""
    found: T = at_once(1, lambda _: work())[0]
    return found


def shoot(page: Page, name: str) -> None:
    """For a person to look at, where they name a folder."""
    folder = os.environ.get("REFUND_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for width in (390, 1440):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_person_asks_for_a_refund_and_cancels_it(
    alices: Wallet, alice: User, page: Page, stripe_at_hand: Sandbox, as_django: Any
) -> None:
    complaints = Complaints(page)
    page.goto("/wallet/")
    shoot(page, "nothing")

    def fill() -> None:
        for cents in (1500, 1000, 500):
            paid(stripe_at_hand, alices, cents)
        give(alice, 7 * CENT + 3_000_000)

    beside(fill)
    page.goto("/wallet/")
    shoot(page, "wallet")
    form = page.locator("form[action='/wallet/refunds/']")
    form.get_by_label("Amount").fill("31")
    form.get_by_role("button", name="Refund").click()
    expect(form.locator(".error")).to_have_text("At most $30.00 can be refunded at the moment.")
    shoot(page, "too-much")
    form.get_by_label("Amount").fill("12.00")
    form.get_by_role("button", name="Refund").click()
    expect(page.locator("#refund-status")).to_have_attribute("data-state", "succeeded")
    shoot(page, "succeeded")
    as_django.REFUND_APPROVAL_ABOVE_CENTS = 1300
    page.goto("/wallet/")
    form.get_by_label("Amount").fill("2.00")
    form.get_by_role("button", name="Refund").click()
    expect(page.locator("#refund-status")).to_have_attribute("data-state", "waiting")
    shoot(page, "waiting")
    page.goto("/wallet/")
    shoot(page, "wallet-with-refunds")
    page.get_by_role("row", name="Waits for our approval").get_by_role("link", name="Open").click()
    page.get_by_role("button", name="Cancel the refund").click()
    expect(page.locator("#refund-status")).to_have_attribute("data-state", "canceled")
    shoot(page, "canceled")
    assert complaints.found == []


def test_a_page_that_is_left_open_shows_how_it_ends(
    alices: Wallet, page: Page, stripe_at_hand: Sandbox, as_django: Any
) -> None:
    beside(lambda: paid(stripe_at_hand, alices))
    as_django.STRIPE_API_BASE = "http://127.0.0.1:9"
    request_id = beside(lambda: refunds.start(alices, 400))
    page.goto(f"/wallet/refunds/{request_id}/")
    expect(page.locator("#refund-status")).to_contain_text("Stripe does not answer")
    shoot(page, "away")
    as_django.STRIPE_API_BASE = stripe_at_hand.url
    expect(page.locator("#refund-status")).to_have_attribute("data-state", "succeeded")
    assert beside(lambda: Refund.objects.get().state) == "succeeded"


@pytest.fixture
def as_django(settings: Any) -> Any:
    """The settings, which the server of this process reads too."""
    return settings


def test_all_amounts_of_a_refund_are_in_sight(
    alices: Wallet, page: Page, stripe_at_hand: Sandbox, as_django: Any
) -> None:
    def fill() -> str:
        for cents in (123456, 90000):
            paid(stripe_at_hand, alices, cents)
        request_id = refunds.start(alices, 200000)
        # As a payment with tax would have it, the widest the table gets.
        Refund.objects.update(state="waiting", tax_cents=12345)
        return str(request_id)

    request_id = beside(fill)
    page.goto(f"/wallet/refunds/{request_id}/")
    shoot(page, "taxed")
    for state in ("waiting", "failed"):
        beside(partial(Refund.objects.update, state=state))
        page.goto(f"/wallet/refunds/{request_id}/")
        for width in (390, 768, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            too_wide = page.locator(".table-wrap").evaluate("box => box.scrollWidth - box.clientWidth")
            assert too_wide <= 0, (state, width)
