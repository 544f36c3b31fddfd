"""Wherever a card's sum differs from the wallet's, both are said and the tax is named; nothing is said twice."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.audit import Instruction
from accounts.models import User
from cometsite import staff_index
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.test_dispute_tax import refund, taxed, telling
from tests.wallet.test_payments import paid
from wallet import dispute_mail, disputes, grants, invariants, refunds
from wallet.models import Dispute, Refund, StripeTransaction, TopUp, Transfer, Wallet
from wallet.refunds import decisions, requests
from wallet.refunds import mail as refund_mail
from wallet.transactions import again_if_lost

WALLET = "/wallet/"
CANCELED = "You canceled it."


@pytest.fixture
def desk(transactional_db: None, staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def words(client: Client, address: str = WALLET) -> str:
    """What a page says, without its markup."""
    return " ".join(strip_tags(client.get(address).text).split())


def by(actor: User) -> Instruction:
    return Instruction(actor, "It was agreed.", uuid.uuid4())


def take_back(top_up: TopUp, *amounts: int) -> Dispute:
    return again_if_lost(lambda: disputes.apply(telling(top_up, "a", *amounts)))


def test_the_history_says_what_was_paid_with_its_tax(alices: Wallet, as_alice: Client) -> None:
    taxed(alices, 1)
    assert "You paid $11.93 with $1.93 of tax." in words(as_alice)


def test_a_refund_names_its_tax_before_it_is_asked_for_and_after(alices: Wallet, as_alice: Client) -> None:
    top_up = taxed(alices, 1)
    page = words(as_alice)
    assert f"Paid $11.93 with $1.93 of tax on {top_up.paid_at:%-d %b %Y} $11.93 with $1.93 of tax" in page
    assert "Tax that goes back beside it $1.93 In all, to what you paid with $11.93" in page
    assert "Up to $10.00, in whole cents. Its tax goes back on top." in page
    refund(top_up, 597)
    page = words(as_alice)
    assert "payment of $11.93 with $1.93 of tax" in page
    assert "in all $5.97 with $0.97 of tax" in page
    request_id = Refund.objects.get().request_id
    assert "$5.97 with $0.97 of tax went back to what you paid with." in words(
        as_alice, requests.path(request_id)
    )
    assert "we have given back $5.97 with $0.97 of tax to what you paid with." in str(mail.outbox[-1].body)


def test_without_tax_none_is_named(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    refunds.start(alices, 400)
    assert "tax" not in words(as_alice).lower()


def test_a_bank_debit_that_is_under_way_names_what_is_debited(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_TAX = True
    top_up = paid(stripe_at_hand, alices, method="bank", country="DE")
    assert top_up.state == TopUp.State.PENDING
    assert "$10.00 you pay $11.90 with $1.90 of tax" in words(as_alice)
    page = words(as_alice, f"/wallet/top-ups/{top_up.pk}/")
    assert "$10.00 will be in your wallet as soon as your bank has paid $11.90, $1.90 of it tax." in page
    assert "Your bank is to pay in all $11.90" in page
    as_alice.post("/wallet/top-ups/check/")
    assert "you pay $11.90 with $1.90 of tax" in words(as_alice, "/wallet/top-ups/check/")
    stripe_at_hand.command(f"sessions/{top_up.session_id}/settle", outcome="fails")
    assert "tax" not in words(as_alice, f"/wallet/top-ups/{top_up.pk}/").lower()
    top_up.refresh_from_db()
    assert (top_up.state, top_up.received_cents, top_up.tax_cents) == (TopUp.State.FAILED, None, None)


def test_what_a_bank_took_back_names_the_tax_everywhere(
    alices: Wallet, as_alice: Client, desk: Client
) -> None:
    top_up = taxed(alices, 1)
    row = take_back(top_up, -1193)
    page = words(as_alice)
    assert "A bank took back $10.00 of what was paid into this wallet, and $1.93 of tax beside it, so" in page
    assert "$10.00 and $1.93 of tax" in page
    assert "in all $11.93 with $1.93 of tax" in page
    page = words(as_alice, f"/wallet/top-ups/{top_up.pk}/")
    assert "A bank took back $10.00, and $1.93 of tax beside it." in page
    dispute_mail.tell_due()
    text = str(mail.outbox[-1].body)
    assert "your payment of $11.93 with $1.93 of tax of " in text
    assert "$10.00 left your wallet for that, and $1.93 of tax went back beside it; where" in text
    Dispute.objects.update(status=Dispute.Status.LOST)
    dispute_mail.tell_due()
    text = str(mail.outbox[-1].body)
    assert "It keeps $10.00, which had left your wallet, and $1.93 of tax beside it." in text
    assert "Tax $1.93" in words(desk, f"/admin/wallet/dispute/{quote(row.pk)}/change/")


def test_the_tax_of_a_movement_that_was_tax_alone_is_listed(alices: Wallet, desk: Client) -> None:
    top_up = taxed(alices, 1)
    row = take_back(top_up, -3, -1)
    # All of the second was tax, so nothing of it was the wallet's, and only Stripe's movement leads to it.
    movement = f"txn_a_1_{top_up.payment_intent_id}"
    assert Transfer.objects.get(details__balance_transaction=movement).reference == f"tax:{movement}"
    StripeTransaction.objects.create(
        id=movement,
        type="adjustment",
        source_id=row.pk,
        currency="usd",
        amount_cents=-1,
        fee_cents=0,
        made_at=timezone.now(),
    )
    page = words(desk, f"/admin/wallet/dispute/{quote(row.pk)}/change/")
    assert (page.count("Dispute $0.03"), page.count("Tax $0.01")) == (1, 1)


def test_the_tax_that_a_failed_refund_left_to_a_dispute_is_listed_at_the_refund(
    alices: Wallet, desk: Client
) -> None:
    top_up = taxed(alices, 1)
    refund(top_up, 1193)
    take_back(top_up, -1193)
    refund(top_up, 1193, "failed")
    page = words(desk, f"/admin/wallet/refund/{Refund.objects.get().pk}/change/")
    for transfer in Transfer.objects.filter(details__refund=str(Refund.objects.get().pk)):
        assert transfer.reference in page


def test_payments_that_moved_money_are_counted(
    alices: Wallet, as_alice: Client, desk: Client, stripe_at_hand: Sandbox, settings: Any
) -> None:
    settings.STRIPE_PROMOTION_CODES = settings.STRIPE_INVOICES = True
    paid(stripe_at_hand, alices)
    free = paid(stripe_at_hand, alices, 500, coupon="FREE100")
    staff_index.forget()
    assert "$10.00 in 1 payment" in words(desk, "/admin/")
    page = as_alice.get(WALLET).text
    assert "Covered by a promotion code Invoice $0.00nothing to pay of $5.00 Open" in words(as_alice)
    assert free.invoice_url in page


def test_only_the_newest_pages_that_were_left_are_listed(alices: Wallet, as_alice: Client) -> None:
    for cents in range(101, 107):
        TopUp.objects.create(wallet=alices, amount_cents=cents, state=TopUp.State.OPEN)
    TopUp.objects.create(wallet=alices, amount_cents=900, state=TopUp.State.PARKED)
    page = words(as_alice)
    assert [f"${cents / 100}" in page for cents in (*range(101, 107), 900)] == [False] * 4 + [True] * 3
    assert "Show 4 more" in page
    page = words(as_alice, f"{WALLET}?top_ups=all")
    assert all(f"${cents / 100}" in page for cents in range(101, 107))
    assert "Show " not in page


def test_a_wallet_that_is_younger_than_the_last_check_was_not_checked(alices: Wallet, desk: Client) -> None:
    address = f"/admin/wallet/wallet/{alices.pk}/change/"
    run = invariants.run(full=True)
    assert "nothing found about this wallet" in words(desk, address)
    Wallet.objects.filter(pk=alices.pk).update(created_at=run.started_at + timedelta(seconds=1))
    page = words(desk, address)
    assert "Not checked yet: it is younger than the last check" in page
    assert "nothing found" not in page


def test_why_a_refund_of_several_parts_came_to_nothing_is_said_once(
    alices: Wallet, as_alice: Client, staff: User, settings: Any
) -> None:
    settings.REFUND_APPROVAL_ABOVE_CENTS, settings.SUPPORT_EMAIL = 1, "help@example.com"
    staff.is_superuser = True
    staff.save()
    for number in range(3):
        taxed(alices, number)
    for end, sentence in (
        (lambda request_id: refunds.cancel(alices, request_id), CANCELED),
        (lambda request_id: decisions.decline(by(staff), Refund.objects.filter(request_id=request_id)[0]), "It was agreed."),
    ):  # fmt: skip
        request_id = refunds.start(alices, 3000)
        assert "Refund Waits for our approval" in words(as_alice)
        assert "Refunds of more than $0.01 in 24 hours are looked at by one of us first" in words(as_alice)
        end(request_id)
        page = words(as_alice, requests.path(request_id))
        assert page.count(sentence) == 1
        assert ("Ask us about it" in page) == (sentence != CANCELED)
        refund_mail.tell(request_id)
        text = str(mail.outbox[-1].body)
        assert text.count(sentence) == 1
        assert "Why not all" not in text
    assert "Waits for our approval" not in words(as_alice)


def test_credit_that_staff_gave_says_who_it_is_from(alices: Wallet, as_alice: Client) -> None:
    again_if_lost(lambda: grants.give(alices, 10**9, reference="grant:1", details={}))
    assert "Credit from us +$1.00" in words(as_alice)


def test_nothing_is_offered_for_the_wallet_of_a_closed_account(
    alices: Wallet, staff: User, desk: Client
) -> None:
    staff.is_superuser = True
    staff.save()
    address = f"/admin/wallet/wallet/{alices.pk}/"
    page = words(desk, f"{address}change/")
    assert "Grant credit" in page
    assert "Suspend" in page
    User.objects.filter(pk=alices.owner_id).update(closed_at=timezone.now(), is_active=False, name="")
    page = words(desk, f"{address}change/")
    assert "Grant credit" not in page
    assert "Suspend " not in page
    assert "State closed account" in words(desk, f"{address}grant/")
