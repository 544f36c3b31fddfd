"""The log in a browser: calls that arrive while one reads, totals that come afterwards, a receipt checked in its row."""

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from playwright.sync_api import Page, expect

from accounts.models import User
from logs import pages
from pricing.models import PriceVersion
from tests.journey.browser import chromium, needs_chromium, screenshots
from tests.logs import recorded
from tests.staffing.test_browser import session_of, signed_in
from tokens.models import ApiKey

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]
NOW = datetime.now(UTC)


@pytest.fixture
def key(alice: User) -> ApiKey:
    return recorded.key_of(alice)


@pytest.fixture
def version() -> PriceVersion:
    return recorded.model()


def elsewhere[T](work: Callable[[], T]) -> T:
    """Does it in a thread of its own: where the browser is driven, Django's database is out of bounds."""

    def run() -> T:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        screenshots(page, Path(folder), name)


def test_calls_show_up_and_move_nothing(
    live_server: object, alice: User, key: ApiKey, version: PriceVersion
) -> None:
    old = [recorded.call(key, version, at=NOW - timedelta(minutes=number)) for number in range(40)]
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto("/logs/")
        page.get_by_role("link", name="Live", exact=True).click()
        expect(page).to_have_url(re.compile(r"live=1"))
        row = page.locator(f'[data-call-id="{old[20].pk}"]')
        row.locator("summary").click()
        expect(row.get_by_text("Balance after")).to_be_visible()
        top = row.evaluate("row => row.getBoundingClientRect().top")
        new = elsewhere(lambda: recorded.call(key, version))
        late = elsewhere(lambda: recorded.call(key, version, at=NOW - timedelta(seconds=90)))
        expect(page.locator("[data-call-id]")).to_have_count(42, timeout=10_000)
        shown = page.locator("[data-call-id]").evaluate_all("rows => rows.map(row => row.dataset.callId)")
        assert shown == sorted(shown, reverse=True)
        assert {str(new.pk), str(late.pk)} <= set(shown)
        assert row.get_attribute("open") is not None
        assert abs(row.evaluate("row => row.getBoundingClientRect().top") - top) < 2
        page.locator(f'[data-call-id="{late.pk}"] summary').click()
        expect(page.locator(f'[data-call-id="{late.pk}"]').get_by_text("Balance after")).to_be_visible()
        assert page.locator("[data-call-id] time[data-local]").count() >= 42
        expect(page.locator("#announcer")).to_have_text("2 new calls", timeout=15_000)
        expect(page.locator('[data-total="calls"]')).to_have_text("42")


def test_it_is_quiet_where_the_page_is_hidden_and_says_when_the_site_is_away(
    live_server: object, alice: User, key: ApiKey, version: PriceVersion
) -> None:
    recorded.call(key, version)
    session = session_of(alice)
    with chromium() as browser:
        # A browser complains of a site that is away.
        context = browser.new_context(base_url=str(live_server))
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": str(live_server)}]
        )
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/logs/?live=1")
        with page.expect_request(re.compile("seen=")):
            pass
        page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
        expect(page.get_by_text("Paused while this page is hidden.")).to_be_visible(timeout=5_000)
        count = len(asked)
        page.wait_for_timeout(4_500)
        assert len(asked) == count
        page.evaluate("delete document.hidden")
        expect(page.get_by_text("Live: new calls show up by themselves.")).to_be_visible(timeout=5_000)
        page.context.set_offline(True)
        expect(page.get_by_text("Paused: the site does not answer.")).to_be_visible(timeout=8_000)
        page.context.set_offline(False)
        expect(page.get_by_text("Live: new calls show up by themselves.")).to_be_visible(timeout=8_000)


def test_more_than_can_be_told_of_at_once(
    live_server: object, alice: User, key: ApiKey, version: PriceVersion
) -> None:
    recorded.call(key, version)
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto("/logs/?live=1")
        elsewhere(lambda: many(key, version))
        stop = page.get_by_role("link", name="Stop live")
        expect(stop).to_be_visible()
        expect(page.get_by_role("link", name="Live", exact=True)).to_be_hidden()
        expect(page.get_by_text("Stopped: more calls came in")).to_be_visible(timeout=10_000)
        expect(page.locator("[data-call-id]")).to_have_count(1)
        expect(page.locator('[data-total="calls"]')).to_have_text("1")
        expect(stop).to_be_hidden()
        expect(page.get_by_role("link", name="Live", exact=True)).to_be_visible()
        picture(page, "live-stopped")
        page.get_by_role("link", name="Show the newest").click()
        expect(page.locator("[data-call-id]")).to_have_count(50)
        expect(page.get_by_text("Live: new calls show up by themselves.")).to_be_visible()


@transaction.atomic
def many(key: ApiKey, version: PriceVersion) -> None:
    for _ in range(pages.PAGE_SIZE):
        recorded.call(key, version)


def test_the_first_call_of_all(live_server: object, alice: User, key: ApiKey, version: PriceVersion) -> None:
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto("/logs/?live=1")
        expect(page.get_by_text("No calls yet")).to_be_visible()
        elsewhere(lambda: recorded.call(key, version))
        expect(page.locator("[data-call-id]")).to_have_count(1, timeout=10_000)


def test_totals_afterwards_and_a_check_in_the_row(
    live_server: object, alice: User, key: ApiKey, version: PriceVersion
) -> None:
    for number in range(3):
        recorded.call(key, version, stream=number > 0)
    session = session_of(alice)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto("/logs/?stream=yes")
        expect(page.locator('[data-total="spend"]')).to_have_text("$0.012")
        page.locator("[data-call-id] summary").first.click()
        page.get_by_role("button", name="Re-check").click()
        expect(page.get_by_text("It matches: $0.006 was charged")).to_be_visible()
        assert page.url.endswith("/logs/?stream=yes")
        picture(page, "receipt")
        page.get_by_label("Time").select_option("Today (UTC)")
        page.get_by_label("From (UTC day)").fill("2026-01-31")
        page.get_by_label("From (UTC day)").dispatch_event("change")
        expect(page.get_by_label("Time")).to_have_value("")


def test_without_scripts(live_server: object, alice: User, key: ApiKey, version: PriceVersion) -> None:
    call = recorded.call(key, version, stream=True)
    session = session_of(alice)
    with chromium() as browser:
        context = browser.new_context(base_url=str(live_server), java_script_enabled=False)
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": str(live_server)}]
        )
        page = context.new_page()
        page.goto(f"/logs/{call.pk}/")
        for name in ("Copy request ID", "Print", "Copy as JSON"):
            expect(page.get_by_text(name)).to_be_hidden()
        page.goto("/logs/?stream=yes&live=1")
        expect(page.get_by_text("Load this page again to see newer calls.")).to_be_visible()
        page.get_by_role("link", name="Count them and sum them up").click()
        expect(page.locator('[data-total="calls"]')).to_have_text("1")
        page.locator("summary").filter(has_text="gpt-test").click()
        page.get_by_role("link", name="Show the receipt of this call").click()
        expect(page).to_have_url(re.compile(f"/logs/{call.pk}/"))
        page.get_by_role("button", name="Re-check").click()
        expect(page.get_by_text("It matches: $0.006 was charged")).to_be_visible()
        page.get_by_role("link", name="Open as JSON").click()
        expect(page.get_by_text('"charged_nanousd": 6000000')).to_be_visible()
    assert (pages.SEEN_DIGITS, pages.PAGE_SIZE) == (12, 50), "as in logs.js"
