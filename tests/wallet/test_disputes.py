"""Disputes, told by the stand-in over HTTP: what they take from the wallet and give back, in any order."""

import threading
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.audit import Instruction
from accounts.models import User
from tests.metering.gateway import Gateway, sell
from tests.parallel import at_once, deadlocks
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.test_events import handled
from tests.wallet.test_topups import pay, started
from tokens import keys
from wallet import acts, disputes, invariants, leaving, ledger, refunds, stripe_api, tasks, topups
from wallet.models import Account, Code, Dispute, HouseBalance, StripeEvent, TopUp, Transfer, Wallet
from wallet.stripe_api import StripeFailed, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

State = StripeEvent.State


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)


def paid(sandbox: Sandbox, wallet: Wallet, cents: int = 1000, method: str = "card") -> TopUp:
    """A top-up that was paid and credited."""
    top_up = started(wallet, cents)
    pay(sandbox, top_up, method)
    return topups.settle(top_up.pk).top_up


def charge_of(sandbox: Sandbox, top_up: TopUp) -> str:
    query = f"payment_intent={top_up.payment_intent_id}"
    return str(sandbox.request("GET", f"/v1/charges?{query}").json["data"][0]["id"])


def disputed(sandbox: Sandbox, top_up: TopUp, **how: Any) -> str:
    """The id of a new dispute about it."""
    reply = sandbox.command(f"charges/{charge_of(sandbox, top_up)}/dispute", **how)
    return str(reply["dispute"]["id"])


def move(sandbox: Sandbox, dispute_id: str, step: str, **how: Any) -> None:
    sandbox.command(f"disputes/{dispute_id}/{step}", **how)


def told(sandbox: Sandbox, dispute_id: str) -> list[dict[str, Any]]:
    """All that Stripe told about a dispute, oldest first."""
    found = sandbox.request("GET", "/v1/events?limit=100").json["data"]
    return [each for each in reversed(found) if each["data"]["object"]["id"] == dispute_id]


def hear(dispute_id: str) -> Dispute:
    again_if_lost(disputes.heard_of(dispute_id))
    return Dispute.objects.get(pk=dispute_id)


def house_cents(kind: str) -> int:
    account = Account.objects.get(wallet=None, kind=kind)
    slots = HouseBalance.objects.filter(account=account).values_list("balance_nanousd", flat=True)
    return sum(slots) // CENT


