"""The catalogue in a browser: it answers as one types, without a page load, and sends no pasted text anywhere."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request, expect

from accounts.models import User
from pricing import genai_listings, groups, importing, per_use_listings
from pricing.listings import UNDATED_FROM
from pricing.publishing import DatedRates
from tests.journey.browser import Complaints, chromium, needs_chromium, screenshots
from tests.pricing.lists import listing, rates
from tests.staffing.test_browser import session_of, signed_in
from wallet.models import Wallet
from wallet.wallets import wallet_of

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _models() -> None:
    tiered = (
        (0, {"input_tokens": 1_250_000, "cached_input_tokens": 125_000, "output_tokens": 10_000_000}),
        (200_000, {"input_tokens": 2_500_000, "output_tokens": 15_000_000}),
    )
    history = (
        DatedRates(UNDATED_FROM, rates(5_000_000, 15_000_000)),
        DatedRates(datetime(2026, 3, 13, tzinfo=UTC), rates(2_500_000, 10_000_000)),
        DatedRates(datetime(2026, 8, 6, tzinfo=UTC), tiered),
        DatedRates(timezone.now() + timedelta(days=30), rates(1_000_000, 8_000_000)),
    )
    ours = listing("aurora-5-pro", title="Aurora 5 Pro", context_window=400_000, history=history)
    importing.run([*genai_listings.listings(), *per_use_listings.listings(), ours])


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        screenshots(page, Path(folder), name)


def fits(page: Page) -> bool:
    """Whether nothing is wider than a phone."""
    page.set_viewport_size({"width": 390, "height": 844})
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_the_catalogue_answers_as_one_types(live_server: object) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        complaints = Complaints(page)
        page.goto("/pricing/")
        assert fits(page)
        page.evaluate("window.stayed = true")
        page.get_by_label("Search").press_sequentially("aurora", delay=20)
        expect(page.get_by_role("status").filter(has_text="1 of ")).to_be_visible()
        expect(page).to_have_url(re.compile("q=aurora"))
        page.get_by_label("Search").fill("%_%_%")
        expect(page.get_by_text("No model matches")).to_be_visible()
        assert page.evaluate("window.stayed")
        assert complaints.found == []
        page.goto("/pricing/")
        picture(page, "catalogue")


def test_a_price_follows_what_is_typed_and_pasted(live_server: object) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        complaints = Complaints(page)
        sent: list[Request] = []
        page.goto("/pricing/aurora-5-pro/")
        assert fits(page)
        page.on("request", lambda request: sent.append(request))
        total = page.locator("#answer [data-nanousd]")
        page.get_by_label("Answer length").fill("0")
        page.get_by_label("Prompt length").press("End")  # After the 1000 there.
        page.get_by_label("Prompt length").press_sequentially("000", delay=20)
        expect(total).to_have_text("$2.50")
        page.get_by_label("Prompt length").fill("1e30")
        expect(page.locator("#error-input_tokens")).to_have_text(re.compile("Write a whole number"))
        expect(page.get_by_label("Prompt length")).to_have_attribute("aria-invalid", "true")
        page.get_by_text("Count a text").click()
        page.get_by_label("Your text").fill("Only for my eyes")
        expect(page.get_by_label("Prompt length")).to_have_value("4")
        expect(page.locator("#error-input_tokens")).to_be_hidden()
        expect(page.get_by_label("Prompt length")).not_to_have_attribute("aria-invalid", "true")
        expect(total).to_have_text("$0.000005")
        assert sent
        assert all("eyes" not in f"{each.url}{each.post_data}" for each in sent)
        assert complaints.found == []
        picture(page, "model")


def test_an_estimate_keeps_what_was_typed_when_the_model_changes(live_server: object) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        complaints = Complaints(page)
        page.goto("/pricing/estimate/?model=aurora-5-pro&input_tokens=2000&output_tokens=0")
        expect(page.locator("#answer [data-nanousd]")).to_have_text("$0.0025")
        assert fits(page)
        page.get_by_label("Model", exact=True).fill("aurora-5")
        page.get_by_label("Model", exact=True).blur()
        expect(page.locator("#error-model")).to_have_text("There is no model of this name for sale.")
        page.get_by_label("Model", exact=True).fill("gpt-4o")
        page.get_by_label("Model", exact=True).blur()
        expect(page.locator("#answer [data-nanousd]")).to_have_text("$0.005")
        page.reload()
        expect(page.locator("#answer [data-nanousd]")).to_have_text("$0.005")
        assert complaints.found == []
        picture(page, "estimate")


def test_characters_are_counted_one_by_one(live_server: object) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        page.goto("/pricing/estimate/?model=tts-1")
        page.get_by_text("Count a text").click()
        page.get_by_label("Your text").fill("naïve 🙂!")
        expect(page.get_by_label("Characters")).to_have_value("8")
        expect(page.locator("#counted")).to_have_text("8 characters")
        expect(page.locator("#answer [data-nanousd]")).to_have_text("$0.00012")
        # Another model, and the text is counted for it: twelve bytes, so three tokens.
        page.get_by_label("Model", exact=True).fill("gpt-4o")
        page.get_by_label("Model", exact=True).blur()
        expect(page.get_by_label("Prompt length")).to_have_value("3")
        expect(page.get_by_label("Your text")).to_have_value("naïve 🙂!")
        expect(page.locator("#answer tbody .num").first).to_have_text("3")


def test_models_side_by_side(alice: User, live_server: object) -> None:
    address = (
        "/pricing/compare/?model=aurora-5-pro&model=gpt-4o&model=claude-sonnet-4-5&model=gemini-2.5-flash"
    )
    group = groups.create("Partners", 8_000)
    Wallet.objects.filter(pk=wallet_of(alice).pk).update(customer_group=group)
    session = session_of(alice)
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        complaints = Complaints(page)
        page.goto(address)
        row = page.locator("tr.priced td strong")
        expect(row).to_have_count(4)
        assert fits(page)
        page.get_by_label("Answer length").fill("0")
        expect(row.first).to_have_text("$0.00125")
        page.get_by_label("Model 2").fill("")
        page.get_by_label("Model 2").blur()
        expect(row).to_have_count(3)
        page.reload()
        expect(row).to_have_count(3)
        expect(row.first).to_have_text("$0.00125")
        assert complaints.found == []
        page.goto(address)
        picture(page, "compare")
        with signed_in(browser, str(live_server), session) as own:
            own.goto("/pricing/aurora-5-pro/")
            expect(own.get_by_text("Your group, Partners, pays × 0.8")).to_be_visible()
            picture(own, "model-member")


def test_estimates_need_no_script(live_server: object) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server), java_script_enabled=False)
        page.goto("/pricing/aurora-5-pro/")
        expect(page.get_by_text("Count a text")).to_be_hidden()
        page.get_by_label("Prompt length").fill("1,000,000")
        page.get_by_label("Answer length").fill("0")
        page.get_by_role("button", name="Estimate").click()
        expect(page.locator("#answer [data-nanousd]")).to_have_text("$2.50")
        page.get_by_role("link", name="Compare it").click()
        page.get_by_label("Model 2").fill("nothing")
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("#error-model-2")).to_have_text("There is no model of this name for sale.")
        page.goto("/pricing/")
        page.get_by_label("Search").fill("aurora")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("link", name="aurora-5-pro")).to_be_visible()
