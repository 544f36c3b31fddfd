"""Refunds that wait for staff: which do, who decides, and what their owner may do meanwhile."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from accounts.audit import Instruction, Refused
from accounts.models import AuditEntry, User
from tests.books import assert_books
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.refunding import at_stripe, given_cents, only, paid
from tests.wallet.test_disputes import disputed, hear
from wallet import invariants, leaving, refunds
from wallet.models import Refund, Wallet
from wallet.refunds import decisions as refund_decisions
from wallet.wallets import wallet_of

State = Refund.State


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> Iterator[None]:
    yield
    assert_books()
    assert invariants.check() == []


@pytest.fixture
def limited(settings: Any, stripe_at_hand: Sandbox) -> Sandbox:
    settings.REFUND_APPROVAL_ABOVE_CENTS = 500
    return stripe_at_hand


def by(actor: User, reason: str = "They asked for it.") -> Instruction:
    return Instruction(actor, reason, uuid.uuid4())


def state_of(client: Client, cents: str) -> str:
    answer = client.post("/wallet/refunds/", {"amount": cents})
    assert answer.status_code == 303
    page = client.get(answer["Location"]).content.decode()
    return page.split('data-state="')[1].split('"')[0]


def test_above_the_limit_it_waits_and_parts_count_together(
    alices: Wallet, as_alice: Client, limited: Sandbox
) -> None:
    top_up = paid(limited, alices, 2000)
    assert state_of(as_alice, "3.00") == "succeeded"
    assert state_of(as_alice, "2.00") == "succeeded"
    assert state_of(as_alice, "0.01") == "waiting"
    assert (balance_cents(alices), given_cents(limited, top_up)) == (1499, 500)
    Refund.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert state_of(as_alice, "5.00") == "succeeded"
    assert "Waits for our approval" in as_alice.get("/wallet/").content.decode()


def test_a_young_account_waits(
    alices: Wallet, alice: User, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.REFUND_MIN_ACCOUNT_AGE_DAYS = 7
    paid(stripe_at_hand, alices)
    assert "While your account is new" in as_alice.get("/wallet/").content.decode()
    assert state_of(as_alice, "1") == "waiting"
    User.objects.filter(pk=alice.pk).update(date_joined=timezone.now() - timedelta(days=8))
    assert state_of(as_alice, "1") == "succeeded"


def test_a_suspended_wallet_waits(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    Wallet.objects.update(suspended_at=timezone.now())
    assert "we look at each refund first" in as_alice.get("/wallet/").content.decode()
    assert state_of(as_alice, "1") == "waiting"


def test_its_owner_cancels_it(alices: Wallet, as_alice: Client, limited: Sandbox) -> None:
    top_up = paid(limited, alices)
    state_of(as_alice, "8.00")
    row = only(alices)
    assert leaving.standing(alices.owner, lock=False)
    for _ in range(2):
        answer = as_alice.post(f"/wallet/refunds/{row.request_id}/cancel/")
        assert answer.status_code == 303
    assert (only(alices).state, balance_cents(alices)) == (State.CANCELED, 1000)
    assert at_stripe(limited, top_up) == []
    assert mail.outbox[0].subject == "Comet: Your refund was canceled"


def test_what_went_to_stripe_is_not_canceled(alices: Wallet, as_alice: Client, limited: Sandbox) -> None:
    paid(limited, alices)
    state_of(as_alice, "4.00")
    as_alice.post(f"/wallet/refunds/{only(alices).request_id}/cancel/")
    assert (only(alices).state, balance_cents(alices)) == (State.SUCCEEDED, 600)


def test_staff_approve_all_of_a_request_in_the_panel(
    alices: Wallet, as_alice: Client, staff: User, limited: Sandbox
) -> None:
    first, second = paid(limited, alices, 400), paid(limited, alices, 400)
    state_of(as_alice, "7.00")
    row = Refund.objects.all()[0]
    desk = Client()
    desk.force_login(staff)
    shown = desk.get(f"/admin/wallet/refund/{row.pk}/change/").content.decode()
    assert "Approve" in shown
    page = f"/admin/wallet/refund/{row.pk}/approve/"
    form = {"request_id": str(uuid.uuid4()), "reason": "Ticket 7: checked."}
    assert "$7.00 of 2 payments" in desk.get(page).content.decode()
    listed = desk.get("/admin/wallet/refund/?state__exact=waiting").content.decode()
    assert listed.count("$7.00") == 2
    assert listed.count(f"request_id__exact={row.request_id}") == 2
    assert alices.owner.email in listed
    assert desk.post(page, form).status_code == 302
    assert desk.post(page, form).status_code == 302
    assert (given_cents(limited, second), given_cents(limited, first)) == (400, 300)
    assert set(Refund.objects.values_list("state", "decided_by")) == {(State.SUCCEEDED, staff.pk)}
    [entry] = AuditEntry.objects.filter(action="wallet.approve_refund")
    assert (entry.reason, entry.target_id) == ("Ticket 7: checked.", str(alices.pk))
    assert entry.details["amount_nanousd"] == 7_000_000_000


def test_a_declined_one_returns_with_the_reason(
    alices: Wallet, as_alice: Client, staff: User, limited: Sandbox
) -> None:
    top_up = paid(limited, alices)
    state_of(as_alice, "8.00")
    row = only(alices)
    for _ in range(2):
        refund_decisions.decline(by(staff, "Pay back the disputed one first."), row)
    assert (only(alices).state, balance_cents(alices)) == (State.DECLINED, 1000)
    assert at_stripe(limited, top_up) == []
    page = as_alice.get(f"/wallet/refunds/{row.request_id}/").content.decode()
    assert "Pay back the disputed one first." in page
    [told] = mail.outbox
    assert (told.subject, told.to) == ("Comet: Your refund was declined", ["alice@example.com"])
    assert "Pay back the disputed one first." in told.body
    assert AuditEntry.objects.filter(action="wallet.decline_refund").count() == 1


def test_what_was_decided_has_no_form_and_is_not_decided_again(
    alices: Wallet, as_alice: Client, staff: User, limited: Sandbox
) -> None:
    paid(limited, alices)
    desk = Client()
    desk.force_login(staff)
    other = User.objects.create_superuser("other@example.com", "correct horse battery")

    def closed(said: str) -> None:
        row = Refund.objects.latest("created_at")
        for act in ("approve", "decline"):
            page = f"/admin/wallet/refund/{row.pk}/{act}/"
            opened = desk.get(page).text
            assert said in opened
            assert 'name="reason"' not in opened
            form = {"request_id": str(uuid.uuid4()), "reason": "Ticket 8: checked again."}
            answer = desk.post(page, form)
            assert (answer.status_code, 'name="reason"' in answer.text) == (422, False)
        assert Refund.objects.get(pk=row.pk).state == row.state

    state_of(as_alice, "8.00")
    as_alice.post(f"/wallet/refunds/{only(alices).request_id}/cancel/")
    closed("Nobody has to decide about it. Canceled; it is in the wallet again.")
    state_of(as_alice, "8.00")
    refund_decisions.decline(by(staff), Refund.objects.latest("created_at"))
    closed("staff@example.com declined it on ")
    state_of(as_alice, "8.00")
    refund_decisions.approve(by(other), Refund.objects.latest("created_at"))
    closed("other@example.com approved it on ")
    assert AuditEntry.objects.count() == 2


def test_a_payment_that_the_bank_took_meanwhile_is_told_in_our_words(
    alices: Wallet, as_alice: Client, staff: User, limited: Sandbox
) -> None:
    top_up = paid(limited, alices)
    state_of(as_alice, "8.00")
    row = only(alices)
    hear(disputed(limited, top_up))
    desk = Client()
    desk.force_login(staff)
    page = f"/admin/wallet/refund/{row.pk}/approve/"
    shown = desk.get(page).text
    assert (
        "payment of $10.00, The bank takes the payment back; evidence is due. $10.00 of it is taken" in shown
    )
    assert "Stripe refuses to give this payment back." in shown
    desk.post(page, {"request_id": str(uuid.uuid4()), "reason": "Ticket 9: checked."})
    said = "The bank disputes the payment, so nothing is given back on it."
    row.refresh_from_db()
    assert (row.state, row.problem) == (State.FAILED, said)
    assert "has been charged back" in row.refusal
    assert "has been charged back" in desk.get(f"/admin/wallet/refund/{row.pk}/change/").text
    owners = as_alice.get(f"/wallet/refunds/{row.request_id}/").text
    assert (said in owners, "charged back" in owners) == (True, False)
    assert "charged back" not in mail.outbox[-1].body


def test_one_person_decides_and_only_once(
    alices: Wallet, as_alice: Client, staff: User, charlie: User, limited: Sandbox
) -> None:
    paid(limited, alices)
    state_of(as_alice, "8.00")
    row = only(alices)
    other = User.objects.create_superuser("other@example.com", "correct horse battery")

    def decide(number: int) -> bool:
        who, act = [(staff, refund_decisions.approve), (other, refund_decisions.decline)][number % 2]
        try:
            act(by(who), row)
        except Refused:
            return False
        return True

    assert len(set(at_once(8, decide))) == 2
    assert only(alices).state in (State.CREATED, State.DECLINED)
    assert AuditEntry.objects.count() == 1
    with pytest.raises(PermissionDenied):
        refund_decisions.approve(by(charlie), row)


def test_nobody_decides_about_their_own(staff: User, limited: Sandbox) -> None:
    own = wallet_of(staff)
    paid(limited, own)
    row = Refund.objects.get(request_id=refunds.start(own, 800))
    for act in (refund_decisions.approve, refund_decisions.decline):
        with pytest.raises(Refused, match="your own wallet"):
            act(by(staff), row)
    desk = Client()
    desk.force_login(staff)
    assert desk.get(f"/admin/wallet/refund/{row.pk}/approve/").status_code == 403
    assert only(own).state == State.WAITING


def test_the_permission_is_needed(alices: Wallet, as_alice: Client, limited: Sandbox) -> None:
    paid(limited, alices)
    state_of(as_alice, "8.00")
    viewer = User.objects.create_user("viewer@example.com", "correct horse battery", is_staff=True)
    desk = Client()
    desk.force_login(viewer)
    address = f"/admin/wallet/refund/{only(alices).pk}/approve/"
    form = {"request_id": str(uuid.uuid4()), "reason": "I would like to."}
    assert desk.post(address, form).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="act_on_books"))
    assert desk.post(address, form).status_code == 302