def test_a_dispute_takes_the_amount_once_and_a_win_gives_it_back(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    for event in told(stripe_at_hand, dispute_id) * 2:
        assert handled(event).state == State.HANDLED
    found = Dispute.objects.get(pk=dispute_id)
    assert (found.top_up, found.status, found.withdrawn_cents) == (top_up, "needs_response", 1000)
    assert (found.fee_cents, found.problem) == (1500, "")
    assert found.evidence_due_at
    assert (balance_cents(alices), house_cents("disputes")) == (0, 1000)
    move(stripe_at_hand, dispute_id, "win")
    for event in told(stripe_at_hand, dispute_id):
        handled(event)
    found.refresh_from_db()
    assert (found.status, found.withdrawn_cents, found.reinstated_cents) == ("won", 1000, 1000)
    assert (found.fee_cents, found.taken_cents) == (1500, 0)
    assert (balance_cents(alices), house_cents("disputes")) == (1000, 0)


def test_the_order_and_the_choice_of_the_events_make_no_difference(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    move(stripe_at_hand, dispute_id, "win", funds="later")
    move(stripe_at_hand, dispute_id, "reinstate", amount=400)
    events_told = told(stripe_at_hand, dispute_id)
    assert len(events_told) == 4
    orders = [list(reversed(events_told)), events_told, *([each] for each in events_told)]
    for number, order in enumerate(orders):
        for event in order:
            assert handled({**event, "id": f"{event['id']}_{number}"}).state == State.HANDLED
        found = Dispute.objects.get(pk=dispute_id)
        assert (found.status, found.withdrawn_cents, found.reinstated_cents) == ("won", 1000, 400)
        assert (balance_cents(alices), house_cents("disputes")) == (400, 600)


def test_fifty_at_once_take_it_once(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    all_told = told(stripe_at_hand, dispute_id)

    def tell(number: int) -> str:
        event = {**all_told[number % len(all_told)], "id": f"evt_copy_{number}"}
        return str(handled(event).state)

    assert set(at_once(50, tell)) == {State.HANDLED}
    assert (balance_cents(alices), house_cents("disputes")) == (0, 1000)
    assert Transfer.objects.filter(code="dispute").count() == 1


def test_a_failure_in_the_middle_leaves_nothing(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    follow = disputes.heard_of(dispute_id)

    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(disputes, "_problems", breaks)
        with pytest.raises(ZeroDivisionError):
            again_if_lost(follow)
    assert not Dispute.objects.exists()
    assert balance_cents(alices) == 1000
    again_if_lost(follow)
    assert balance_cents(alices) == 0


def test_a_dispute_told_before_its_payment_looks_for_that_first(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = started(alices, 1000)
    pay(stripe_at_hand, top_up)
    intent = stripe_api.session(str(top_up.session_id)).payment_intent_id
    found = stripe_at_hand.request("GET", f"/v1/charges?payment_intent={intent}").json["data"][0]["id"]
    dispute_id = stripe_at_hand.command(f"charges/{found}/dispute", funds="before")["dispute"]["id"]
    [withdrawn, created] = told(stripe_at_hand, dispute_id)
    assert (created["type"], withdrawn["type"]) == (
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    )
    assert balance_cents(alices) == 0
    assert handled(created).state == State.HANDLED
    top_up.refresh_from_db()
    assert (top_up.state, top_up.received_cents) == (TopUp.State.PAID, 1000)
    assert Dispute.objects.get(pk=dispute_id).top_up == top_up
    assert (balance_cents(alices), house_cents("disputes")) == (0, 1000)


@pytest.mark.parametrize("why", [Parked("It was not made through a session."), StripeUnavailable("away")])
def test_one_whose_payment_is_not_known_waits_for_it(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def not_yet(_: str) -> Any:
        raise why

    top_up = started(alices, 1000)
    pay(stripe_at_hand, top_up)
    intent = str(stripe_api.session(str(top_up.session_id)).payment_intent_id)
    found = stripe_at_hand.request("GET", f"/v1/charges?payment_intent={intent}").json["data"][0]["id"]
    dispute_id = stripe_at_hand.command(f"charges/{found}/dispute")["dispute"]["id"]
    with monkeypatch.context() as early:
        early.setattr(topups, "heard_of_payment", not_yet)
        row = hear(dispute_id)
        assert (row.top_up, row.withdrawn_cents, row.taken_cents) == (None, 1000, 0)
        assert "no wallet was debited" in row.problem
    assert balance_cents(alices) == 0
    # Its credit takes up what is disputed of it.
    topups.settle(top_up.pk)
    row.refresh_from_db()
    assert (row.top_up, row.problem, row.taken_cents) == (top_up, "", 1000)
    assert (balance_cents(alices), house_cents("disputes")) == (0, 1000)
    assert disputes.look_again() == 0


def test_an_inquiry_moves_nothing_until_it_becomes_a_dispute(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up, inquiry="true")
    assert hear(dispute_id).status == "warning_needs_response"
    assert balance_cents(alices) == 1000
    move(stripe_at_hand, dispute_id, "escalate")
    assert hear(dispute_id).status == "needs_response"
    assert balance_cents(alices) == 0


@pytest.mark.parametrize("status", ["warning_under_review", "warning_closed", "prevented", "lost"])
def test_a_status_alone_moves_nothing(alices: Wallet, stripe_at_hand: Sandbox, status: str) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up, funds="later")
    stripe_at_hand.command(f"disputes/{dispute_id}/set", status=status)
    row = hear(dispute_id)
    assert (row.status, row.problem, row.taken_cents) == (status, "", 0)
    assert balance_cents(alices) == 1000


def test_a_loss_takes_nothing_more(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    hear(dispute_id)
    move(stripe_at_hand, dispute_id, "lose")
    row = hear(dispute_id)
    assert (row.status, row.is_open, row.taken_cents) == ("lost", False, 1000)
    assert balance_cents(alices) == 0


def test_what_was_used_before_leaves_the_balance_below_zero(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    again_if_lost(
        lambda: ledger.post(
            code=Code.USAGE,
            reference="usage:test",
            debit=ledger.paid(alices),
            credit=ledger.house("revenue"),
            amount_nanousd=600 * CENT,
        )
    )
    hear(disputed(stripe_at_hand, top_up))
    assert ledger.balances(alices).paid_nanousd == -600 * CENT


def test_two_disputes_of_a_part_each(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    first = disputed(stripe_at_hand, top_up, amount=300)
    second = disputed(stripe_at_hand, top_up, amount=250)
    assert (hear(first).taken_cents, hear(second).taken_cents) == (300, 250)
    assert balance_cents(alices) == 450
    move(stripe_at_hand, first, "win")
    assert hear(first).taken_cents == 0
    assert (balance_cents(alices), house_cents("disputes")) == (750, 250)


def test_more_than_was_paid_is_taken_and_told(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    row = hear(disputed(stripe_at_hand, top_up, amount=1100))
    assert (row.amount_cents, row.taken_cents) == (1100, 1100)
    assert row.problem == "More was taken than the payment brought in."
    assert balance_cents(alices) == -100


def test_two_disputes_of_the_whole_are_more_than_was_paid(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    first, second = (disputed(stripe_at_hand, top_up, amount=1000) for _ in range(2))
    assert hear(first).problem == ""
    assert hear(second).problem == "More was taken than the payment brought in."
    assert {row.pk for row in disputes.unclear()} == {first, second}
    move(stripe_at_hand, first, "lose")
    assert hear(first).problem
    move(stripe_at_hand, second, "win")
    assert hear(second).problem == ""
    assert not disputes.unclear()


def test_an_older_telling_takes_no_state_back_but_its_money_counts(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    old = stripe_api.dispute(dispute_id)
    move(stripe_at_hand, dispute_id, "lose")
    now = stripe_api.dispute(dispute_id)
    again_if_lost(lambda: disputes.apply(replace(now, movements=())))
    again_if_lost(lambda: disputes.apply(old))
    row = Dispute.objects.get(pk=dispute_id)
    assert (row.status, row.taken_cents) == ("lost", 1000)
    assert balance_cents(alices) == 0


def test_an_unknown_status_is_shown_to_staff_and_its_money_is_booked(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    event = told(stripe_at_hand, dispute_id)[-1]
    appealed = replace(stripe_api.dispute(dispute_id), status="in_appeal")
    monkeypatch.setattr(stripe_api, "dispute", lambda _: appealed)
    assert handled(event).state == State.HANDLED
    row = Dispute.objects.get(pk=dispute_id)
    assert (row.status, row.is_open) == ("in_appeal", True)
    assert row.problem.startswith("Its status is in_appeal, which this release does not know.")
    assert balance_cents(alices) == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"currency": "eur"}, "Its currency is eur, not usd."),
        ({"movements": "eur"}, "is a adjustment of eur, which is not booked by itself."),
        ({"movements": "transfer"}, "is a transfer of usd, which is not booked by itself."),
    ],
)
def test_what_cannot_be_booked_is_kept_for_staff_and_its_event_parked(
    alices: Wallet,
    stripe_at_hand: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    sentence: str,
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    real = stripe_api.dispute(dispute_id)
    if "movements" in change:
        [movement] = real.movements
        word = change["movements"]
        odd = replace(movement, currency=word) if word == "eur" else replace(movement, type=word)
        real = replace(real, movements=(odd,))
    else:
        real = replace(real, currency="eur", movements=())
    monkeypatch.setattr(stripe_api, "dispute", lambda _: real)
    event = handled(told(stripe_at_hand, dispute_id)[0])
    assert event.state == State.PARKED
    assert sentence in event.error
    row = Dispute.objects.get(pk=dispute_id)
    assert (row.evidence_due_at, row.withdrawn_cents) == (real.evidence_due_at, 0)
    assert sentence in row.problem
    assert balance_cents(alices) == 1000


def test_one_of_the_other_mode_is_parked(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    real = stripe_api.dispute(dispute_id)
    monkeypatch.setattr(stripe_api, "dispute", lambda _: replace(real, livemode=True))
    assert handled(told(stripe_at_hand, dispute_id)[0]).state == State.PARKED
    assert not Dispute.objects.exists()
    assert balance_cents(alices) == 1000


def test_a_top_up_that_is_parked_is_not_debited(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(state=TopUp.State.PARKED)
    row = hear(dispute_id)
    assert row.problem == f"Its payment is top-up {top_up.pk}, which is parked, so no wallet was debited."
    assert ledger.balances(alices).paid_nanousd == 1000 * CENT


def test_while_stripe_is_away_the_round_ends(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = paid(stripe_at_hand, alices)
    for amount in (100, 200):
        hear(disputed(stripe_at_hand, top_up, amount=amount))
    Dispute.objects.update(checked_at=timezone.now() - disputes.OPEN_AGAIN)

    def away(dispute_id: str) -> None:
        raise StripeUnavailable("It does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(stripe_api, "dispute", away)
        assert disputes.look_again() == 0
    assert disputes.look_again() == 2
    assert disputes.look_again() == 0


def test_one_that_stripe_fails_about_holds_up_no_other(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = paid(stripe_at_hand, alices)
    bad, good = (disputed(stripe_at_hand, top_up, amount=amount) for amount in (100, 200))
    long_ago = timezone.now() - 2 * disputes.OPEN_AGAIN
    for number, dispute_id in enumerate((bad, good)):
        hear(dispute_id)
        checked_at = long_ago + number * disputes.YOUNG / 1000
        Dispute.objects.filter(pk=dispute_id).update(checked_at=checked_at)
    read = stripe_api.dispute

    def failing(dispute_id: str) -> Any:
        if dispute_id == bad:
            raise StripeFailed("An error of its own.")
        return read(dispute_id)

    monkeypatch.setattr(stripe_api, "dispute", failing)
    assert disputes.look_again() == 1
    assert not Dispute.objects.filter(checked_at__lt=timezone.now() - disputes.OPEN_AGAIN).exists()


def test_a_correction_at_the_same_moment_is_seen(
    alices: Wallet, stripe_at_hand: Sandbox, staff: User
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    credit = Transfer.objects.get(reference=f"top_up:{top_up.payment_intent_id}")
    heard = threading.Thread(target=at_once, args=(1, lambda _: hear(dispute_id)))
    with transaction.atomic():
        acts.correct(Instruction(staff, "It was credited twice.", uuid4()), credit)
        heard.start()
        heard.join(1.0)
        assert heard.is_alive()
    heard.join(20)
    row = Dispute.objects.get(pk=dispute_id)
    assert row.problem.startswith(f"Staff took top-up {top_up.pk} back by a correction")
    assert balance_cents(alices) == 0


def test_the_books_are_checked_against_each_dispute(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up)
    hear(dispute_id)
    hear(disputed(stripe_at_hand, paid(stripe_at_hand, alices), inquiry="true"))
    assert invariants.check() == []
    Dispute.objects.filter(pk=dispute_id).update(withdrawn_cents=999)
    [finding] = invariants.check([alices.pk])
    assert finding.invariant.name == "disputes"
    assert finding.ids[0].startswith(f"dispute {dispute_id}: its wallet lacks 10000000000 nano-dollars")
    assert invariants.check([alices.pk + 1]) == []


def test_an_account_is_not_closed_before_the_bank_has_decided(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox
) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    hear(dispute_id)
    found = leaving.standing(alice, lock=False)
    assert found is not None
    assert found.obstacles[-1].startswith("A bank questions one of the payments")
    move(stripe_at_hand, dispute_id, "lose")
    hear(dispute_id)
    found = leaving.standing(alice, lock=False)
    assert found is not None
    assert found.obstacles == ()


def test_a_top_up_that_staff_took_back_is_not_taken_again(
    alices: Wallet, stripe_at_hand: Sandbox, staff: User
) -> None:
    top_up = paid(stripe_at_hand, alices)
    credit = Transfer.objects.get(code="top_up")
    acts.correct(Instruction(staff, "The bank took it back.", uuid4()), credit)
    row = hear(disputed(stripe_at_hand, top_up))
    assert row.problem.startswith(f"Staff took top-up {top_up.pk} back by a correction")
    assert (row.withdrawn_cents, row.taken_cents) == (1000, 0)
    assert balance_cents(alices) == 0


def test_keys_stop_when_nothing_is_left_and_work_again_after_a_win(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    gateway = Gateway()
    sell()
    issued = keys.issue(alices, "laptop")
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    assert gateway.authorize(issued.text).status_code == 200
    hear(dispute_id)
    refused = gateway.authorize(issued.text)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_balance")
    move(stripe_at_hand, dispute_id, "win")
    hear(dispute_id)
    assert gateway.authorize(issued.text).status_code == 200


def test_refunds_and_disputes_at_once_never_wait_for_one_another_in_a_circle(
    alices: Wallet, stripe_at_hand: Sandbox
) -> None:
    top_ups = [paid(stripe_at_hand, alices) for _ in range(3)]
    follows = [disputes.heard_of(disputed(stripe_at_hand, each)) for each in top_ups]
    before = deadlocks()

    def one(number: int) -> str:
        if number % 2:
            again_if_lost(follows[number // 2 % 3])
            return "disputed"
        try:
            refunds.start(alices, 400)
        except refunds.TooMuch:
            return "refused"
        return "asked"

    done = at_once(12, one)
    assert done.count("disputed") == 6
    assert deadlocks() == before
    assert balance_cents(alices) == -400 * done.count("asked")
    assert invariants.check() == []
