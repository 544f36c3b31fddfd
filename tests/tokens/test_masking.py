"""Keys in wrong places, each as somebody once put it there; tests/planted tries all places of a running site."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from accounts.models import User
from logs import authorizing
from tests.metering.gateway import Gateway, give, sell
from tokens import keys, masking
from tokens.keys import IssuedKey
from tokens.masking import MaskingFormatter

SECRET = "a1B2" * 12
DOLLAR = 1_000_000_000


@pytest.fixture
def issued(alice: User) -> IssuedKey:
    sell()
    return keys.issue(give(alice, DOLLAR), "Laptop")


@contextmanager
def asked() -> Iterator[list[str]]:
    """Every statement with its parameters, as the database is asked meanwhile."""
    seen: list[str] = []

    def note(execute: Any, statement: Any, parameters: Any, many: bool, context: Any) -> Any:
        seen.append(f"{statement} {parameters}")
        return execute(statement, parameters, many, context)

    with connection.execute_wrapper(note):
        yield seen


@pytest.mark.parametrize("prefix", masking.PREFIXES)
def test_every_kind_of_key(prefix: str) -> None:
    text = f"before {prefix}{SECRET}, behind"
    assert masking.holds_key(text)
    assert masking.masked(text) == f"before {prefix}…, behind"
    assert masking.shortened(text) == f"before {prefix}a1B2a1B2, behind"


@pytest.mark.parametrize("text", ["sk-short", "cs_test_" + SECRET, "pi_" + SECRET, "gpt-4o-mini", "a" * 60])
def test_what_is_no_key_stays(text: str) -> None:
    assert masking.masked(text) == masking.shortened(text) == text


def test_a_traceback_in_the_log() -> None:
    try:
        raise ValueError(f"sk_live_{SECRET}")
    except ValueError as error:
        record = logging.LogRecord(
            "x", 40, "x", 1, "By %r", (f"sk-{SECRET}",), (ValueError, error, error.__traceback__)
        )
    told = MaskingFormatter().format(record)
    assert SECRET not in told
    assert "By 'sk-…'" in told
    assert "ValueError: sk_live_…" in told


@pytest.mark.django_db
def test_a_key_where_a_model_belongs_is_looked_for_nowhere(
    issued: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for, real = [], authorizing._ask

    def ask(parameters: Any) -> Any:
        asked_for.append(str(parameters))
        return real(parameters)

    monkeypatch.setattr(authorizing, "_ask", ask)
    response = Gateway().authorize(issued.text, model=issued.text)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert "'model': 'sk-…'" in asked_for[0]
    assert issued.text not in asked_for[0]


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["sk-" + SECRET, "a" * 31, "A" * 32, "a" * 31 + "'"])
def test_a_cookie_that_is_no_session_is_not_looked_for(client: Client, value: str) -> None:
    client.cookies["sessionid"] = value
    with asked() as statements:
        assert client.get("/wallet/").status_code == 302
    assert value not in "".join(statements)


@pytest.mark.django_db
def test_a_cookie_that_may_be_one_is(client: Client) -> None:
    client.cookies["sessionid"] = value = secrets.token_hex(16)
    with asked() as statements:
        assert client.get("/wallet/").status_code == 302
    assert value in "".join(statements)


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["networks", "models"])
def test_a_key_that_an_error_cuts_short_is_not_repeated(client: Client, alice: User, field: str) -> None:
    """Fewer characters than a key of this kind has are shown of a line that is wrong."""
    client.force_login(alice)
    text = "sk-query-" + SECRET + SECRET + SECRET
    page = client.post("/tokens/", {"name": "App", field: text}).text
    assert "Line 1:" in page
    assert SECRET not in page


@pytest.mark.django_db
def test_staff_give_nothing_a_key_for_a_name(client: Client, staff: User) -> None:
    client.force_login(staff)
    response = client.post("/admin/auth/group/add/", {"name": f"sk_live_{SECRET}"}, follow=True)
    assert masking.HOLDS_KEY in response.text
    assert SECRET not in response.text
    response = client.post(f"/admin/accounts/user/{staff.pk}/change/", {"name": f"sk-{SECRET}"}, follow=True)
    assert masking.HOLDS_KEY in response.text
    staff.refresh_from_db()
    assert (staff.name, Group.objects.count()) == ("", 0)
    assert client.post("/admin/auth/group/add/", {"name": "Desk"}).status_code == 302
    assert Group.objects.get().name == "Desk"
