"""The comparison finds what it is there to find."""

import uuid
from pathlib import Path

import pytest
from django.db import connection

from accounts.models import User
from tests import plugin
from tests.chaos.audit import findings
from tests.chaos.journal import Journal
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys

pytestmark = pytest.mark.django_db(transaction=True)
CHARGE = 6_000_000


@pytest.fixture
def journal(tmp_path: Path, alice: User) -> Journal:
    """One call that is recorded, sent and acknowledged."""
    sell()
    made = Journal(tmp_path / "journal")
    report = call(keys.issue(give(alice, 10**9), "laptop").key)
    result = Gateway().record(report)[0]
    made.send([report["call_id"]])
    made.acknowledge(report["call_id"], result["result"], result["charged_nanousd"], CHARGE)
    return made


def found(journal: Journal) -> list[str]:
    journal.close()
    return findings(plugin.CLUSTER.url(str(connection.settings_dict["NAME"])), journal)


def test_books_that_agree(journal: Journal) -> None:
    assert found(journal) == []


def test_a_lost_call(journal: Journal) -> None:
    lost = str(uuid.uuid4())
    journal.acknowledge(lost, "accepted", 1, 1)
    assert found(journal) == [f"1 acknowledged calls are not recorded: {lost}"]


def test_another_charge_than_was_answered(journal: Journal) -> None:
    (call_id,) = journal.charged
    journal.charged[call_id] += 1
    assert found(journal) == [f"1 calls are recorded at another charge than was answered: {call_id}"]


def test_a_call_that_nobody_sent(journal: Journal) -> None:
    (call_id,) = journal.sent
    journal.sent.clear()
    assert found(journal) == [f"1 recorded calls were never sent: {call_id}"]


def test_a_payment_that_was_not_credited(journal: Journal) -> None:
    journal.pay("cs_lost", 100)
    assert found(journal) == ["session cs_lost was paid with 100 cents and is not credited once with that"]


def test_starter_credit_that_was_not_given(journal: Journal) -> None:
    journal.sign_up("alice@example.com")
    assert found(journal) == ["1 people did not get their starter credit once: alice@example.com"]


@pytest.mark.parametrize(
    ("result", "charged", "finding"),
    [("rejected", CHARGE, "was rejected"), ("accepted", 5, f"costs {CHARGE}; answered {CHARGE}, then 5")],
)
def test_an_answer_that_contradicts_the_first(
    journal: Journal, result: str, charged: int, finding: str
) -> None:
    (call_id,) = journal.charged
    journal.acknowledge(call_id, result, charged, CHARGE)
    assert found(journal) == [f"call {call_id} {finding}"]
