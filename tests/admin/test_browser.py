"""The admin panel in a browser: its scripts run under its policy, light and dark, on a desk and on a phone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from cometsite import staff_index
from tests.admin.browsing import DESK, PHONE, shoot, staff_page
from tests.admin.conftest import World
from tests.journey.browser import Complaints, needs_chromium
from wallet.models import Hold, Reconciliation, TopUp

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def paths(world: World) -> dict[str, str]:
    return {
        "index": "/admin/",
        "users": "/admin/accounts/user/",
        "user": f"/admin/accounts/user/{world.alice.pk}/change/",
        "wallet": f"/admin/wallet/wallet/{world.wallet.pk}/change/",
        "transfers": "/admin/wallet/transfer/",
        "search": "/admin/wallet/transfer/?q=pi_test_1",
        "hold": f"/admin/wallet/hold/{Hold.objects.get().pk}/change/",
        "top-up": f"/admin/wallet/topup/{world.top_up.pk}/change/",
        "event": "/admin/wallet/stripeevent/evt_5F1/change/",
        "calls": "/admin/logs/call/?status__exact=succeeded",
        "call": f"/admin/logs/call/{world.call_id}/change/",
        "gateway-keys": "/admin/tokens/gatewaykey/",
        "models": "/admin/pricing/model/",
        "history": f"/admin/accounts/user/{world.alice.pk}/history/",
    }


@pytest.fixture
def page(desk: Client, live_server: object) -> Iterator[Page]:
    with staff_page(desk, live_server) as page:
        yield page


def test_no_page_breaks_its_policy(paths: dict[str, str], page: Page) -> None:
    complaints = Complaints(page)
    folder = os.environ.get("ADMIN_SCREENSHOTS")
    for name, path in paths.items():
        page.emulate_media(color_scheme="light")
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, path
        page.wait_for_load_state("networkidle")
        expect(page.locator("#page")).to_be_visible()
        assert complaints.found == [], path
        if folder:
            shoot(page, Path(folder), name)


LONG = "https://comet.example.com/" + "wallet/" * 12
TOO_WIDE = """() => [
    ...(document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth] : []),
    ...[...document.querySelectorAll(".staff-number")]
        .filter(tile => [tile, ...tile.children].some(part => part.scrollWidth > part.clientWidth && part.clientWidth))
        .map(tile => tile.innerText),
    ...[...document.querySelectorAll(".staff-value")]
        .filter(value => [...value.childNodes].some(text => {
            const range = document.createRange();
            range.selectNodeContents(text);
            const box = range.getBoundingClientRect();
            return range.getClientRects().length > 1 || box.right > value.parentElement.getBoundingClientRect().right;
        }))
        .map(value => value.innerText),
]"""


@pytest.fixture
def long_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    TopUp.objects.filter(pk=world.top_up.pk).update(
        session_id="cs_test_" + "a1" * 33, received_cents=123_456_789
    )
    monkeypatch.setattr(staff_index, "usd", lambda nanousd: "$1,316.317112534")
    now = timezone.now()
    Reconciliation.objects.create(since=now, finished_at=now, warnings=[f"Stripe has no endpoint {LONG}."])
    staff_index.forget()


@pytest.mark.parametrize("width", [390, 1440])
def test_long_words_stay_in_their_place(
    paths: dict[str, str], long_words: None, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for name in ("index", "top-up", "wallet"):
        page.goto(paths[name])
        page.wait_for_load_state("networkidle")
        if name == "index":
            expect(page.get_by_text(LONG)).to_be_visible()
        assert page.evaluate(TOO_WIDE) == [], name


@pytest.fixture
def _long_problem(world: World) -> None:
    TopUp.objects.update(problem="It does not add up, for this reason and that. " * 40)


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.usefixtures("_long_problem")
def test_a_long_problem_makes_no_tall_row(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/admin/wallet/topup/")
    page.wait_for_load_state("networkidle")
    rows = page.locator("tr.data-row")
    assert rows.count() > 0
    assert max(rows.evaluate_all("rows => rows.map(row => row.offsetHeight)")) < 150


def test_the_dark_theme_stays(paths: dict[str, str], page: Page) -> None:
    complaints = Complaints(page)
    page.goto("/admin/")
    page.get_by_text("staff@example.com").last.click()
    page.get_by_text("Dark", exact=False).first.click()
    expect(page.locator("html.dark")).to_be_attached()
    page.goto(paths["call"])
    expect(page.locator("html.dark")).to_be_attached()
    assert complaints.found == []


def test_the_search_over_everything_opens_a_list(paths: dict[str, str], page: Page) -> None:
    complaints = Complaints(page)
    page.goto("/admin/")
    page.get_by_text("Search apps and models").first.click()
    page.locator("#search-input-command").press_sequentially("transfers")
    page.locator("#command-results a", has_text="Transfers").click()
    page.wait_for_url("**/admin/wallet/transfer/")
    assert complaints.found == []


def test_a_gateway_key_is_revoked(paths: dict[str, str], page: Page) -> None:
    complaints = Complaints(page)
    page.goto(paths["gateway-keys"])
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option("revoke")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Revoked: 1.")).to_be_visible()
    assert complaints.found == []
