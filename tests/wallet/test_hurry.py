"""While a person waits for a page Stripe has some seconds in all; what it does not answer in time can be gone on with."""

import time
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.saved import save_card, switched_on
from tests.wallet.test_auto_topups import unanswered
from wallet import auto_topups, stripe_api, topups
from wallet.models import TopUp, Wallet
from wallet.stripe_api import StripeUnavailable, client

State = TopUp.State
# The questions and their answers, with some time for a busy machine.
LONGEST_S = 8.5


@pytest.mark.parametrize("address", ["/wallet/top-ups/", "/wallet/card/", "/wallet/portal/"])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_stripe_that_hangs_is_not_waited_for(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, address: str, is_known: bool
) -> None:
    if is_known:
        save_card(stripe_at_hand, alices)
    form = {"amount": "5", "form_id": str(uuid4())}
    with stripe_at_hand.stalled():
        began = time.monotonic()
        answer = as_alice.post(address, form)
        assert time.monotonic() - began < LONGEST_S
    assert answer.status_code == 503
    assert "try again in a minute" in answer.text
    assert as_alice.post(address, form).status_code == 303
    assert TopUp.objects.count() <= 1, "the row is gone on with"


def test_all_questions_of_a_page_share_the_time(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is answered within its own time, and the second one takes what is left of theirs together."""
    stripe_at_hand.command("faults", kind="slow", seconds=3, path="/v1/customers*", times=1)
    stripe_at_hand.command("faults", kind="slow", seconds=3.5, path="/v1/checkout/sessions", times=1)
    began = time.monotonic()
    with pytest.raises(StripeUnavailable), stripe_api.in_a_hurry():
        topups.start(alices, 500)
    assert time.monotonic() - began < LONGEST_S
    assert TopUp.objects.get().state == State.CREATED


def test_an_automatic_one_is_asked_about_in_a_hurry_too(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    switched_on(stripe_at_hand, alices)
    top_up = auto_topups.begin(alices.pk)
    assert top_up
    unanswered(top_up)
    with stripe_at_hand.stalled():
        began = time.monotonic()
        page = as_alice.get(topups.path(top_up))
        assert time.monotonic() - began < LONGEST_S
    assert "Stripe does not answer at the moment" in page.text


def test_how_long_a_question_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("wallet.stripe_api.client.time.monotonic", lambda: now[0])
    assert client._patience() == (3, 6, 1)
    with stripe_api.in_a_hurry(6):
        assert client._patience() == (2, 4, 0)
        with stripe_api.in_a_hurry(60):
            now[0] += 3.5
            assert client._patience() == (2, 2, 0)
        now[0] += 2
        with pytest.raises(StripeUnavailable):
            client._patience()
    assert client._patience() == (3, 6, 1)


def test_a_hurry_is_over_when_its_page_is(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    with pytest.raises(RuntimeError), stripe_api.in_a_hurry(0):
        raise RuntimeError
    assert topups.start(alices, 500).page_url


def test_nothing_is_asked_once_the_time_is_over(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(client, "_client", never)
    with pytest.raises(StripeUnavailable), stripe_api.in_a_hurry(0.5):
        topups.start(alices, 500)
