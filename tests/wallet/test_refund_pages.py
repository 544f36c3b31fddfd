"""What the pages say of a refund over several payments, and how often a wallet may ask for one."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.refunding import paid
from wallet import history, refunds
from wallet.models import Refund, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.refunds import requests


def three_payments(sandbox: Sandbox, wallet: Wallet) -> list[TopUp]:
    """Of $1.00 eight days ago, $2.00 seven days ago, and $3.00 six days ago, in the order of their ids at random."""
    top_ups = [paid(sandbox, wallet, cents) for cents in (100, 200, 300)]
    for number, top_up in enumerate(top_ups):
        TopUp.objects.filter(pk=top_up.pk).update(paid_at=timezone.now() - timedelta(days=8 - number))
    return top_ups


def test_the_newest_payment_of_a_request_comes_first_everywhere(
    alices: Wallet, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.REFUND_APPROVAL_ABOVE_CENTS = 1
    three_payments(stripe_at_hand, alices)
    ids = [refunds.start(alices, cents) for cents in (550, 40)]
    asked = requests.find(ids[0])
    assert asked is not None
    assert [row.amount_cents for row in asked.rows] == [300, 200, 50]
    shown = requests.to_see(alices)
    assert {each.id: [row.amount_cents for row in each.rows] for each in shown} == {
        ids[0]: [300, 200, 50],
        ids[1]: [40],
    }


def test_the_history_names_the_payment_that_each_part_went_back_to(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    _, older, newer = three_payments(stripe_at_hand, alices)
    request_id = refunds.start(alices, 400)
    first, second = history.page(alices).movements[:2]
    assert {first.story.payment, second.story.payment} == {older, newer}
    assert {first.url, second.url} == {f"/wallet/refunds/{request_id}/"}
    page = " ".join(as_alice.get("/wallet/").content.decode().split())
    for top_up in (older, newer):
        top_up.refresh_from_db()
        assert f"payment of ${top_up.amount_cents // 100}.00, {top_up.paid_at:%-d %b %Y}" in page


def test_what_is_polled_holds_the_parts(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    three_payments(stripe_at_hand, alices)
    settings.REFUND_APPROVAL_ABOVE_CENTS = 1
    request_id = refunds.start(alices, 400)
    polled = as_alice.get(f"/wallet/refunds/{request_id}/", headers={"HX-Request": "true"})
    assert polled.content.decode().count("Waits for our approval") == 2
    Refund.objects.filter(amount_cents=300).update(state="succeeded")
    polled = as_alice.get(f"/wallet/refunds/{request_id}/", headers={"HX-Request": "true"})
    assert ("<html" in polled.content.decode(), polled.content.decode().count("Given back")) == (False, 1)


@pytest.fixture
def _three_an_hour(settings: Any) -> None:
    settings.REFUNDS_PER_HOUR = 3


def post(client: Client, amount: str, form_id: str = "") -> Any:
    return client.post("/wallet/refunds/", {"amount": amount, "form_id": form_id})


@pytest.mark.usefixtures("_three_an_hour")
def test_a_wallet_asks_for_so_many_refunds_an_hour(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    """One request is one, over however many payments; a form sent again is none."""
    three_payments(stripe_at_hand, alices)
    assert post(as_alice, "4", "first").status_code == 303
    for _ in range(3):
        assert post(as_alice, "4", "first").status_code == 303
    assert [post(as_alice, "0.10").status_code for _ in range(3)] == [303, 303, 429]
    refused = post(as_alice, "0.10")
    assert "That were many refunds within an hour. Nothing was taken" in refused.content.decode()
    assert balance_cents(alices) == 180
    Refund.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    assert post(as_alice, "0.10").status_code == 303


@pytest.mark.usefixtures("_three_an_hour")
def test_many_at_once_are_counted_one_after_the_other(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)

    def ask(_: int) -> bool:
        try:
            refunds.start(alices, 10)
        except refunds.TooManyRefunds:
            return False
        return True

    assert sorted(at_once(8, ask)) == [False] * 5 + [True] * 3
    assert balance_cents(alices) == 970
    # What Stripe did by itself is nobody's wish.
    refund_asking.settle_unfinished()
    Refund.objects.update(origin="stripe")
    assert ask(0)
