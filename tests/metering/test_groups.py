"""Customers of a group pay its rate: on the hold, on the charge, and on a receipt that never changes."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from logs import estimating, recording
from logs.models import Call
from logs.reports import read_call
from pricing import catalogue, groups
from pricing.models import GroupRate
from pricing.publishing import CHANGE_NOTICE, PublishingError
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet import ledger
from wallet.models import Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_catalogue() -> None:
    catalogue.forget()


def join(issued: IssuedKey, multiplier_bp: int) -> None:
    group = groups.create("Partners", multiplier_bp)
    Wallet.objects.filter(pk=issued.key.wallet_id).update(customer_group=group)
    catalogue.forget()


def test_members_pay_the_rate_of_their_group(gateway: Gateway, issued: IssuedKey, alice: User) -> None:
    join(issued, 9_000)
    told = gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300).json()
    assert told["held_nanousd"] == 5_400_000
    (result,) = gateway.record(call(issued.key, call_id=told["call_id"]))
    assert result["charged_nanousd"] == 5_400_000
    assert ledger.balances(issued.key.wallet).held_nanousd == 0
    assert_books()
    client = Client()
    client.force_login(alice)
    shown = client.get(f"/logs/{told['call_id']}/", headers={"Accept": "application/json"})
    receipt = json.loads(shown.content)
    assert (receipt["multiplier_bp"], receipt["charged_nanousd"]) == (9_000, 5_400_000)
    assert receipt["multipliers"] == [
        {"name": "price", "multiplier_bp": 10_000},
        {"name": "Partners", "multiplier_bp": 9_000},
    ]
    assert "problem" not in receipt


def test_what_is_held_of_a_model_without_tokens_has_the_rate_once(gateway: Gateway, alice: User) -> None:
    """The average of what members paid has it already, and would be lowered by it again."""
    sell("painter", {"images": 40_000_000_000})
    issued = keys.issue(give(alice, 10**9), "laptop")
    join(issued, 5_000)
    (result,) = gateway.record(call(issued.key, model="painter", usage={"images": 4}))
    assert result["charged_nanousd"] == 80_000_000
    estimating.forget()
    # No one else called it: what one image costs, times the rate.
    assert gateway.authorize(issued.text, "painter").json()["held_nanousd"] == 20_000_000
    Wallet.objects.filter(pk=issued.key.wallet_id).update(customer_group=None)
    gateway.record(call(issued.key, model="painter", usage={"images": 6}))
    estimating.forget()
    assert gateway.authorize(issued.text, "painter").json()["held_nanousd"] == 160_000_000


def test_a_receipt_keeps_the_rate_of_its_time(gateway: Gateway, issued: IssuedKey, alice: User) -> None:
    join(issued, 9_000)
    sent = call(issued.key)
    gateway.record(sent)
    group = Wallet.objects.get(pk=issued.key.wallet_id).customer_group
    assert group is not None
    GroupRate.objects.create(group=group, effective_from=timezone.now(), multiplier_bp=20_000)
    Wallet.objects.filter(pk=issued.key.wallet_id).update(customer_group=None)
    client = Client()
    client.force_login(alice)
    shown = json.loads(
        client.get(f"/logs/{sent['call_id']}/", headers={"Accept": "application/json"}).content
    )
    assert (shown["multiplier_bp"], shown["charged_nanousd"]) == (9_000, 5_400_000)


def test_the_rate_in_force_when_the_call_started_counts(gateway: Gateway, issued: IssuedKey) -> None:
    join(issued, 9_000)
    group = Wallet.objects.get(pk=issued.key.wallet_id).customer_group
    assert group is not None
    now = timezone.now()
    GroupRate.objects.create(group=group, effective_from=now - timedelta(minutes=5), multiplier_bp=5_000)
    catalogue.forget()
    before = (now - timedelta(minutes=6)).isoformat()
    results = gateway.record(call(issued.key), call(issued.key, started_at=before))
    assert [result["charged_nanousd"] for result in results] == [3_000_000, 5_400_000]


def test_a_batch_that_is_tried_again_pays_what_holds_then(
    issued: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that shared a transaction which failed are worked on again, each by itself."""
    join(issued, 9_000)
    entry = recording._priced(read_call(call(issued.key), timezone.now().timestamp() * 1000), 0)

    def fail(entries: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(recording, "_charge_again_if_raced", fail)
        with pytest.raises(InterruptedError):
            recording._charge_who_pays([entry])
    Wallet.objects.filter(pk=issued.key.wallet_id).update(customer_group=None)
    (result,) = recording._charge_who_pays([entry])
    assert (result.result, result.charged_nanousd) == ("accepted", 6_000_000)
    assert Call.objects.get(pk=entry.report.call_id).group_rate_id is None
    assert_books()


def test_the_same_call_again_is_a_duplicate_with_its_first_charge(
    gateway: Gateway, issued: IssuedKey
) -> None:
    sent = call(issued.key)
    gateway.record(sent)
    join(issued, 5_000)
    (again,) = gateway.record(sent)
    assert (again["result"], again["charged_nanousd"]) == ("duplicate", 6_000_000)
    assert_books()


def test_rates_never_change(issued: IssuedKey) -> None:
    group = groups.create("Partners", 9_000)
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupRate.objects.update(multiplier_bp=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupRate.objects.all().delete()
    soon = timezone.now() + CHANGE_NOTICE + timedelta(seconds=5)
    assert groups.change_rate(group, 8_000, effective_from=soon).multiplier_bp == 8_000
    for moment, multiplier_bp in ((soon, 7_000), (timezone.now(), 7_000), (soon + timedelta(1), 0)):
        with pytest.raises(PublishingError):
            groups.change_rate(group, multiplier_bp, effective_from=moment)
    with pytest.raises(PublishingError):
        groups.create(" Partners ", 9_000)
