"""The page in a browser: under the site's policy, on a phone and on a desk, refused first and then done."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.accounts.leaving import PASSWORD
from tests.journey.browser import Complaints, chromium, needs_chromium, screenshots
from tests.metering.gateway import Gateway, call, give, sell
from tests.staffing.test_browser import fill, session_of, shoot, signed_in
from tokens import keys
from wallet.models import TopUp
from wallet.wallets import wallet_of

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        screenshots(page, Path(folder), name)


def log_in_and_ask(page: Page, email: str) -> None:
    page.goto("/accounts/login/?next=/accounts/email/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.get_by_role("link", name="Close", exact=True).click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Close your account")).to_be_visible()


def test_the_owner_is_told_why_not(alice: User, live_server: object) -> None:
    wallet = give(alice, 4_200_000_000)
    TopUp.objects.create(wallet=wallet, amount_cents=500, state=TopUp.State.PENDING)
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        complaints = Complaints(page)
        log_in_and_ask(page, alice.email)
        expect(page.get_by_text("$4.20 of what was paid is not used yet")).to_be_visible()
        expect(page.get_by_role("button", name="Close my account")).to_have_count(0)
        picture(page, "close-refused")
        assert complaints.found == []
    assert User.objects.get(pk=alice.pk).is_active


def test_the_owner_closes_it(alice: User, live_server: object) -> None:
    sell()
    with chromium() as browser:
        page = browser.new_page(base_url=str(live_server))
        complaints = Complaints(page)
        log_in_and_ask(page, alice.email)
        picture(page, "close")
        page.get_by_role("button", name="Close my account").click()
        expect(page.get_by_role("heading", name="Close your account")).to_be_visible()
        page.get_by_label("Close my account for good").check()
        picture(page, "close-sure")
        page.get_by_role("button", name="Close my account").click()
        expect(page.get_by_text("Your account is closed.")).to_be_visible()
        expect(page.get_by_role("link", name="Log in").first).to_be_visible()
        picture(page, "closed")
        assert complaints.found == []
    assert User.objects.get(pk=alice.pk).closed_at is not None


def test_staff_close_it_on_request(alice: User, staff: User, live_server: object) -> None:
    sell()
    issued = keys.issue(give(alice, 20_000_000), "laptop")
    session = session_of(staff)
    Gateway().record(call(issued.key), call(issued.key), call(issued.key))
    with chromium() as browser, signed_in(browser, str(live_server), session) as page:
        page.goto(f"/admin/accounts/user/{alice.pk}/change/")
        page.get_by_role("link", name="Close the account").click()
        fill(page, "Asked for in ticket 17.")
        shoot(page, "close-account")
        page.get_by_role("button", name="Close the account").click()
        expect(page.get_by_text(f"Account {alice.pk} is closed.")).to_be_visible()
        expect(page.get_by_text(f"closed account {alice.pk}").first).to_be_visible()
        shoot(page, "closed-account")
    assert wallet_of(alice).owner.closed_at is not None
