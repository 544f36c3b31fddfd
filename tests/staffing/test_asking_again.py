"""Asking Stripe again about what is parked: the same judgement, once per form, with its entry in the audit trail."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import timezone

from accounts.audit import Refused
from accounts.models import AuditEntry, User
from tests.parallel import at_once
from tests.staffing.conftest import browser, by
from tests.stripe_sandbox.process import KEY, SECRET, Sandbox
from tests.wallet.test_topups import pay, started
from wallet import asking_again, disputes, ledger, refunds, stripe_api, topups
from wallet.models import Dispute, Refund, StripeEvent, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeUnavailable
from wallet.transactions import again_if_lost
from wallet.wallets import wallet_of

State = TopUp.State
CENT = 10_000_000

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stripe(settings: Any, tmp_path: Any) -> Any:
    with Sandbox(tmp_path).running() as sandbox:
        settings.STRIPE_SECRET_KEY = KEY
        settings.STRIPE_WEBHOOK_SECRET = SECRET
        settings.STRIPE_API_BASE = sandbox.url
        yield sandbox


@pytest.fixture
def alices(alice: User) -> Wallet:
    return wallet_of(alice)


def parked(stripe: Sandbox, wallet: Wallet) -> TopUp:
    """Paid at Stripe, and parked here."""
    top_up = started(wallet, 700)
    pay(stripe, top_up)
    TopUp.objects.filter(pk=top_up.pk).update(state=State.PARKED, problem="Its currency was eur.")
    return TopUp.objects.get(pk=top_up.pk)


def parked_event(top_up: TopUp) -> StripeEvent:
    return StripeEvent.objects.create(
        id="evt_parked",
        type="checkout.session.completed",
        object_id=str(top_up.session_id),
        livemode=False,
        payload={},
        state=StripeEvent.State.PARKED,
        handled_at=timezone.now(),
        attempts=8,
        error="It failed eight times.",
    )


def paid_cents(wallet: Wallet) -> int:
    return ledger.balances(wallet).paid_nanousd // CENT


def test_a_parked_top_up_is_credited_once_stripe_tells_what_fits(
    stripe: Sandbox, alices: Wallet, keeper: User
) -> None:
    top_up = parked(stripe, alices)
    instruction = by(keeper)
    for _ in range(2):
        found = asking_again.about_top_up(instruction, top_up)
        assert (found.state, found.problem, found.received_cents) == (State.PAID, "", 700)
    assert paid_cents(alices) == 700
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details) == ("wallet.ask_about_top_up", {"top_up": str(top_up.pk)})
    assert (entry.target_type, entry.target_id) == ("wallet.wallet", str(alices.pk))


def test_many_at_once_credit_it_once(stripe: Sandbox, alices: Wallet, keeper: User) -> None:
    top_up = parked(stripe, alices)
    states = at_once(8, lambda _: asking_again.about_top_up(by(keeper), top_up).state)
    assert set(states) == {State.PAID}
    assert paid_cents(alices) == 700
    assert AuditEntry.objects.count() == 8


def test_what_still_does_not_fit_stays_parked(stripe: Sandbox, alices: Wallet, keeper: User) -> None:
    top_up = parked(stripe, alices)
    TopUp.objects.filter(pk=top_up.pk).update(amount_cents=701)
    found = asking_again.about_top_up(by(keeper), top_up)
    assert found.state == State.PARKED
    assert found.problem == "It asks 700 cents; the order was 701."
    assert paid_cents(alices) == 0


def test_one_that_stripe_never_heard_of_is_refused(alices: Wallet, keeper: User) -> None:
    top_up = TopUp.objects.create(wallet=alices, amount_cents=100, state=State.PARKED)
    assert not asking_again.can_ask_about(top_up)
    with pytest.raises(Refused, match="nothing to ask about"):
        asking_again.about_top_up(by(keeper), top_up)


def test_while_stripe_is_away_nothing_is_written(
    stripe: Sandbox, alices: Wallet, keeper: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = parked(stripe, alices)

    def away(session_id: str) -> None:
        raise StripeUnavailable("It does not answer.")

    monkeypatch.setattr(stripe_api, "session", away)
    with pytest.raises(Refused, match="Stripe does not answer"):
        asking_again.about_top_up(by(keeper), top_up)
    assert not AuditEntry.objects.exists()
    top_up.refresh_from_db()
    assert top_up.state == State.PARKED
    event = asking_again.about_event(by(keeper), parked_event(top_up))
    assert (event.state, event.error) == (StripeEvent.State.PENDING, "It does not answer.")


def test_a_parked_event_is_handled_anew(stripe: Sandbox, alices: Wallet, keeper: User) -> None:
    top_up = started(alices, 700)
    pay(stripe, top_up)
    event = parked_event(top_up)
    instruction = by(keeper)
    for _ in range(2):
        assert asking_again.about_event(instruction, event).state == StripeEvent.State.HANDLED
    assert paid_cents(alices) == 700
    assert AuditEntry.objects.get().action == "wallet.ask_about_event"


def test_an_event_that_makes_no_more_sense_than_before(stripe: Sandbox, keeper: User) -> None:
    event = parked_event(TopUp(session_id="cs_unknown"))
    found = asking_again.about_event(by(keeper), event)
    assert found.state == StripeEvent.State.PARKED
    assert found.error.startswith("Stripe does not tell about cs_unknown")


def test_a_dispute_is_read_again(stripe: Sandbox, alices: Wallet, keeper: User) -> None:
    top_up = started(alices, 700)
    pay(stripe, top_up)
    top_up = topups.settle(top_up.pk).top_up
    query = f"payment_intent={top_up.payment_intent_id}"
    charge = stripe.request("GET", f"/v1/charges?{query}").json["data"][0]["id"]
    dispute_id = stripe.command(f"charges/{charge}/dispute")["dispute"]["id"]
    again_if_lost(disputes.heard_of(dispute_id))
    stripe.command(f"disputes/{dispute_id}/win")
    found = asking_again.about_dispute(by(keeper), Dispute.objects.get())
    assert (found.status, found.taken_cents, paid_cents(alices)) == ("won", 0, 700)
    assert AuditEntry.objects.get().details == {"dispute": dispute_id}


def test_who_may_not_act_on_the_books_asks_nothing(stripe: Sandbox, alices: Wallet, viewer: User) -> None:
    top_up = parked(stripe, alices)
    acts: list[Callable[[], object]] = [
        lambda: asking_again.about_top_up(by(viewer), top_up),
        lambda: asking_again.about_event(by(viewer), parked_event(top_up)),
        lambda: asking_again.about_dispute(by(viewer), Dispute(pk="du_1")),
    ]
    for act in acts:
        with pytest.raises(PermissionDenied):
            act()
    assert (paid_cents(alices), AuditEntry.objects.count()) == (0, 0)
    address = reverse("admin:wallet_topup_ask", args=[top_up.pk])
    assert browser(viewer).get(address).status_code == 403


def test_the_button_leads_to_a_form_that_says_what_came_of_it(
    stripe: Sandbox, alices: Wallet, keeper: User
) -> None:
    top_up = parked(stripe, alices)
    desk = browser(keeper)
    page = reverse("admin:wallet_topup_change", args=[top_up.pk])
    assert "Ask Stripe again" in desk.get(page).text
    address = reverse("admin:wallet_topup_ask", args=[top_up.pk])
    assert "Its currency was eur." in desk.get(address).text
    sent = {"request_id": str(uuid.uuid4()), "reason": "Stripe's support mended it."}
    answer = desk.post(address, sent, follow=True)
    assert "Stripe was asked. It is paid (Paid and credited)." in answer.text
    assert "Ask Stripe again" not in answer.text
    assert paid_cents(alices) == 700


def test_the_form_comes_back_to_an_id_that_the_panel_quotes(
    stripe: Sandbox, alices: Wallet, keeper: User
) -> None:
    event = parked_event(parked(stripe, alices))
    StripeEvent.objects.filter(pk=event.pk).update(id="evt_5F3F1")
    desk = browser(keeper)
    page = "/admin/wallet/stripeevent/evt_5F5F3F1/change/"
    address = reverse("admin:wallet_stripeevent_ask", args=[quote("evt_5F3F1")])
    assert f'href="{page}"' in desk.get(address).text
    sent = {"request_id": str(uuid.uuid4()), "reason": "Stripe's support mended it."}
    answer = desk.post(address, sent)
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert f'href="{page}"' in desk.get("/admin/accounts/auditentry/").text


def test_a_refund_is_read_again(stripe: Sandbox, alices: Wallet, keeper: User) -> None:
    top_up = started(alices, 700)
    pay(stripe, top_up)
    top_up = topups.settle(top_up.pk).top_up
    refund_asking.settle_request(refunds.start(alices, 300))
    refund = Refund.objects.get()
    assert refund.state == Refund.State.SUCCEEDED
    stripe.command(f"refunds/{refund.refund_id}/fail", reason="unknown")
    instruction = by(keeper)
    for _ in range(2):
        assert asking_again.about_refund(instruction, refund).state == Refund.State.FAILED
    assert paid_cents(alices) == 700
    assert AuditEntry.objects.get().details == {"refund": str(refund.pk)}
    refund.refund_id = None
    with pytest.raises(Refused, match="has not said yet which refund"):
        asking_again.about_refund(by(keeper), refund)
