"""What staff accept as it stands: listed apart, no alarm and no exit code, no money moved; and only just that."""

import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.audit import Instruction, Refused
from accounts.models import AuditEntry, User
from cometsite import staff_index
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox, payment
from tests.wallet.books import CENT, balance_cents
from tests.wallet.reconciling.asking import good
from tests.wallet.test_topups import pay, started
from wallet import disputes, invariants, ledger
from wallet.models import Code, Difference, Dispute, Reconciliation, StripeTransaction, Transfer, Wallet
from wallet.reconciliation import accepting, runs


def by(who: User, request_id: uuid.UUID | None = None) -> Instruction:
    return Instruction(who, "Another shop uses this account.", request_id or uuid.uuid4())


def foreign(stripe: Sandbox) -> tuple[str, str]:
    """Somebody pays for something else on this account: its payment, and the session."""
    session = stripe.client().v1.checkout.sessions.create(payment())
    stripe.command(f"sessions/{session.id}/pay", method="card")
    return str(stripe.client().v1.checkout.sessions.retrieve(session.id).payment_intent), session.id


def command() -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("reconcile_stripe", stdout=out, stderr=err)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_other_business_is_accepted_and_the_sums_stay_exact(
    alices: Wallet, staff: User, stripe: Sandbox
) -> None:
    pay(stripe, started(alices, 200))
    intent, _ = foreign(stripe)
    assert len(runs.run().differences) == 2
    moved = Transfer.objects.count()
    [difference] = Difference.objects.all()
    assert (difference.name, difference.accepted_at) == (intent, None)
    accepting.accept(by(staff), difference)
    run = good(runs.run())
    one, sums = run.accepted
    assert one == f"Payment {intent} of $1.00 at Stripe is in no wallet: no top-up has it."
    assert "holds $1.64; Stripe's balance transactions sum to $2.31" in sums
    assert "-$0.67 too much here (accepted transactions make -$0.67 of it)" in sums
    assert (Transfer.objects.count(), balance_cents(alices)) == (moved, 200)
    code, out, err = command()
    assert (code, err) == (0, "")
    assert f"Accepted by staff:\n  {one}" in out
    assert "to the cent, but for what staff accepted." in out
    # Also where it is long ago, and only its transaction tells of it.
    assert good(runs.run(since=timezone.now())).accepted[0] == one
    assert invariants.check() == []


def test_what_else_is_wrong_alarms_beside_it(alices: Wallet, staff: User, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 200))
    foreign(stripe)
    runs.run()
    accepting.accept(by(staff), Difference.objects.get())
    second, _ = foreign(stripe)
    told, sums = runs.run().differences
    assert second in told
    assert "unexplained transactions make -$0.67 of it; accepted transactions make -$0.67 of it" in sums


def test_a_fault_as_large_as_what_was_accepted_does_not_hide_behind_it(
    alices: Wallet, staff: User, stripe: Sandbox
) -> None:
    pay(stripe, started(alices, 200))
    foreign(stripe)
    runs.run()
    accepting.accept(by(staff), Difference.objects.get())
    with transaction.atomic():
        ledger.post(
            code=Code.PAYOUT,
            reference="payout:by hand",
            debit=ledger.house("stripe_clearing"),
            credit=ledger.house("bank"),
            amount_nanousd=67 * CENT,
        )
    [told] = runs.run().differences
    assert "holds $2.31; Stripe's balance transactions sum to $2.31" in told
    assert "accepted transactions make -$0.67 of it" in told


def test_another_sentence_about_the_same_alarms_again(alices: Wallet, staff: User, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 200))
    intent, _ = foreign(stripe)
    runs.run()
    accepting.accept(by(staff), Difference.objects.get())
    good(runs.run())
    # A top-up of another amount seems to have it now.
    row = started(alices, 400)
    row.state, row.payment_intent_id, row.received_cents, row.paid_at = "paid", intent, 400, timezone.now()
    row.save()
    assert any(
        f"Payment {intent} is $1.00 at Stripe; top-up {row.pk} has $4.00" in each
        for each in runs.run().differences
    )
    assert sorted(bool(each.accepted_at) for each in Difference.objects.filter(name=intent)) == [False, True]


