"""What the owner of a wallet sees of disputes, and what staff see of them."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone

from accounts.models import User
from cometsite import staff_index
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.saved import spend
from tests.wallet.test_disputes import disputed, hear, move, paid
from wallet import leaving, tasks
from wallet.models import Dispute, StripeEvent, Wallet
from wallet.models.stripe import FRAUD_WARNING

HEADING = "Disputed payments"
ALERT = "so calls with your keys are refused"
LIST = "/admin/wallet/dispute/"


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)
    staff_index.forget()


@pytest.fixture
def desk(transactional_db: None, staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_a_wallet_without_disputes_says_nothing_of_them(alices: Wallet, as_alice: Client) -> None:
    page = as_alice.get("/wallet/").text
    assert HEADING not in page
    assert ALERT not in page


def test_the_owner_sees_what_was_taken_and_why_keys_stopped(
    alices: Wallet, as_alice: Client, as_charlie: Client, stripe_at_hand: Sandbox
) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    hear(dispute_id)
    page = as_alice.get("/wallet/").text
    assert HEADING in page
    assert "The bank decides" in page
    assert "A bank took back $10.00" in page
    assert ALERT in page
    assert HEADING not in as_charlie.get("/wallet/").text
    move(stripe_at_hand, dispute_id, "win")
    hear(dispute_id)
    page = as_alice.get("/wallet/").text
    assert "Returned to your wallet" in page
    assert ALERT not in page


def test_while_something_is_left_keys_work_and_no_alarm_is_raised(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    dispute_id = disputed(stripe_at_hand, top_up, amount=400)
    hear(dispute_id)
    page = as_alice.get("/wallet/").text
    assert "$4.00" in page
    assert ALERT not in page
    assert "A bank took back $4.00." in as_alice.get(f"/wallet/top-ups/{top_up.pk}/").text
    move(stripe_at_hand, dispute_id, "lose")
    hear(dispute_id)
    assert "The bank keeps it" in as_alice.get("/wallet/").text
    Dispute.objects.update(opened_at=timezone.now() - timedelta(days=121))
    assert HEADING not in as_alice.get("/wallet/").text


def test_a_lost_dispute_is_called_over_and_the_negative_sum_is_explained(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    spend(alices, 470, "spent")
    dispute_id = disputed(stripe_at_hand, top_up)
    hear(dispute_id)
    page = as_alice.get("/wallet/").text
    assert "have the bank withdraw" in page
    assert "withdraw the dispute." in page
    assert re.search(r'In that, taken back by a bank</dt>\s*<dd class="num">-\$10.00<', page)
    move(stripe_at_hand, dispute_id, "lose")
    hear(dispute_id)
    page = as_alice.get("/wallet/").text
    assert ALERT in page
    assert "is over, and the bank keeps it. Top up, and" in page
    assert "withdraw" not in page
    assert "Paid, and taken back" in as_alice.get(f"/wallet/top-ups/{top_up.pk}/").text
    standing = leaving.standing(alices.owner, lock=False)
    assert standing
    assert standing.facts[0] == ("Owed for calls or to a bank", "$4.70")


def test_an_inquiry_says_that_nothing_was_taken(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    hear(disputed(stripe_at_hand, paid(stripe_at_hand, alices), inquiry="true"))
    page = as_alice.get("/wallet/").text
    assert "The bank asks; nothing was taken" in page
    assert 'data-nanousd="10000000000"' in page


def row(name: str, status: str, days: int) -> Dispute:
    now = timezone.now()
    return Dispute.objects.create(
        id=name,
        amount_cents=500,
        status=status,
        reason="product_not_received",
        opened_at=now,
        evidence_due_at=now + timedelta(days=days),
    )


def test_the_queue_begins_with_what_is_due_first(desk: Client) -> None:
    row("du_won", "won", 1)
    row("du_review", "under_review", 2)
    row("du_later", "needs_response", 9)
    row("du_inquiry", "warning_needs_response", 5)
    row("du_late", "needs_response", -1)
    page = desk.get(LIST).text
    places = [
        page.index(f"/{quote(name)}/change/")
        for name in ("du_late", "du_inquiry", "du_later", "du_review", "du_won")
    ]
    assert places == sorted(places)
    assert "too late" in page
    assert "product not received" in page
    assert "/dashboard" in page


@pytest.mark.parametrize(
    ("stage", "shown"),
    [("answer", {"du_a"}), ("open", {"du_a", "du_b"}), ("closed", {"du_c"}), ("unclear", {"du_c"})],
)
def test_the_queue_by_stage(desk: Client, stage: str, shown: set[str]) -> None:
    row("du_a", "needs_response", 1)
    row("du_b", "in_appeal", 1)
    row("du_c", "lost", 1)
    Dispute.objects.filter(pk="du_c").update(problem="Its currency is eur, not usd.")
    page = desk.get(LIST, {"stage": stage}).text
    assert {name for name in ("du_a", "du_b", "du_c") if f"/{quote(name)}/change/" in page} == shown


def test_the_first_page_names_the_next_deadline(desk: Client) -> None:
    assert "nothing is due" in desk.get("/admin/").text
    staff_index.forget()
    first = row("du_a", "needs_response", 3)
    row("du_b", "warning_needs_response", 8)
    page = desk.get("/admin/").text
    assert f"next by {first.evidence_due_at:%-d %b %H:%M} UTC" in page
    assert "?stage=answer" in page


def test_a_dispute_shows_its_money_and_its_deadline(
    alices: Wallet, desk: Client, stripe_at_hand: Sandbox
) -> None:
    dispute_id = disputed(stripe_at_hand, paid(stripe_at_hand, alices))
    hear(dispute_id)
    page = desk.get(f"{LIST}{quote(dispute_id)}/change/").text
    for part in ("$10.00", "$15.00", "in 8 d", "evidence is due", f"Wallet {alices.pk}", "Ask Stripe again"):
        assert part in page


def test_early_fraud_warnings_can_be_listed(desk: Client) -> None:
    for name, kind in (("evt_warning", FRAUD_WARNING), ("evt_other", "charge.succeeded")):
        StripeEvent.objects.create(id=name, type=kind, object_id="x", livemode=False, payload={})
    page = desk.get("/admin/wallet/stripeevent/", {"about": "fraud"}).text
    assert "evt_warning" in page
    assert "evt_other" not in page
