"""The pages of keys in a browser: nothing is cut off at the widths that people have."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from pricing import genai_listings, importing, per_use_listings
from tests.journey.browser import chromium, needs_chromium, screenshots
from tests.staffing.test_browser import session_of, signed_in
from tokens import keys
from tokens.keys import Rules
from tokens.models import ApiKey
from wallet.models import Wallet
from wallet.wallets import wallet_of

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]

LONG_NAME = "w" * keys.LONGEST_NAME


@pytest.fixture
def wallet(alice: User) -> Wallet:
    importing.run([*genai_listings.listings(), *per_use_listings.listings()])
    wallet = wallet_of(alice)
    keys.issue(wallet, "Laptop")
    keys.issue(wallet, "A status bar", ApiKey.Kind.QUERY)
    keys.issue(
        wallet, LONG_NAME, rules=Rules(limit_nanousd=10**9, period="month", period_limit_nanousd=10**8)
    )
    keys.revoke(keys.issue(wallet, LONG_NAME[:-1]).key)
    return wallet


def fits(page: Page) -> bool:
    """Whether neither the page nor a table in it is wider than there is room for."""
    return bool(
        page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('.table-wrap')]"
            ".every((each) => each.scrollWidth <= each.clientWidth)"
        )
    )


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        screenshots(page, Path(folder), name)


@pytest.mark.parametrize("width", [390, 1280, 1440])
def test_the_list_fits_and_leads_to_each_key(
    live_server: object, alice: User, wallet: Wallet, width: int
) -> None:
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("/tokens/")
        page.get_by_text("Show 1 revoked token").click()
        assert fits(page)
        picture(page, f"tokens-{width}")
        page.set_viewport_size({"width": width, "height": 900})
        page.get_by_role("link", name="Laptop", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Laptop")


def test_a_key_and_the_form_of_another_fit_a_phone(live_server: object, alice: User, wallet: Wallet) -> None:
    key = ApiKey.objects.get(name=LONG_NAME)
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        for name, address in (("token", f"/tokens/{key.pk}/"), ("model", "/pricing/gpt-4o-mini/")):
            for width in (390, 1440):
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(address)
                assert fits(page)
            picture(page, name)