def test_a_dispute_of_other_business(alices: Wallet, staff: User, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 200))
    _, session = foreign(stripe)
    dispute_id = stripe.command(f"charges/{session}/dispute")["dispute"]["id"]
    assert len(runs.run().differences) == 3
    assert [row.pk for row in disputes.unclear()] == [dispute_id]
    for difference in Difference.objects.all():
        accepting.accept(by(staff), difference)
    good(runs.run())
    assert not disputes.unclear().exists()
    # It says something else now.
    Dispute.objects.update(problem="Its currency is eur, not usd.")
    assert disputes.unclear().exists()


def test_it_is_one_decision_and_is_written_down(alices: Wallet, staff: User) -> None:
    accepting.note("pi_1", "Payment pi_1 is odd.")
    difference = Difference.objects.get()
    wish = by(staff)
    for _ in range(2):
        assert accepting.accept(wish, difference).accepted_by == staff
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.target_id, entry.details) == (
        "wallet.accept_difference",
        str(difference.pk),
        {"about": "pi_1"},
    )
    with pytest.raises(Refused, match="has accepted it already"):
        accepting.accept(by(staff), difference)
    assert accepting.note("pi_1", "Payment pi_1 is odd.")
    assert not accepting.note("pi_1", "Payment pi_1 is odder.")
    assert not accepting.note("pi_2", "Payment pi_1 is odd.")
    assert accepting.reopen(by(staff), difference).accepted_at is None
    with pytest.raises(Refused, match="It is not accepted"):
        accepting.reopen(by(staff), difference)
    assert not accepting.note("pi_1", "Payment pi_1 is odd.")


def test_many_at_once_accept_once(alices: Wallet, staff: User) -> None:
    accepting.note("pi_1", "Payment pi_1 is odd.")
    difference = Difference.objects.get()

    def accept(_: int) -> bool:
        try:
            accepting.accept(by(staff), difference)
        except Refused:
            return False
        return True

    assert at_once(8, accept).count(True) == 1
    assert AuditEntry.objects.count() == 1


def test_who_may_not_act_on_books_accepts_nothing(alices: Wallet, alice: User) -> None:
    accepting.note("pi_1", "Payment pi_1 is odd.")
    with pytest.raises(PermissionDenied):
        accepting.accept(by(alice), Difference.objects.get())
    assert Difference.objects.get().accepted_at is None


def test_staff_accept_on_a_page(alices: Wallet, staff: User, client: Client, stripe: Sandbox) -> None:
    pay(stripe, started(alices, 200))
    intent, _ = foreign(stripe)
    run = runs.run()
    client.force_login(staff)
    assert "standing=open" in client.get(f"/admin/wallet/reconciliation/{run.pk}/change/").content.decode()
    odd = StripeTransaction.objects.get(state="unexplained")
    page = client.get(f"/admin/wallet/stripetransaction/{odd.pk}/change/").content.decode()
    assert f"/admin/wallet/difference/?q={intent}" in page
    listed = client.get(f"/admin/wallet/difference/?q={intent}&standing=open").content.decode()
    difference = Difference.objects.get()
    assert f"/admin/wallet/difference/{difference.pk}/change/" in listed
    address = f"/admin/wallet/difference/{difference.pk}/accept/"
    form = {"request_id": str(uuid.uuid4())}
    assert client.post(address, form).status_code == 422
    assert client.post(address, form | {"reason": "Another shop."}).status_code == 302
    assert (
        "Let it alarm again"
        in client.get(f"/admin/wallet/difference/{difference.pk}/change/").content.decode()
    )
    run = good(runs.run())
    page = client.get(f"/admin/wallet/reconciliation/{run.pk}/change/").content.decode()
    assert "is in no wallet: no top-up has it" in page
    Difference.objects.update(seen_at=timezone.now() - timedelta(days=1))
    listed = client.get("/admin/wallet/difference/").content.decode()
    assert ">gone<" in "".join(listed.split())
    staff_index.forget()
    found = {number.title: number for number in staff_index.numbers().waiting}["Stripe"]
    assert (found.value, found.is_alarming) == ("Equal", False)
    assert Reconciliation.objects.count() == 2
