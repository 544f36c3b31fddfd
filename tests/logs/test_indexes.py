"""Indexes of calls are built while calls are recorded, on every partition, and those to come have them too."""

import io
import threading
import time
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.state import ProjectState

from accounts.models import User
from logs import recording
from logs.account_api import looking
from logs.indexing import AddIndexToPartitions
from logs.models import Call
from tests.logs.meanwhile import ENOUGH, Recorder, in_thread
from tests.metering.gateway import call, give, sell
from tokens import keys

OPERATIONS: list[AddIndexToPartitions] = import_module(
    "logs.migrations.0010_more_indexes"
).Migration.operations


def run(direction: str, operation: AddIndexToPartitions) -> None:
    state = ProjectState.from_apps(apps)
    with connection.schema_editor(atomic=False) as editor:
        getattr(operation, f"database_{direction}")("logs", editor, state, state)


def ask(sql: str, *given: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return [row[0] for row in cursor.fetchall()]


def missing(name: str) -> list[str]:
    """Partitions without it, or with one that is not valid or not attached."""
    return ask(
        "SELECT p.inhrelid::regclass::text FROM pg_inherits p WHERE p.inhparent = 'logs_call'::regclass AND NOT EXISTS ("
        " SELECT FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(%s) AND x.indrelid = p.inhrelid AND x.indisvalid)",
        name,
    )


def is_valid(name: str) -> bool:
    return ask("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", name) == [True]


def test_every_index_of_calls_is_on_every_partition(db: None) -> None:
    for index in Call._meta.indexes:
        assert is_valid(index.name), index.name
        assert missing(index.name) == []


def test_a_new_partition_has_them_all(db: None) -> None:
    ask("SELECT logs_make_partition('2031-05-01')")
    for index in Call._meta.indexes:
        assert missing(index.name) == []


def test_a_providers_id_is_found_by_its_index(alice: User) -> None:
    sell()
    key = keys.issue(give(alice, 10**9), "k").key
    recording.record([call(key, upstream_id=f"chatcmpl-{number}") for number in range(3)])
    found = Call.objects.filter(looking.of_response("chatcmpl-1"))
    assert [each.upstream_id for each in found] == ["chatcmpl-1"]
    with connection.cursor() as cursor:
        # A handful of rows is quicker read as a whole.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    assert "upstream_id_idx" in found.explain() or "call_upstream" in found.explain()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.index.name)
def test_calls_are_recorded_all_the_while(alice: User, operation: AddIndexToPartitions) -> None:
    record = Recorder(alice)
    with in_thread(record):
        # Over an empty table it may be built before anybody has recorded anything.
        while record.calls <= ENOUGH:
            run("backwards", operation)
            assert ask("SELECT to_regclass(%s)", operation.index.name) == [None]
            run("forwards", operation)
    assert is_valid(operation.index.name)
    assert missing(operation.index.name) == []
    record.check()


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_behind_a_long_read(alice: User) -> None:
    """An index is attached when nobody uses it; who records does not stand in line behind that."""
    operation, record = OPERATIONS[0], Recorder(alice)
    run("backwards", operation)
    name = operation.index.name
    with connection.cursor() as cursor:
        for partition in missing(name):
            cursor.execute(f"CREATE INDEX {partition}_{name} ON {partition} (wallet_id, key_id, id)")
    reading, over = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic():
            Call.objects.filter(wallet=record.key.wallet).count()
            reading.set()
            time.sleep(2.5)
        over.wait()

    with in_thread(read), in_thread(record):
        reading.wait()
        run("forwards", operation)
        over.set()
    assert is_valid(name)
    record.check()


@pytest.mark.django_db(transaction=True)
def test_what_a_crash_left_is_built_anew_or_kept() -> None:
    operation = OPERATIONS[0]
    name = operation.index.name
    run("backwards", operation)
    first, second = sorted(missing(name))[:2]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {name} ON ONLY logs_call (wallet_id, key_id, id)")
        for partition in (first, second):
            cursor.execute(f"CREATE INDEX {partition}_{name} ON {partition} (wallet_id, key_id, id)")
        # As one that was being built concurrently when the server stopped.
        broken = f"{first}_{name}"
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [broken])
    kept = ask("SELECT to_regclass(%s)::oid", f"{second}_{name}")
    run("forwards", operation)
    assert is_valid(name)
    assert missing(name) == []
    assert ask("SELECT to_regclass(%s)::oid", f"{second}_{name}") == kept
    run("forwards", operation)
    assert is_valid(name)


@pytest.mark.django_db(transaction=True)
def test_a_look_at_its_sql_changes_nothing() -> None:
    call_command("sqlmigrate", "logs", "0010", backwards=True, stdout=io.StringIO())
    for operation in OPERATIONS:
        assert is_valid(operation.index.name)
