"""The forms in a browser: under the panel's policy, by a person who sends one twice, on a phone and on a desk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from accounts.models import AuditEntry, User
from tests.journey.browser import Complaints, chromium, needs_chromium, screenshots
from tests.staffing.conftest import browser as client_of
from tests.staffing.test_acts import DOLLAR, STARTER
from wallet import ledger
from wallet.models import Transfer, Wallet

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]


@contextmanager
def signed_in(browser: Browser, site: str, session: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=site)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site}])
    context.set_default_timeout(20_000)
    page = context.new_page()
    complaints = Complaints(page)
    yield page
    assert complaints.found == []
    context.close()


def session_of(user: User) -> str:
    """Made before the browser starts: in its thread Django's database is out of bounds."""
    return client_of(user).cookies[settings.SESSION_COOKIE_NAME].value


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("ADMIN_SCREENSHOTS"):
        screenshots(page, Path(folder), name)
        page.set_viewport_size({"width": 1440, "height": 900})


def fill(page: Page, reason: str, amount: str | None = None) -> None:
    page.get_by_label("Why").fill(reason)
    if amount is not None:
        page.get_by_label("Amount in dollars").fill(amount)


def test_two_people_grant_credit(
    keeper: User, second: User, wallet: Wallet, starter: Transfer, live_server: object
) -> None:
    first, other = session_of(keeper), session_of(second)
    with chromium() as browser:
        with signed_in(browser, str(live_server), first) as page:
            page.goto(f"/admin/wallet/wallet/{wallet.pk}/change/")
            shoot(page, "wallet")
            page.get_by_role("link", name="Grant credit").click()
            fill(page, "Late delivery, ticket 17.", "-5")
            page.get_by_role("button", name="Grant credit").click()
            expect(page.get_by_text("Enter an amount above zero.")).to_be_visible()
            shoot(page, "grant-refused")
            fill(page, "Late delivery, ticket 17.", "250")
            shoot(page, "grant")
            page.get_by_role("button", name="Grant credit").dblclick()
            expect(page.get_by_text("$250.00 waits for a second person")).to_be_visible()
            shoot(page, "waiting")
            page.goto(f"/admin/wallet/transfer/{starter.pk}/correct/")
            shoot(page, "correct")
            page.goto("/admin/")
            shoot(page, "index")
        with signed_in(browser, str(live_server), other) as page:
            page.goto("/admin/wallet/proposal/?state__exact=waiting")
            page.locator("#result_list a", has_text=":").first.click()
            shoot(page, "proposal")
            page.get_by_role("link", name="Approve").click()
            fill(page, "I read the ticket too.")
            shoot(page, "approve")
            page.get_by_role("button", name="Approve").click()
            expect(page.get_by_text("Approved $250.00")).to_be_visible()
            page.goto("/admin/accounts/auditentry/")
            shoot(page, "trail")
    assert ledger.balances(wallet).balance_nanousd == STARTER + 250 * DOLLAR
    assert AuditEntry.objects.count() == 2


def test_a_person_is_locked_out(keeper: User, alice: User, live_server: object) -> None:
    session = session_of(keeper)
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto(f"/admin/accounts/user/{alice.pk}/change/")
        page.get_by_role("link", name="Lock out").click()
        fill(page, "Charged back twice.")
        shoot(page, "lock-out")
        page.get_by_role("button", name="Lock out").click()
        expect(page.get_by_text("alice@example.com is locked out.")).to_be_visible()
    assert not User.objects.get(pk=alice.pk).is_active
