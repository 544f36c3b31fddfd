"""The main job with real calls: a person in a browser, programs with the published libraries, and the books at the end."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.books import CHECKS
from tests.gateway.customers import SEEN_WITHIN_S
from tests.gateway.libraries import Library, Outcome, python_library
from tests.gateway.running import RunningGateway
from tests.journey.browser import Complaints, chromium, needs_chromium
from tests.journey.test_journey import balance, make_key, sign_up, start_paying

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
EMAIL = "gateway-journey@example.com"
USD = 10**9
GPT, CLAUDE, DEAR = "gpt-4o-mini", "claude-haiku-4-5", "gpt-4"
# At $30 per million, four characters a token, more than what is left of a dollar.
LONG = "much " * 40_000


@dataclass
class Person:
    """At the page, and with programs that have the key. Amounts are nano-dollars."""

    page: Page
    gateway: RunningGateway
    openai: Library
    anthropic: Library
    key: str = ""
    paid_nanousd: int = USD // 10
    charged_nanousd: int = 0
    calls: list[str] = field(default_factory=list)

    def ask_gpt(self, **step: Any) -> Outcome:
        (outcome,) = self.openai.do(f"{self.gateway.url}/v1/", self.key, [{"do": "chat", **step}])
        return outcome

    def ask_claude(self, **step: Any) -> Outcome:
        (outcome,) = self.anthropic.do(f"{self.gateway.url}/", self.key, [{"do": "chat", **step}])
        return outcome

    def sees(self, outcome: Outcome, model: str) -> None:
        """The answer, then within two seconds the call in the log, with the charge that its receipt adds up to."""
        answered_at = time.monotonic()
        assert outcome.get("text"), outcome
        address = f"/logs/{outcome['call_id']}/"
        while (told := self.page.request.get(address, headers={"Accept": "application/json"})).status != 200:
            assert time.monotonic() - answered_at < SEEN_WITHIN_S, "the call is not in the log yet"
            time.sleep(0.05)
        receipt = told.json()
        assert (receipt["model"], receipt["status"]) == (model, "succeeded")
        assert sum(line["amount_picousd"] for line in receipt["lines"]) == receipt["subtotal_picousd"] > 0
        self.calls.append(outcome["call_id"])
        self.charged_nanousd += receipt["charged_nanousd"]
        assert balance(self.page) == self.paid_nanousd - self.charged_nanousd

    def reads_the_log(self) -> None:
        """Every call is a row that opens on its arithmetic, and has a page."""
        self.page.goto("/logs/")
        for call_id in self.calls:
            row = self.page.locator(f'[data-call-id="{call_id}"]')
            expect(row).to_be_visible()
        row.locator("summary").click()
        expect(row).to_contain_text("prompt")
        self.page.goto(f"/logs/{self.calls[-1]}/")
        expect(self.page.locator("main")).to_contain_text("completion")

    def tops_up(self, dollars: int) -> None:
        start_paying(self.page, str(dollars))
        self.page.click("#pay-card")
        expect(self.page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=30_000)
        self.paid_nanousd += dollars * USD
        assert balance(self.page) == self.paid_nanousd - self.charged_nanousd


@needs_chromium
@pytest.mark.browser
def test_from_signing_up_to_being_served_again(gateway: RunningGateway, clients_python: Path) -> None:
    openai = python_library("openai", clients_python, GPT)
    anthropic = python_library("anthropic", clients_python, CLAUDE)
    with chromium() as browser:
        page = browser.new_page(base_url=gateway.stack.base_url)
        complaints = Complaints(page)
        person = Person(page, gateway, openai, anthropic)
        sign_up(page, EMAIL)
        assert balance(page) == person.paid_nanousd
        person.tops_up(1)
        person.key = make_key(page)
        calls_by_name(person)
        person.reads_the_log()
        spends_the_last_cent(person)
        person.tops_up(3)
        person.sees(person.ask_gpt(), GPT)
        person.sees(person.ask_claude(), CLAUDE)
        revokes_the_key(person)
        assert complaints.found == []
    assert_books(gateway)


def calls_by_name(person: Person) -> None:
    """GPT and Claude by their own libraries, then each by the other's: only the name is another."""
    person.sees(person.ask_gpt(), GPT)
    person.sees(person.ask_claude(do="stream"), CLAUDE)
    person.sees(person.ask_gpt(model=CLAUDE, do="stream"), CLAUDE)
    person.sees(person.ask_claude(model=GPT), GPT)


def spends_the_last_cent(person: Person) -> None:
    """The last call is let in and charged in full; the next ones are refused, and are no calls."""
    person.sees(person.ask_gpt(model=DEAR, say=LONG), DEAR)
    left = balance(person.page)
    assert left < 0
    expect(person.page.locator("#balance")).to_contain_text(re.compile("[-−–]"))
    refused = person.ask_gpt()
    assert "RateLimitError" in refused.get("error", ()), refused
    assert (refused["status"], refused["code"], refused["sent"]) == (429, "insufficient_quota", 1)
    refused = person.ask_claude()
    assert (refused["status"], refused["type"], refused["sent"]) == (402, "billing_error", 1), refused
    assert balance(person.page) == left


def revokes_the_key(person: Person) -> None:
    """In mid-stream: what was let in is answered to its end and charged, and nothing is let in after it."""
    with ThreadPoolExecutor(1) as one:
        streaming = one.submit(person.ask_gpt, do="stream", say="take long")
        person.gateway.wait_for(lambda: is_under_way(person), 60)
        page = person.page
        page.goto("/tokens/")
        page.get_by_role("link", name="laptop", exact=True).click()
        page.check("input[name=sure]")
        page.get_by_role("button", name="Revoke for good").click()
        expect(page.locator("main")).to_contain_text("Revoked")
        refused = person.ask_gpt()
        assert "AuthenticationError" in refused.get("error", ()), refused
        outcome = streaming.result(60)
    assert outcome["text"].endswith("word98 word99 "), outcome
    person.sees(outcome, GPT)


def is_under_way(person: Person) -> bool:
    sql = """SELECT 1 FROM wallet_hold h JOIN wallet_wallet w ON w.id = h.wallet_id
        JOIN accounts_user u ON u.id = w.owner_id WHERE u.email = %s AND h.state = 'open'"""
    with psycopg.connect(person.gateway.stack.env["DATABASE_URL"]) as database:
        return bool(database.execute(sql, (EMAIL,)).fetchall())


def assert_books(gateway: RunningGateway) -> None:
    with psycopg.connect(gateway.stack.env["DATABASE_URL"], autocommit=True) as database:
        for claim, sql in CHECKS.items():
            assert database.execute(sql.encode()).fetchall() == [], f"Not so: {claim}"
    gateway.stack.manage("check_invariants")
