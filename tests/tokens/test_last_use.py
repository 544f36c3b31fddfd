"""When a key was last used, of whatever kind it is."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tokens import keys, states
from tokens.keys import IssuedKey
from tokens.models import ApiKey
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


def ask(client: Client, issued: IssuedKey) -> None:
    answer = client.get("/api/v1/credits", headers={"Authorization": f"Bearer {issued.text}"})
    assert answer.status_code == 200


def test_what_is_asked_is_use_of_the_key(client: Client, alice: User) -> None:
    """Written once a minute at most, so that a status bar that asks each second costs no write each second."""
    issued = keys.issue(wallet_of(alice), "Status bar", ApiKey.Kind.QUERY)
    states.put([issued.key])
    assert issued.key.spend.last_used_at is None
    ask(client, issued)
    first = ApiKey.objects.get(pk=issued.key.pk).last_asked_at
    assert first is not None
    with CaptureQueriesContext(connection) as queries:
        ask(client, issued)
    assert not [query for query in queries if query["sql"].startswith("UPDATE")]
    before = first - timedelta(minutes=2)
    ApiKey.objects.update(last_asked_at=before)
    ask(client, issued)
    key = ApiKey.objects.get(pk=issued.key.pk)
    states.put([key])
    assert key.last_asked_at is not None
    assert key.last_asked_at > before
    assert key.spend.last_used_at == key.last_asked_at
