"""A top-up whose credit was undone by a correction no longer says that it arrived."""

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client

from accounts.audit import Instruction
from accounts.models import User
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import balance_cents
from tests.wallet.test_payments import page_of, paid
from wallet import acts, corrections, history, ledger
from wallet.models import Code, Transfer, Wallet
from wallet.topups import stories


@pytest.fixture
def keeper(transactional_db: None) -> User:
    user = User.objects.create_user("keeper@example.com", "correct horse battery", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="act_on_books"))
    return user


def undo(keeper: User, transfer: Transfer) -> Transfer:
    done = acts.correct(Instruction(keeper, "A secret reason.", uuid.uuid4()), transfer)
    assert isinstance(done, Transfer)
    return done


def test_a_corrected_top_up_says_so_and_where(
    alices: Wallet, as_alice: Client, keeper: User, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices, 500)
    fix = undo(keeper, Transfer.objects.get(code=Code.TOP_UP))
    page = page_of(as_alice, top_up)
    assert "<h1>Taken back</h1>" in page
    assert "$5.00 arrived and left your wallet again" in page
    assert "secret reason" not in page
    there = re.search(r'href="(/wallet/\?before=\d+)#history"', page)
    assert there
    assert f'href="/wallet/top-ups/{top_up.pk}/">Correction</a>' in as_alice.get(there[1]).content.decode()
    correction, credit = history.page(alices).movements
    assert (correction.code, correction.change_nanousd) == (Code.CORRECTION, -fix.amount_nanousd)
    assert (credit.story.is_undone, correction.story.is_undone) == (True, False)
    assert (credit.url, correction.url) == (f"/wallet/top-ups/{top_up.pk}/",) * 2
    assert balance_cents(alices) == 0


def test_a_correction_that_was_itself_corrected_leaves_it_arrived(
    alices: Wallet, as_alice: Client, keeper: User, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices, 500)
    first = undo(keeper, Transfer.objects.get(code=Code.TOP_UP))
    second = undo(keeper, first)
    assert "<h1>Paid</h1>" in page_of(as_alice, top_up)
    assert corrections.undone_by(first) == second
    assert stories.undone_by(top_up) is None
    newest, middle, credit = history.page(alices).movements
    assert [each.story.is_undone for each in (newest, middle, credit)] == [False, True, False]
    assert newest.url == middle.url == credit.url
    third = undo(keeper, second)
    assert stories.undone_by(top_up) == third
    assert balance_cents(alices) == 0


def test_the_story_of_a_page_takes_few_queries(
    alices: Wallet, django_assert_max_num_queries: Any, stripe_at_hand: Sandbox
) -> None:
    for _ in range(6):
        paid(stripe_at_hand, alices, 100)
    with django_assert_max_num_queries(4):
        assert len(history.page(alices).movements) == 6


def test_a_correction_of_something_else_leads_nowhere(alices: Wallet, keeper: User) -> None:
    with transaction.atomic():
        grant = ledger.post(
            code=Code.GRANT,
            reference="grant-of-this-test",
            debit=ledger.house("promotions"),
            credit=ledger.promotional(alices),
            amount_nanousd=10,
        )
    undo(keeper, grant)
    assert [each.url for each in history.page(alices).movements] == [None, None]
