"""The lists of the wallet on a phone: the page stays where it is, what counts is seen at once, and nothing cries wolf."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from tests.admin.browsing import PHONE, shoot, staff_page
from tests.admin.conftest import World
from tests.journey.browser import needs_chromium
from wallet.models import CheckRun, Reconciliation, Refund, StripeEvent, StripeTransaction, TopUp
from wallet.reconciliation import accepting

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.django_db(transaction=True)]

# What somebody who looks at the list wants to know first.
LISTS = {
    "wallet/topup": ("created_at", "amount", "state_label"),
    "wallet/refund": ("created_at", "amount", "state_label"),
    "wallet/dispute": ("status_label", "due", "amount"),
    "wallet/stripeevent": ("received_at", "state_label"),
    "wallet/reconciliation": ("started_at", "result"),
    "wallet/difference": ("seen_at", "state_label"),
    "wallet/stripetransaction": ("made_at", "amount", "state_label"),
    "wallet/proposal": ("asked_at", "amount", "state_label"),
    "wallet/checkrun": ("started_at", "result"),
    "accounts/auditentry": ("at", "actor"),
}
LONG = "Payment pi_3Qx8vT2eZvKYlo2C0abcdefg is $1,234.56 at Stripe; its top-up has $1,234.55, so nothing was booked."
BEYOND = """([width, names]) => names.filter(name => {
    const cell = document.querySelector(`#result_list .field-${name}`);
    return !cell || cell.getBoundingClientRect().right > width;
})"""


@pytest.fixture
def crowded(world: World) -> None:
    """Rows with ids and sentences of the length that they really have."""
    now = timezone.now()
    TopUp.objects.filter(pk=world.top_up.pk).update(problem=LONG, state="parked")
    Refund.objects.update(problem=LONG, refund_id="re_3Qx8vT2eZvKYlo2C0abcdefg")
    StripeEvent.objects.create(
        id="evt_1Qx8vT2eZvKYlo2CabcdefgH",
        type="checkout.session.async_payment_succeeded",
        object_id="cs_test_" + "a1" * 29,
        livemode=False,
        payload={},
        state=StripeEvent.State.PARKED,
        error=LONG,
    )
    StripeTransaction.objects.create(
        id=f"txn_{uuid.uuid4().hex[:24]}",
        type="payment_failure_refund",
        source_id="re_3Qx8vT2eZvKYlo2C0abcdefg",
        currency="usd",
        amount_cents=-123_456,
        fee_cents=1_500,
        made_at=now,
        problem=LONG,
    )
    accepting.note("pi_3Qx8vT2eZvKYlo2C0abcdefg", LONG)
    Reconciliation.objects.create(since=now, finished_at=now, repaired=[LONG] * 12)
    CheckRun.objects.update(is_full=False)


@pytest.fixture
def page(desk: Client, crowded: None, live_server: object) -> Iterator[Page]:
    with staff_page(desk, live_server, PHONE) as page:
        yield page


def test_a_list_is_read_on_a_phone(page: Page) -> None:
    folder = os.environ.get("ADMIN_SCREENSHOTS")
    for path, first in LISTS.items():
        page.set_viewport_size({"width": PHONE, "height": 844})
        page.goto(f"/admin/{path}/")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, path
        assert page.evaluate(BEYOND, [PHONE, list(first)]) == [], path
        if folder:
            shoot(page, Path(folder), path.replace("/", "-"))


def test_what_is_no_error_is_told_in_words(page: Page, world: World) -> None:
    for path, words in {
        "wallet/topup/": "by the owner",
        f"wallet/topup/{world.top_up.pk}/change/": "by the owner",
        "wallet/checkrun/": "wallets that moved money",
        "wallet/reconciliation/": "equal",
        f"wallet/stripeevent/{world.event.pk}/change/": "test",
        "wallet/dispute/du_1/change/": "Evidence given",
    }.items():
        page.goto(f"/admin/{path}")
        assert page.get_by_text(words, exact=True).count() >= 1, path
        assert page.locator("[title=False]").count() == 0, path
