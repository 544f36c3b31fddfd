"""The main job, as a stranger does it: the real quick start, a real browser, the stand-in for Stripe."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journey.browser import Complaints, chromium, needs_chromium, screenshots
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
PASSWORD = "correct horse battery"
PICTURES = os.environ.get("PICTURES")


def ask(stack: Stack, gateway_key: str, name: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own http
        f"{stack.base_url}/metering/v1/{name}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {gateway_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found


def sandbox(stack: Stack, path: str, body: str = "") -> None:
    """The stand-in's controls, for what no browser does: pay without coming back, lose webhooks."""
    request = urllib.request.Request(  # noqa: S310
        f"{stack.env['STRIPE_API_BASE']}/_sandbox/{path}",
        body.encode(),
        {"Authorization": f"Bearer {stack.env['STRIPE_SECRET_KEY']}"},
    )
    urllib.request.urlopen(request, timeout=20).close()  # noqa: S310


def balance(page: Page) -> int:
    page.goto("/wallet/")
    return int(page.locator("#balance").get_attribute("data-nanousd") or "")


def picture(page: Page, name: str) -> None:
    if PICTURES:
        screenshots(page, Path(PICTURES), name)


def sign_up(page: Page, email: str) -> None:
    page.goto("/accounts/signup/")
    page.fill("input[name=email]", email)
    page.fill("input[name=password1]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page).to_have_url(re.compile("/wallet/$"))


def start_paying(page: Page, amount: str) -> str:
    """Fill in the form of the wallet; returns the id of the session whose page is shown."""
    page.goto("/wallet/")
    form = page.locator('form[action="/wallet/top-ups/"]')
    form.locator("input[name=amount][type=text]").fill(amount)
    form.locator("button[type=submit]").last.click()
    expect(page.locator("#pay-card")).to_be_visible()
    return page.url.rstrip("/").rsplit("/", 1)[1]


@needs_chromium
@pytest.mark.browser
def test_the_whole_journey(stack: Stack) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=stack.base_url)
        complaints = Complaints(page)
        page.goto("/")
        picture(page, "home")
        sign_up(page, "journey@example.com")
        assert balance(page) == 100_000_000

        start_paying(page, "1")
        page.click("#pay-card")
        expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=15_000)
        picture(page, "paid")
        assert balance(page) == 1_100_000_000
        picture(page, "wallet")

        key = make_key(page)
        call_id = call_a_model(stack, key)
        read_the_receipt(page, call_id)
        assert balance(page) == 1_100_000_000 - 6_000_000
        look_the_price_up(page)
        assert complaints.found == []
    look_at_it_as_staff(stack, call_id)


def make_key(page: Page) -> str:
    page.goto("/tokens/")
    page.fill("input[name=name]", "laptop")
    page.locator("form:has(input[name=name]) button[type=submit]").first.click()
    key = page.locator("#new-key").inner_text().strip()
    assert key.startswith("sk-")
    picture(page, "new-key")
    page.goto("/tokens/")
    expect(page.locator("main")).to_contain_text(key[-4:])
    assert key not in page.content()
    picture(page, "tokens")
    return key


def call_a_model(stack: Stack, key: str) -> str:
    """Two calls by way of the metering API, one of them failed; returns the id of the one that costs."""
    gateway_key = stack.manage("create_gateway_key", "journey").strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{41,}", gateway_key)
    usages = [("succeeded", {"input_tokens": 1200, "output_tokens": 300}), ("failed", {})]
    reports = []
    for status, usage in usages:
        admitted = ask(stack, gateway_key, "authorize", {"key": key, "model": "gpt-4o"})
        now = datetime.now(UTC).isoformat()
        known = {name: admitted[name] for name in ("call_id", "token_id", "model")}
        reports.append({**known, "started_at": now, "status": status, "usage": usage, "latency_ms": 850})
    answer = ask(stack, gateway_key, "calls", {"calls": reports})
    assert [result["charged_nanousd"] for result in answer["results"]] == [6_000_000, 0]
    assert ask(stack, gateway_key, "calls", {"calls": reports})["duplicates"] == 2
    return str(reports[0]["call_id"])


