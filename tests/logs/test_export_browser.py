"""An export in a browser: how far it is while it is downloaded, its stop, and a download without scripts."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import expect

from accounts.models import User
from logs import export_streams
from logs.export_copies import Copies
from tests.journey.browser import chromium, needs_chromium
from tests.logs import recorded
from tests.staffing.test_browser import session_of, signed_in

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]
CALLS = 60


@pytest.fixture
def session(alice: User) -> str:
    key, version = recorded.key_of(alice), recorded.model()
    for _ in range(CALLS):
        recorded.call(key, version)
    return session_of(alice)


def test_progress_and_stop(live_server: object, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = Copies.__iter__

    def slowly(self: Copies) -> Iterator[bytes]:
        for line in copied(self):
            time.sleep(0.2)
            yield line

    monkeypatch.setattr(export_streams, "BLOCK_BYTES", 1)
    monkeypatch.setattr(Copies, "__iter__", slowly)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto("/logs/")
        with page.expect_download() as begun:
            page.get_by_role("link", name="CSV").click()
        expect(page.get_by_text(f"of {CALLS} calls exported.")).to_be_visible()
        expect(page.get_by_role("progressbar", name="Export")).to_have_attribute("max", str(CALLS))
        with page.expect_download() as other:
            page.get_by_role("link", name="JSON Lines").click()
        expect(page.get_by_role("progressbar", name="Export")).to_have_count(2)
        page.get_by_role("button", name="Stop").first.click()
        expect(page.get_by_text("Stopped after")).to_be_visible()
        assert len(Path(other.value.path()).read_text().splitlines()) == CALLS, "each its own"
        written = Path(begun.value.path()).read_text().splitlines()
    assert written[-1] == '"INCOMPLETE: this export was stopped."'
    assert 1 < len(written) < CALLS


def test_without_scripts(live_server: object, session: str) -> None:
    with chromium() as browser:
        context = browser.new_context(base_url=str(live_server), java_script_enabled=False)
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": str(live_server)}]
        )
        page = context.new_page()
        page.goto("/logs/")
        with page.expect_download() as whole:
            page.get_by_role("link", name="JSON Lines").click()
        assert re.fullmatch(r"calls-\d{8}-\d{6}\.jsonl", whole.value.suggested_filename)
        assert len(Path(whole.value.path()).read_text().splitlines()) == CALLS
