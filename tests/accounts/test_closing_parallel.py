"""Closing while calls are let in and recorded, while the owner pays, and more than once at the same moment."""

import threading
from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections

from accounts import closing
from accounts.audit import Refused
from accounts.models import AuditEntry, User
from accounts.signals import Standing
from tests.accounts.test_closing import by
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tests.parallel import at_once
from tokens import keys
from wallet import grants, leaving, ledger, suspensions, topups
from wallet.models import TopUp
from wallet.stripe_api import StripeUnavailable
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 16


@pytest.fixture(autouse=True)
def _no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock is an error here, not something to try again."""
    monkeypatch.setattr("wallet.transactions.ATTEMPTS", 1)


def test_many_closings_at_once_are_one(alice: User, staff: User) -> None:
    wish = by(staff)

    def close(number: int) -> str:
        ways: list[Callable[[], None]] = [
            lambda: closing.close_own(alice),
            lambda: closing.close(wish, alice),
            lambda: closing.close(by(staff), alice),
        ]
        try:
            ways[number % 3]()
        except Refused:
            return "refused"
        return "closed"

    assert "closed" in at_once(MANY, close)
    assert AuditEntry.objects.count() == 1
    assert User.objects.get(pk=alice.pk).closed_at is not None


def test_calls_go_on_being_let_in_and_recorded_meanwhile(alice: User, staff: User) -> None:
    sell()
    wallet = give(alice, 1_000_000_000, "promotional")
    issued = keys.issue(wallet, "laptop")
    gateways = [Gateway() for _ in range(MANY)]
    wish = by(staff)

    def work(number: int) -> list[str]:
        if number == 0:
            closing.close_own(alice)
            return []
        if number == 1:
            suspensions.suspend(wish, wallet)
            return []
        said = []
        for _ in range(6):
            admitted = gateways[number].authorize(issued.text)
            known = {"call_id": admitted.json()["call_id"]} if admitted.status_code == 200 else {}
            said.append(admitted.json().get("error", {}).get("code", "admitted"))
            (result,) = gateways[number].record(call(issued.key, client_ip="203.0.113.9", **known))
            assert result["result"] == "accepted"
        return said

    answers = {answer for found in at_once(MANY, work) for answer in found}
    assert answers <= {"admitted", "account_suspended", "invalid_key"}
    assert gateways[2].authorize(issued.text).status_code == 401
    funds = ledger.balances(wallet)
    assert (funds.balance_nanousd, funds.held_nanousd) == (1_000_000_000 - 14 * 6 * 6_000_000, 0)
    assert closing.forget_late() == 1
    assert_books()


def test_a_wallet_is_opened_and_credit_comes_meanwhile(alice: User) -> None:
    def work(number: int) -> None:
        if number % 2:
            grants.give_starter_credit(alice)
        else:
            closing.close_own(alice)

    at_once(MANY, work)
    assert User.objects.get(pk=alice.pk).closed_at is not None
    assert ledger.balances(wallet_of(alice)).balance_nanousd in (0, 100_000_000)
    assert_books()


def pays_in_the_middle(alice: User, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, list[str]]:
    """Somebody presses "Pay" between the look for payments under way and the end of the closing.

    Answers whether that had to wait, and what became of it. Stripe is away, so a page is begun and not opened.
    """
    wallet, said = wallet_of(alice), []
    at_the_gap = closing._addresses

    def pay() -> None:
        try:
            topups.start(wallet, 500)
        except (StripeUnavailable, PermissionDenied) as error:
            said.append(type(error).__name__)
        finally:
            connections.close_all()

    payer = threading.Thread(target=pay)
    waited = []

    def in_the_gap(person: User) -> tuple[str, ...]:
        payer.start()
        payer.join(1)
        waited.append(payer.is_alive())
        return at_the_gap(person)

    monkeypatch.setattr(closing, "_addresses", in_the_gap)
    closing.close_own(alice)
    payer.join(20)
    return waited[0], said


def test_no_payment_is_begun_on_an_account_that_is_being_closed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pays_in_the_middle(alice, monkeypatch) == (True, ["PermissionDenied"])
    assert not TopUp.objects.exists()


def test_without_the_lock_one_would_be(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    look = leaving.standing

    def without_lock(owner: User, *, lock: bool) -> Standing | None:
        return look(owner, lock=False)

    monkeypatch.setattr(leaving, "standing", without_lock)
    assert pays_in_the_middle(alice, monkeypatch) == (False, ["StripeUnavailable"])
    assert TopUp.objects.get().state in TopUp.UNFINISHED
