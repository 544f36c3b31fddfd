"""The statistics in a browser: the chart in both themes, at the widths that people have, and without scripts."""

import os
import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from logs.models import Call
from pricing.money import NANO_PER_USD
from tests.journey.browser import Complaints, chromium, needs_chromium, screenshots
from tests.logs import recorded
from tests.logs.test_statistics import RATES
from tests.logs.test_statistics_page import give
from tests.staffing.test_browser import session_of, signed_in
from wallet.wallets import wallet_of

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]
NAMES = (
    "gpt-4o",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "o4-mini",
    "deepseek-chat",
    "mistral-large",
    "w" * 60,
)
COLOURS = "Chart.getChart('chart').data.datasets.map((one) => one.backgroundColor)"

LIGHT, DARK = [46, 80, 194], [125, 155, 255]


@pytest.fixture
def calls(alice: User) -> None:
    draw = random.Random(6)
    versions = [recorded.model(name, RATES) for name in NAMES]
    keys = [recorded.key_of(alice, name) for name in ("Laptop", "Server", "w" * 80)]
    give(wallet_of(alice), 60 * NANO_PER_USD)
    now = timezone.now()
    for _ in range(220):
        usage = {
            "input_tokens": draw.randrange(1, 90_000), "cached_input_tokens": draw.choice([0, 50_000]),
            "output_tokens": draw.randrange(9_000),
        }  # fmt: skip
        changes = {"status": Call.Status.FAILED} if draw.random() < 0.05 else {}
        number = min(int(draw.expovariate(0.5)), len(versions) - 1)
        at = now - timedelta(seconds=draw.randrange(40 * 86_400))
        recorded.call(
            draw.choice(keys), versions[number], usage, at=at, latency_ms=draw.randrange(300, 9_000),
            first_token_ms=draw.randrange(100, 900), **changes,
        )  # fmt: skip


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        screenshots(page, Path(folder), name)


# How many pixels of the canvas have this colour exactly.
PIXELS = """([red, green, blue]) => {
    const canvas = document.getElementById("chart");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255) found += 1;
    }
    return found;
}"""


def is_drawn_in(page: Page, colour: list[int], *, not_in: list[int]) -> bool:
    """Whether the largest model's bars have this colour within two seconds, and none has the other theme's."""
    for _ in range(20):
        if page.evaluate(PIXELS, colour) > 1_000 and page.evaluate(PIXELS, not_in) == 0:
            return True
        page.wait_for_timeout(100)
    return False


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_the_chart_follows_the_theme(live_server: object, alice: User, calls: None) -> None:
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        complaints = Complaints(page)
        page.goto("/logs/statistics/")
        assert len(set(page.evaluate(COLOURS))) == 6
        assert is_drawn_in(page, LIGHT, not_in=DARK)
        page.locator("[data-theme-toggle]").first.click()
        assert is_drawn_in(page, DARK, not_in=LIGHT)
        assert page.evaluate("Chart.getChart('chart').options.scales.y.ticks.color") == "rgb(160, 170, 187)"
        page.emulate_media(color_scheme="light")
        page.evaluate("delete document.documentElement.dataset.theme")
        assert is_drawn_in(page, LIGHT, not_in=DARK)
        page.emulate_media(color_scheme="dark")
        assert is_drawn_in(page, DARK, not_in=LIGHT)
        page.emulate_media(color_scheme="light")
        assert is_drawn_in(page, LIGHT, not_in=DARK)
        page.get_by_role("link", name="Tokens", exact=True).last.click()
        expect(page.get_by_role("heading", name="Tokens by day")).to_be_visible()
        expect(page.get_by_role("img", name="Tokens by day from")).to_be_visible()
        assert complaints.found == []


@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits(live_server: object, alice: User, calls: None, width: int) -> None:
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("/logs/statistics/?preset=7d&by=hour&measure=calls")
        assert fits(page)
        page.goto("/logs/statistics/")
        assert fits(page)
        picture(page, "statistics")
        page.locator("summary", has_text="As a table").click()
        assert fits(page)
        picture(page, "statistics-table")


def test_without_scripts_the_table_has_it(live_server: object, alice: User, calls: None) -> None:
    session = session_of(alice)
    with chromium() as browser:
        context = browser.new_context(base_url=str(live_server), java_script_enabled=False)
        context.add_cookies([{"name": "sessionid", "value": session, "url": str(live_server)}])
        page = context.new_page()
        page.goto("/logs/statistics/")
        expect(page.locator("canvas")).to_be_hidden()
        expect(page.get_by_text("The drawing needs JavaScript.")).to_be_visible()
        page.locator("summary", has_text="As a table").click()
        expect(page.get_by_role("row", name="All $").first).to_be_visible()
