"""The audit trail only grows, whoever asks, and holds no key."""

import uuid

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import ProtectedError

from accounts import audit
from accounts.audit import AlreadySent
from accounts.models import AuditEntry, User
from tests.staffing.conftest import by

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditentry SET reason = 'nothing to see'",
        "UPDATE accounts_auditentry SET reason = 'x' WHERE false",
        "DELETE FROM accounts_auditentry",
        "TRUNCATE accounts_auditentry",
        "TRUNCATE accounts_user CASCADE",
        "DELETE FROM accounts_user",
    ],
)
def test_the_database_refuses_to_forget(keeper: User, alice: User, sql: str) -> None:
    with transaction.atomic():
        audit.record(by(keeper), "accounts.lock_out", alice)
    before = AuditEntry.objects.values().get()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{sql}; SET CONSTRAINTS ALL IMMEDIATE")
    assert AuditEntry.objects.values().get() == before


def test_nor_does_the_application_forget(keeper: User, alice: User) -> None:
    with transaction.atomic():
        audit.record(by(keeper), "accounts.lock_out", alice)
    entry = AuditEntry.objects.get()
    with pytest.raises(ProtectedError):
        keeper.delete()
    entry.reason = "nothing to see"
    for attempt in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
            attempt()


@pytest.mark.django_db(transaction=True)
def test_an_entry_needs_the_transaction_of_its_effect(keeper: User, alice: User) -> None:
    with pytest.raises(RuntimeError):
        audit.record(by(keeper), "accounts.lock_out", alice)
    assert not AuditEntry.objects.exists()


def test_a_request_id_is_used_once(keeper: User, alice: User, charlie: User) -> None:
    wish = by(keeper, request_id=uuid.uuid4())
    with transaction.atomic():
        assert audit.record(wish, "accounts.lock_out", alice, {"n": 1})
        assert not audit.record(wish, "accounts.lock_out", alice, {"n": 1})
        for action, person, n in [
            ("accounts.reinstate", alice, 1),
            ("accounts.lock_out", charlie, 1),
            ("accounts.lock_out", alice, 2),
        ]:
            with pytest.raises(AlreadySent):
                audit.record(wish, action, person, {"n": n})
    assert AuditEntry.objects.count() == 1
