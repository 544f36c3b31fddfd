"""Something in every table that staff look at, made through the doors that the product itself uses."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.audit import Instruction
from accounts.models import User
from cometsite import staff_index
from pricing import groups
from pricing.models import Markup
from pricing.money import NANO_PER_USD
from tests.metering.gateway import Gateway, call, sell
from tokens import keys
from tokens.models import ApiKey
from wallet import acts, grants, holds, invariants, ledger, refunds
from wallet.models import (
    Code,
    DayRest,
    DaySeal,
    Dispute,
    Hold,
    Reconciliation,
    Refund,
    StripeCustomer,
    StripeEvent,
    StripeTransaction,
    TopUp,
    Transfer,
    UnsentMail,
    Wallet,
)
from wallet.reconciliation import accepting
from wallet.transactions import again_if_lost
from wallet.wallets import wallet_of

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _numbers_of_now() -> Iterator[None]:
    staff_index.forget()
    yield
    staff_index.forget()


@dataclass(frozen=True, slots=True)
class World:
    alice: User
    wallet: Wallet
    key: ApiKey
    key_text: str
    gateway_key_text: str
    call_id: str
    top_up: TopUp
    transfer: Transfer
    event: StripeEvent


@pytest.fixture
def world(alice: User, charlie: User, gateway: Gateway, staff: User) -> World:
    """Alice had starter credit, topped up $5, made a key and two calls; a third was rejected, a fourth never reported.

    Staff want to give her $200.
    """
    User.objects.filter(pk=alice.pk).update(name=HOSTILE)
    sell()
    Markup.objects.create(provider_code="nobody", multiplier_bp=12_000, effective_from=timezone.now())
    groups.create("Partners", 9_000)
    grants.give_starter_credit(alice)
    grants.give_starter_credit(charlie)
    wallet = wallet_of(alice)
    StripeCustomer.objects.create(wallet=wallet, customer_id="cus_alice")
    top_up, transfer = _paid(wallet)
    issued = keys.issue(wallet, "laptop")
    good = call(issued.key, upstream_id="chatcmpl-upstream", client_ip="192.0.2.7")
    failed = call(issued.key, status="failed", error=HOSTILE)
    gateway.record(good, failed, call(issued.key, model="no-such-model"))
    _expired_hold(json.loads(gateway.authorize(issued.text).content)["call_id"])
    event = StripeEvent.objects.create(
        id="evt_1",
        type="checkout.session.completed",
        object_id="cs_test_1",
        livemode=False,
        payload={"id": "evt_1", "note": HOSTILE},
        state=StripeEvent.State.PARKED,
        error="The amount differs.",
    )
    Dispute.objects.create(
        id="du_1",
        amount_cents=500,
        status="needs_response",
        reason=HOSTILE,
        opened_at=timezone.now(),
        problem=HOSTILE,
    )
    StripeTransaction.objects.create(
        id="txn_1",
        type="transfer",
        currency="usd",
        amount_cents=-100,
        fee_cents=0,
        made_at=timezone.now(),
        problem=HOSTILE,
    )
    accepting.note("pi_odd", f"Payment pi_odd is {HOSTILE}.")
    Reconciliation.objects.create(
        since=timezone.now(), differences=[HOSTILE], warnings=[HOSTILE], repaired=[HOSTILE]
    )
    request_id = refunds.start(wallet, 100)
    refunds.give_up(Refund.objects.get(request_id=request_id).pk, HOSTILE)
    now = timezone.now()
    UnsentMail.objects.create(name=HOSTILE, wallet=wallet, since=now, tried_at=now, problem=HOSTILE)
    acts.give_credit(Instruction(staff, f"Promised to {HOSTILE}", uuid.uuid4()), wallet, 200 * NANO_PER_USD)
    invariants.run(full=True)
    DaySeal.objects.create(table="wallet_transfer", day=date(2026, 1, 1), rows=1, digest=b"x" * 32)
    DayRest.objects.create(table="logs_call", day=date(2026, 1, 1), rows=1, digest=b"x" * 32, chain=b"y" * 32)
    return World(
        alice, wallet, issued.key, issued.text, gateway.key, good["call_id"], top_up, transfer, event
    )


@pytest.fixture
def gateway(db: None) -> Gateway:
    return Gateway()


def _paid(wallet: Wallet) -> tuple[TopUp, Transfer]:
    top_up = TopUp.objects.create(
        wallet=wallet,
        amount_cents=500,
        state=TopUp.State.PAID,
        session_id="cs_test_1",
        payment_intent_id="pi_test_1",
        received_cents=500,
        paid_at=timezone.now(),
    )
    transfer = again_if_lost(
        lambda: ledger.post(
            code=Code.TOP_UP,
            reference="top_up:pi_test_1",
            debit=ledger.house("stripe_clearing"),
            credit=ledger.paid(wallet),
            amount_nanousd=5_000_000_000,
            details={"top_up": str(top_up.pk), "session": "cs_test_1", "payment_intent": "pi_test_1"},
        )
    )
    return top_up, transfer


def _expired_hold(call_id: str) -> None:
    Hold.objects.filter(pk=call_id).update(expires_at=timezone.now() - timedelta(minutes=1))
    assert holds.expire_overdue() == 1


@pytest.fixture
def desk(staff: User) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def viewer(db: None) -> User:
    """On the staff, with no permission of any kind."""
    return User.objects.create_user("viewer@example.com", "correct horse battery", is_staff=True)


@pytest.fixture
def keeper(db: None) -> User:
    """On the staff, may change people and lock them out."""
    user = User.objects.create_user("keeper@example.com", "correct horse battery", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "lock_out_user"]))
    return user
