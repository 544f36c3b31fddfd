"""Suspending a wallet, locking people out: the gateway is told at once, and calls in flight are charged."""

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from accounts import lockouts
from accounts.audit import Refused
from accounts.models import AuditEntry, User
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, sell
from tests.staffing.conftest import browser, by
from tokens import keys
from wallet import ledger, suspensions
from wallet.models import Wallet


def test_a_suspended_wallets_calls_in_flight_are_charged(keeper: User, wallet: Wallet) -> None:
    sell()
    issued, gateway = keys.issue(wallet, "laptop"), Gateway()
    admitted = gateway.authorize(issued.text).json()["call_id"]
    wish = by(keeper)
    suspensions.suspend(wish, wallet)
    assert gateway.authorize(issued.text).json()["error"]["code"] == "account_suspended"
    [result] = gateway.record(call(issued.key, call_id=admitted))
    assert result["result"] == "accepted"
    funds = ledger.balances(wallet)
    assert (funds.balance_nanousd, funds.held_nanousd) == (100_000_000 - result["charged_nanousd"], 0)
    suspensions.suspend(wish, wallet)
    suspensions.reinstate(by(keeper), wallet)
    assert gateway.authorize(issued.text).status_code == 200
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["wallet.reinstate", "wallet.suspend"]
    assert_books()


def test_a_late_copy_of_a_suspension_suspends_nobody(keeper: User, wallet: Wallet) -> None:
    wish = by(keeper)
    suspensions.suspend(wish, wallet)
    suspensions.reinstate(by(keeper), wallet)
    suspensions.suspend(wish, wallet)
    wallet.refresh_from_db()
    assert wallet.suspended_at is None


def test_suspending_twice_is_refused(keeper: User, wallet: Wallet) -> None:
    with pytest.raises(Refused, match="is not suspended"):
        suspensions.reinstate(by(keeper), wallet)
    suspensions.suspend(by(keeper), wallet)
    since = Wallet.objects.get().suspended_at
    with pytest.raises(Refused, match="is suspended already"):
        suspensions.suspend(by(keeper), wallet)
    assert (Wallet.objects.get().suspended_at, AuditEntry.objects.count()) == (since, 1)


def test_only_who_may_suspends(alice: User, viewer: User, wallet: Wallet) -> None:
    for actor in (alice, viewer):
        with pytest.raises(PermissionDenied):
            suspensions.suspend(by(actor), wallet)
    assert Wallet.objects.get().suspended_at is None
    assert not AuditEntry.objects.exists()


def test_who_is_locked_out_is_out_at_once(alice: User, keeper: User, wallet: Wallet) -> None:
    sell()
    issued, gateway, people = keys.issue(wallet, "laptop"), Gateway(), browser(alice)
    assert people.get("/wallet/").status_code == 200
    wish = by(keeper)
    lockouts.lock_out(wish, alice)
    assert people.get("/wallet/").status_code == 302
    assert gateway.authorize(issued.text).json()["error"]["code"] == "account_suspended"
    with pytest.raises(Refused, match="locked out already"):
        lockouts.lock_out(by(keeper), alice)
    lockouts.reinstate(by(keeper), alice)
    lockouts.lock_out(wish, alice)
    assert Client().login(email="alice@example.com", password="correct horse battery")
    with pytest.raises(Refused, match="is not locked out"):
        lockouts.reinstate(by(keeper), alice)


def test_nobody_locks_out_their_superiors_or_themselves(
    keeper: User, second: User, viewer: User, staff: User, alice: User
) -> None:
    refused = [
        (keeper, keeper),
        (keeper, viewer),
        (keeper, staff),
        (staff, staff),
        (second, alice),
        (alice, keeper),
    ]
    for actor, person in refused:
        with pytest.raises(PermissionDenied):
            lockouts.lock_out(by(actor), person)
    assert User.objects.filter(is_active=False).count() == AuditEntry.objects.count() == 0
    lockouts.lock_out(by(staff), keeper)
    assert not User.objects.get(pk=keeper.pk).is_active
