"""Automatic top-ups where something else goes wrong or on beside them: Stripe's own errors, the clock, refunds, disputes."""

import datetime
from typing import Any
from uuid import uuid4

import pytest
import stripe
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone
from stripe import PaymentIntentService

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.refunding import paid
from tests.wallet.saved import (
    BELOW_5_ADD_10,
    automatic,
    opened_page,
    payments_at_stripe,
    save_card,
    switched_on,
)
from tests.wallet.test_auto_topups import let_pass, unanswered, wish_of
from wallet import auto_topups, cards, ledger, refunds, stripe_api, topups
from wallet.auto_topups import mail as auto_topup_mail
from wallet.auto_topups.causes import WENT_BACK
from wallet.models import Code, SavedCard, StripeCustomer, TopUp, Wallet
from wallet.stripe_api import Payment, StripeFailed

State = TopUp.State


def test_an_error_of_stripes_own_after_the_charge_is_looked_behind(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question never came there; the second one was charged, and answered with a 500."""
    switched_on(stripe_at_hand, alices)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    real = stripe_api.charge_card

    def charged_and_failed(**question: Any) -> Payment:
        real(**question)
        raise StripeFailed("Something went wrong on Stripe's end.")

    monkeypatch.setattr(stripe_api, "charge_card", charged_and_failed)
    assert auto_topups.settle(unanswered(top_up)).state == State.PAID
    assert balance_cents(alices) == 1000
    assert wish_of(alices).declines == 0


@pytest.mark.parametrize(
    ("card", "charges", "cents"), [("visa", 1, 1000), ("processing", 1, 0), ("declines_later", 2, 0)]
)
def test_what_came_of_it_after_all_is_looked_for_before_the_next_charge(
    alices: Wallet,
    stripe_at_hand: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    card: str,
    charges: int,
    cents: int,
) -> None:
    """Both answers were errors, and Stripe's list was behind: an hour later there is a payment of this row."""
    switched_on(stripe_at_hand, alices, card=card)
    real = stripe_api.charge_card

    def charged_and_failed(**question: Any) -> Payment:
        real(**question)
        raise StripeFailed("Bad gateway.")

    with monkeypatch.context() as patch:
        patch.setattr(stripe_api, "charge_card", charged_and_failed)
        patch.setattr(stripe_api, "payment_of_top_up", lambda *_: None)
        auto_topups.charge_due()
        assert auto_topups.settle(unanswered(automatic(alices)[0])).state == State.FAILED
    let_pass(1.1)
    for _ in range(2):
        auto_topups.charge_due()
    assert len(payments_at_stripe(stripe_at_hand, alices)) == charges
    assert balance_cents(alices) == cents


def test_one_clock_decides_the_month(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The month ends while it is decided: what is counted and what is written are of the same one."""
    switched_on(stripe_at_hand, alices)
    last = datetime.datetime(2031, 10, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC)
    for day in (1, 2, 3):
        TopUp.objects.create(
            wallet=alices, amount_cents=1000, is_automatic=True, state=State.PAID,
            created_at=last.replace(day=day),
        )  # fmt: skip
    ticks = iter([last])
    monkeypatch.setattr(timezone, "now", lambda: next(ticks, last + datetime.timedelta(seconds=1)))
    begun = auto_topups.begin(alices.pk)
    monkeypatch.undo()
    assert begun is None, "October was used up"


def move(wallet: Wallet, code: Code, cents: int, *, to_wallet: bool = False) -> None:
    """Bought credit comes or goes, as a refund, a dispute or calls move it."""
    mine, house = ledger.paid(wallet), ledger.house("revenue")
    with transaction.atomic():
        ledger.post(
            code=code,
            reference=f"{code.value}:{uuid4()}",
            debit=house if to_wallet else mine,
            credit=mine if to_wallet else house,
            amount_nanousd=cents * CENT,
        )


def test_a_refund_is_not_charged_back_to_the_card(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    switched_on(stripe_at_hand, alices)
    paid(stripe_at_hand, alices, 1000)
    assert auto_topups.charge_due() == 0
    refunds.start(alices, 1000)
    assert auto_topups.charge_due() == 0
    assert (balance_cents(alices), automatic(alices)) == (0, [])
    assert wish_of(alices).paused_for == WENT_BACK
    auto_topup_mail.tell_stopped()
    assert WENT_BACK[:70] in mail.outbox[-1].body.replace("\n", " ")
    auto_topups.switch_on(alices, BELOW_5_ADD_10)
    assert auto_topups.charge_due() == 1, "who agrees once more is charged"


@pytest.mark.parametrize(
    ("moves", "is_charged"),
    [
        ([(Code.REFUND, 600)], False),
        ([(Code.DISPUTE, 1000)], False),
        ([(Code.DISPUTE, 1000), (Code.USAGE, 10)], False),
        ([(Code.REFUND, 300), (Code.USAGE, 201)], True),
        ([(Code.USAGE, 501)], True),
        ([(Code.REFUND, 600), (Code.TOP_UP, 600), (Code.USAGE, 501)], True),
        ([(Code.DISPUTE, 900), (Code.DISPUTE_REVERSAL, 100)], False),
        ([(Code.DISPUTE, 900), (Code.DISPUTE_REVERSAL, 900), (Code.USAGE, 501)], True),
    ],
)
def test_what_went_back_is_charged_only_where_calls_took_the_rest(
    alices: Wallet, stripe_at_hand: Sandbox, moves: list[tuple[Code, int]], is_charged: bool
) -> None:
    switched_on(stripe_at_hand, alices)
    move(alices, Code.TOP_UP, 1000, to_wallet=True)
    for code, cents in moves:
        move(alices, code, cents, to_wallet=code in (Code.TOP_UP, Code.DISPUTE_REVERSAL))
    assert auto_topups.charge_due() == is_charged
    assert bool(automatic(alices)) == is_charged
    assert wish_of(alices).paused_for == ("" if is_charged else WENT_BACK)


def test_an_older_page_is_not_made_the_default_either(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    old = opened_page(alices)
    stripe_at_hand.command(f"sessions/{old.session_id}/setup", card="visa")
    save_card(stripe_at_hand, alices, "mastercard")
    assert cards.settle(old)
    cards.refresh(alices)
    assert SavedCard.objects.get().last_four == "4444"


@pytest.mark.parametrize("lists", [True, False])
def test_a_charge_whose_customer_is_gone_ends(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    """Whether Stripe then lists no payments, or refuses to list any."""
    switched_on(stripe_at_hand, alices)
    if not lists:

        def refuse(*_: Any) -> None:
            raise stripe.InvalidRequestError(  # type: ignore[no-untyped-call]  # The library leaves it untyped.
                "No such customer.", "customer", "resource_missing"
            )

        monkeypatch.setattr(PaymentIntentService, "list", refuse)
    StripeCustomer.objects.update(customer_id="cus_gone")
    auto_topups.charge_due()
    assert [top_up.state for top_up in automatic(alices)] == [State.FAILED]


def test_the_largest_month_fits(
    alices: Wallet, stripe_at_hand: Sandbox, as_alice: Client, settings: Any
) -> None:
    settings.TOP_UP_MAXIMUM_CENTS = 999_999_99
    save_card(stripe_at_hand, alices)
    seen = as_alice.get("/wallet/").context["auto_seen"]
    given = {"below": "5", "add": "10", "monthly": "99999999", "switch": "on", "seen": seen}
    assert as_alice.post("/wallet/auto-top-up/", given).status_code == 422
    assert as_alice.post("/wallet/auto-top-up/", given | {"monthly": "20000000"}).status_code == 303


def test_a_card_that_fails_to_be_saved_holds_up_no_other(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened_page(alices)
    stripe_at_hand.command(f"sessions/{setup.session_id}/setup", card="visa")
    opened_page(alices)
    real = cards.settle

    def broken(one: Any) -> bool:
        if one.pk != setup.pk:
            raise RuntimeError("broken")
        return real(one)

    monkeypatch.setattr(cards, "settle", broken)
    assert cards.settle_unfinished() == 2
    assert SavedCard.objects.exists()


def test_automatic_ones_do_not_count_against_those_by_hand(
    alices: Wallet, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.TOP_UPS_PER_HOUR = 1
    switched_on(stripe_at_hand, alices)
    auto_topups.charge_due()
    assert topups.start(alices, 500).page_url