def read_the_receipt(page: Page, call_id: str) -> None:
    page.goto("/logs/")
    row = page.locator(f'[data-call-id="{call_id}"]')
    expect(row).to_be_visible()
    row.locator("summary").click()
    expect(row).to_contain_text("1,200")
    expect(row).to_contain_text("$0.006")
    picture(page, "logs")
    page.goto(f"/logs/{call_id}/")
    expect(page.locator("main")).to_contain_text("$2.50")
    picture(page, "receipt")
    data = page.request.get(f"/logs/{call_id}/", headers={"Accept": "application/json"}).json()
    assert data["charged_nanousd"] == 6_000_000
    assert sum(line["amount_picousd"] for line in data["lines"]) == data["subtotal_picousd"] == 6_000_000_000


def look_the_price_up(page: Page) -> None:
    page.goto("/pricing/")
    page.fill("input[name=q]", "gpt-4o")
    link = page.get_by_role("link", name="gpt-4o", exact=True).first
    expect(link).to_be_visible()
    picture(page, "pricing")
    link.click()
    expect(page.locator("main")).to_contain_text("$2.50")
    picture(page, "model")
    page.goto("/help/")
    picture(page, "help")


def look_at_it_as_staff(stack: Stack, call_id: str) -> None:
    os.environ["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    stack.manage("createsuperuser", "--no-input", "--email", "staff@example.com")
    with chromium() as browser:
        page = browser.new_page(base_url=stack.base_url)
        complaints = Complaints(page)
        page.goto("/admin/")
        page.fill("input[name=login]", "staff@example.com")
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        expect(page).to_have_url(re.compile("/admin/$"))
        picture(page, "admin")
        for path, text in (
            ("/admin/accounts/user/?q=journey@example.com", "journey@example.com"),
            ("/admin/wallet/transfer/?q=journey@example.com", "top_up:"),
            (f"/admin/logs/call/?q={call_id}", "gpt-4o"),
            ("/admin/wallet/topup/?q=journey@example.com", "$1.00"),
        ):
            page.goto(path)
            expect(page.locator("body")).to_contain_text(text)
        assert complaints.found == []


@needs_chromium
@pytest.mark.browser
def test_a_declined_card_then_a_bank_that_takes_its_time(stack: Stack) -> None:
    with chromium() as browser:
        page = browser.new_page(base_url=stack.base_url)
        sign_up(page, "declined@example.com")
        start_paying(page, "5.50")
        page.click("#pay-declined")
        expect(page.locator("#pay-card")).to_be_visible()
        page.click("#pay-bank")
        expect(page.locator("main")).to_contain_text(re.compile("waiting for your bank", re.IGNORECASE))
        picture(page, "waiting")
        expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=30_000)
        assert balance(page) == 5_600_000_000


@needs_chromium
@pytest.mark.browser
def test_paying_with_the_worker_stopped_and_with_the_webhook_lost(stack: Stack) -> None:
    """Nobody comes back to the site: the event, and then the periodic job, must do it alone."""
    with chromium() as browser:
        page = browser.new_page(base_url=stack.base_url)
        sign_up(page, "absent@example.com")
        stack.stop("worker")
        try:
            sandbox(stack, f"sessions/{start_paying(page, '2')}/pay", "method=card")
            time.sleep(2)
            assert balance(page) == 100_000_000
        finally:
            stack.start("worker")
        stack.wait_for(lambda: balance(page) == 2_100_000_000, 90)
        sandbox(stack, "webhooks/drop")
        try:
            sandbox(stack, f"sessions/{start_paying(page, '3')}/pay", "method=card")
            stack.wait_for(lambda: balance(page) == 5_100_000_000, 150)
        finally:
            sandbox(stack, "webhooks/deliver")


def test_strangers_get_words_and_no_stack_traces(stack: Stack) -> None:
    for path, expected in (
        ("/nothing/", 404),
        ("/wallet/", 200),
        ("/pricing/no-such-model/", 404),
        ("/healthz", 200),
    ):
        status, body = stack.get(path)
        assert status == expected, path
        assert "Traceback" not in body
    status, body = stack.get("/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
