"""A folder of state that an earlier version left behind goes on where it was."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.stripe_sandbox.process import Sandbox, payment

# What sessions and intents did not know before terms and payment methods came.
AGED = """
    UPDATE objects SET private = json_remove(private, '$.choices', '$.invoice') WHERE kind = 'checkout.session';
    UPDATE objects SET private = '{}' WHERE kind IN ('charge', 'payment_intent');
    DELETE FROM objects WHERE kind = 'payment_method';
    PRAGMA user_version = 0;
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path, "--bank-delay", "3600")


def test_open_and_pending_sessions_of_an_earlier_version_go_on(sandbox: Sandbox) -> None:
    with sandbox.running():
        opened, declined, pending, failing, paid = (_begun(sandbox, *ways) for ways in WAYS)
    _age(sandbox)
    with sandbox.running():
        for session in (opened, declined):
            assert sandbox.request("GET", f"/c/pay/{session}").status == 200
            sandbox.command(f"sessions/{session}/pay", method="card")
        sandbox.command("clock", seconds=7_200)
        sessions: Any = sandbox.client().v1.checkout.sessions
        found = [
            sessions.retrieve(key, {"expand": ["payment_intent.payment_method"]})
            for key in (opened, declined, pending, failing, paid)
        ]
        assert [one.payment_status for one in found] == ["paid", "paid", "paid", "unpaid", "paid"]
        assert found[-1].payment_intent.payment_method.card.last4 == "4242"
        sandbox.client().v1.refunds.create({"payment_intent": found[-1].payment_intent.id})
        assert sandbox.request("GET", "/_sandbox/books").json["agrees"]


WAYS = ((), ("declined",), ("bank",), ("bank_fails",), ("card",))


def _begun(sandbox: Sandbox, *ways: str) -> str:
    session = sandbox.client().v1.checkout.sessions.create(payment())
    for way in ways:
        sandbox.command(f"sessions/{session.id}/pay", method=way)
    return session.id


def _age(sandbox: Sandbox) -> None:
    database = sqlite3.connect(sandbox.data / "stripe_sandbox.sqlite3")
    database.executescript(AGED)
    database.close()
