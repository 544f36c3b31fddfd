"""A database that is there and does not answer: nobody waits for it for long, and nothing is half done."""

import json
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError, connection

from accounts.models import User
from cometsite import patience
from cometsite.patience import Patience
from tests import plugin
from tests.books import assert_books
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet.transactions import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]


@pytest.fixture
def stuck(alice: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[IssuedKey]:
    """A key whose wallet another connection has locked, and gateways with a tenth of the usual patience."""
    sell()
    wallet = give(alice, 10**9)
    issued = keys.issue(wallet, "laptop")
    monkeypatch.setattr(patience, "AUTHORIZE_S", 0.3)
    monkeypatch.setattr(patience, "METERING_S", 0.5)
    with psycopg.connect(plugin.CLUSTER.url(str(connection.settings_dict["NAME"]))) as other:
        other.execute("SELECT 1 FROM wallet_funds WHERE wallet_id = %s FOR UPDATE", [wallet.pk])
        yield issued


def test_a_wait_ends_and_the_next_request_has_a_connection_again() -> None:
    token = patience.patience.set(Patience(0.3, float("inf")))
    began_at = time.monotonic()
    try:
        with pytest.raises(OperationalError, match="did not answer in time"):
            rows("SELECT pg_sleep(20)")
    finally:
        patience.patience.reset(token)
    assert time.monotonic() - began_at < 5
    connection.close()
    assert rows("SELECT 1") == [(1,)]


def test_authorize_and_recording_refuse_in_time_and_leave_nothing(stuck: IssuedKey) -> None:
    gateway = Gateway()
    for name, body in (
        ("authorize", {"key": stuck.text, "model": "gpt-4o"}),
        ("calls", {"calls": [call(stuck.key)]}),
    ):
        began_at = time.monotonic()
        response = gateway.post(name, body)
        assert (response.status_code, response["Retry-After"]) == (503, "2")
        assert json.loads(response.content)["error"]["code"] == "unavailable"
        assert time.monotonic() - began_at < 5
    connection.close()
    assert rows("SELECT count(*) FROM wallet_hold") == rows("SELECT count(*) FROM logs_call") == [(0,)]
    assert_books()


def test_work_outside_of_requests_waits_as_long_as_it_takes() -> None:
    assert patience.patience.get() is None
    rows("SELECT pg_sleep(0.5)")
