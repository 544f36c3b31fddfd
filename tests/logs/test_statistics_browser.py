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
from tests.journey.browser import Complaints, chromium, needs_chromium, screenshots
from tests.logs import recorded
from tests.staffing.test_browser import session_of, signed_in

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

LIGHT, DARK = "rgb(46, 80, 194)", "rgb(125, 155, 255)"


@pytest.fixture
def calls(alice: User) -> None:
    draw = random.Random(6)
    versions = [recorded.model(name) for name in NAMES]
    keys = [recorded.key_of(alice, name) for name in ("Laptop", "Server", "w" * 80)]
    now = timezone.now()
    for _ in range(220):
        usage = {
            "input_tokens": draw.randrange(1, 90_000), "cached_input_tokens": 0, "output_tokens": draw.randrange(9_000),
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


def is_drawn_in(page: Page, colour: str) -> bool:
    """Whether the largest model gets this colour, within two seconds."""
    for _ in range(20):
        if page.evaluate(COLOURS)[0] == colour:
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
        assert is_drawn_in(page, LIGHT)
        page.locator("[data-theme-toggle]").first.click()
        assert is_drawn_in(page, DARK)
        assert page.evaluate("Chart.getChart('chart').options.scales.y.ticks.color") == "rgb(160, 170, 187)"
        page.emulate_media(color_scheme="light")
        page.evaluate("delete document.documentElement.dataset.theme")
        assert is_drawn_in(page, LIGHT)
        page.emulate_media(color_scheme="dark")
        assert is_drawn_in(page, DARK)
        page.emulate_media(color_scheme="light")
        assert is_drawn_in(page, LIGHT)
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
