"""manage.py create_gateway_key."""

import io
import re

import pytest
from django.core.management import CommandError, call_command

from tokens import keys
from tokens.models import GatewayKey

pytestmark = pytest.mark.django_db


def test_it_prints_the_key_and_nothing_else() -> None:
    out = io.StringIO()
    call_command("create_gateway_key", "litellm-1", stdout=out)
    text = out.getvalue()
    assert re.fullmatch(r"[A-Za-z0-9_-]{41,}\n", text)
    stored = GatewayKey.objects.get()
    assert (stored.name, bytes(stored.digest)) == ("litellm-1", keys.digest(text.strip()))


def test_several_are_good_at_a_time() -> None:
    for _ in range(2):
        call_command("create_gateway_key", "same name", stdout=io.StringIO())
    assert GatewayKey.objects.filter(revoked_at=None).count() == 2


@pytest.mark.parametrize("name", ["", "x" * 81, "a\nb"])
def test_a_bad_name_makes_none(name: str) -> None:
    with pytest.raises(CommandError):
        call_command("create_gateway_key", name, stdout=io.StringIO())
    assert not GatewayKey.objects.exists()
