"""The migration that takes who paid out of events that were stored before all the names of such fields were known."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from wallet import events
from wallet.models import StripeEvent

migration: Any = import_module("wallet.migrations.0015_events_without_names")
PAYLOAD = {
    "id": "evt_1",
    "type": "customer.updated",
    "data": {
        "object": {
            "id": "cus_1",
            "name": "Alice Example",
            "metadata": {"wallet_id": "1"},
            "cards": [{"phone": 1}],
        },
        "previous_attributes": {"name": "Alice Maiden", "description": 'says "name": hello'},
    },
}
KEPT = {
    "id": "evt_1",
    "type": "customer.updated",
    "data": {
        "object": {"id": "cus_1", "metadata": {"wallet_id": "1"}, "cards": [{}]},
        "previous_attributes": {"description": 'says "name": hello'},
    },
}  # fmt: skip


def stored(number: int, payload: Any = PAYLOAD) -> StripeEvent:
    return StripeEvent.objects.create(
        id=f"evt_{number:03}", type="customer.updated", object_id="cus_1", livemode=False, payload=payload
    )


def strip() -> None:
    with connection.schema_editor(atomic=False) as editor:
        migration.strip(apps, editor)


def test_it_knows_what_the_inbox_knows() -> None:
    assert migration.PEOPLE == events.PEOPLE


def test_names_go_and_all_else_stays(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "BATCH", 3)
    odd = stored(100, ["name", {"name": None}, None])
    plain = stored(101, {"id": "evt_101", "named": "x"})
    for number in range(7):
        stored(number)
    for _ in range(2):
        strip()
        assert [one.payload for one in StripeEvent.objects.filter(pk__lt="evt_100")] == [KEPT] * 7
    odd.refresh_from_db()
    plain.refresh_from_db()
    assert (odd.payload, plain.payload) == (["name", {}, None], {"id": "evt_101", "named": "x"})
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"pending"}


def test_one_that_was_stopped_goes_on(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "BATCH", 2)
    for number in range(6):
        stored(number)
    real, done = migration._without_people, []

    def stops(payload: Any) -> Any:
        if payload == PAYLOAD:
            done.append(1)
        if len(done) > 3:
            raise KeyboardInterrupt
        return real(payload)

    with monkeypatch.context() as patch:
        patch.setattr(migration, "_without_people", stops)
        with pytest.raises(KeyboardInterrupt):
            strip()
    assert sum(one.payload == KEPT for one in StripeEvent.objects.all()) == 2
    strip()
    assert all(one.payload == KEPT for one in StripeEvent.objects.all())
