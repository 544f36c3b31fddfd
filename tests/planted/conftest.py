"""A quick start that writes down all that it can, with somebody, staff and a gateway in it who hold keys of every kind."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.planted.visitor import Visitor
from tests.stack import Stack
from tests.tokens.finder import Finder

PASSWORD = "correct horse battery"
STAFF = "staff-of-the-hunt@example.com"
TALKATIVE = ("log_statement = 'all'", "log_min_messages = 'info'", "wal_compression = off")


@dataclass
class Scene:
    """Keys of every kind by what they are, which are planted, and who has them.

    `secrets` are planted nowhere and hunted all the same; the gateway's, which has to work meanwhile, is one of them.
    """

    stack: Stack
    finder: Finder
    person: Visitor
    staff: Visitor
    gateway_key: str
    texts: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    kept: int = 0
    """The id of a key that works until the end, since its text is planted nowhere."""
    of_stripe = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET")

    @property
    def key_ids(self) -> list[int]:
        """Of the person's keys, newest first."""
        links = "\n".join(self.person.page("/tokens/").links)
        return sorted(
            {int(found) for found in re.findall(r"^/tokens/([0-9]+)/$", links, re.MULTILINE)}, reverse=True
        )

    @property
    def hunted(self) -> list[str]:
        return [*self.texts.values(), *self.secrets]

    @property
    def told(self) -> list[str]:
        """What answers held that they must not."""
        return [*self.person.found, *self.staff.found]


@pytest.fixture(scope="package")
def finder() -> Iterator[Finder]:
    found = Finder()
    with found.serving():
        yield found


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, finder: Finder) -> Iterator[Stack]:
    """Of its own, since much is broken in it on purpose."""
    settings = {"LEAK_REPORT_KEYS_URL": finder.url, "LOG_LEVEL": "DEBUG"}
    running = Stack(tmp_path_factory.mktemp("planted") / "data", settings=settings)
    try:
        running.up()
        with psycopg.connect(running.env["DATABASE_URL"], autocommit=True) as connection:
            for setting in TALKATIVE:
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        yield running
    finally:
        running.down()


@pytest.fixture(scope="package")
def scene(stack: Stack, finder: Finder) -> Scene:
    """With every key made; nothing was done with them yet."""
    person, email = signed_up(stack)
    made_by_command = stack.manage(
        "shell", "-c",
        "from django.core.management import call_command as do; from accounts.models import User;"
        f" User.objects.create_superuser('{STAFF}', '{PASSWORD}');"
        f" do('create_gateway_key', 'hunt'); do('create_gateway_key', 'planted'); do('create_access_token', '{email}')",
    )  # fmt: skip
    gateway_key, planted, access_token = re.findall(
        r"^(?:gw|at)-[0-9A-Za-z]{40,}$", made_by_command, re.MULTILINE
    )
    found = Scene(stack, finder, person, signed_in_staff(stack), gateway_key)
    found.texts = {kind: made(person, kind) for kind in ("inference", "query", "account")}
    found.texts |= {"gateway": planted, "access token": access_token}
    found.texts["rotated"], found.texts["revoked"] = made(person, "inference"), made(person, "inference")
    revoked, rotated = found.key_ids[:2]
    found.texts["rotated anew"] = acted(person, rotated, "rotate", overlap="1h")
    acted(person, revoked, "revoke")
    found.texts |= {name: stack.env[name] for name in found.of_stripe}
    password = urlsplit(stack.env["VALKEY_URL"]).password
    found.secrets = [gateway_key, stack.env["SECRET_KEY"], str(password)]
    kept = made(person, "inference")
    found.kept, found.secrets = found.key_ids[0], [*found.secrets, kept]
    person.texts = found.staff.texts = found.hunted
    return found


def made(visitor: Visitor, kind: str) -> str:
    form = next(form for form in visitor.page("/tokens/").found if form.action == "/tokens/")
    return shown(visitor.send(form, {"name": f"A {kind} key", "kind": kind}, may_show=True).text)


def acted(visitor: Visitor, key_id: int, act: str, **fields: str) -> str:
    """Send a form of a key's page; returns the text that its answer shows, if any."""
    action = f"/tokens/{key_id}/{act}/"
    form = next(form for form in visitor.page(f"/tokens/{key_id}/").found if form.action == action)
    answer = visitor.send(form, fields, may_show=True)
    return shown(answer.text) if act == "rotate" else ""


def shown(page: str) -> str:
    found = re.search(r'id="new-key">([^<]+)<', page)
    assert found, page
    return found[1]


def signed_up(stack: Stack) -> tuple[Visitor, str]:
    visitor, email = Visitor(stack.base_url), f"hunt-{uuid.uuid4().hex[:8]}@example.com"
    form = next(form for form in visitor.page("/accounts/signup/").found if "signup" in form.action)
    assert visitor.send(form, {"email": email, "password1": PASSWORD}).status_code == 302
    return visitor, email


def signed_in_staff(stack: Stack) -> Visitor:
    visitor = Visitor(stack.base_url)
    form = next(form for form in visitor.page("/accounts/login/").found if "login" in form.action)
    assert visitor.send(form, {"login": STAFF, "password": PASSWORD}).status_code == 302
    return visitor
