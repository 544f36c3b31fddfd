"""Somebody with a past, and where to look for traces of them."""

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client

from accounts.models import User
from tests.metering.gateway import Gateway, call, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet import events, grants
from wallet.models import TopUp
from wallet.wallets import wallet_of

PASSWORD = "correct horse battery"
ADDRESS, OTHER_ADDRESS, NAME = "dora.leaving@example.com", "dora.else@example.net", "Dora Quill"
CALLER, MISHAP = "203.0.113.77", "Quill asked for a poem"
TRACES = [ADDRESS, OTHER_ADDRESS, NAME, CALLER, MISHAP, "Doras laptop", "dora."]


def signed_up(email: str = ADDRESS) -> tuple[User, Client]:
    client = Client()
    answer = client.post("/accounts/signup/", {"email": email, "password1": PASSWORD})
    assert answer["Location"] == "/wallet/"
    return User.objects.get(email=email), client


def with_a_past(gateway: Gateway) -> tuple[User, Client, IssuedKey]:
    """Dora, signed in on two browsers, of whom every table that could knows something; nothing bought is left."""
    dora, client = signed_up()
    Client().post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/accounts/email/", {"action_add": "", "email": OTHER_ADDRESS})
    User.objects.filter(pk=dora.pk).update(name=NAME)
    LogEntry.objects.create(
        user=dora,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(dora.pk),
        object_repr=ADDRESS,
        action_flag=2,
        change_message=f"Renamed {NAME}",
    )
    sell()
    wallet = wallet_of(dora)
    issued = keys.issue(wallet, "Doras laptop")
    gateway.record(
        call(issued.key, client_ip=CALLER),
        call(issued.key, status="failed", error=MISHAP),
        call(issued.key, model="gone", client_ip=CALLER, error=MISHAP, user=ADDRESS),
        call(issued.key, latency_ms=-1, client_ip=CALLER),
    )
    problem = f"Invalid email address: {ADDRESS}"
    TopUp.objects.create(wallet=wallet, amount_cents=100, state=TopUp.State.EXPIRED, problem=problem)
    paid = {"id": "cs_1", "customer_email": ADDRESS, "customer_details": {"name": NAME, "email": ADDRESS}}
    events.store(
        {"id": "evt_1", "type": "checkout.session.completed", "livemode": False, "data": {"object": paid}}
    )
    assert grants.give_starter_credit(dora) is None
    dora.refresh_from_db()
    return dora, client, issued


def traces() -> set[str]:
    """What of Dora any row of any table still tells."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        found: set[str] = set()
        for table in names:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            text = "\n".join(row for (row,) in cursor.fetchall()).lower()
            found |= {trace for trace in TRACES if trace.lower() in text}
    return found


def close_page(client: Client, **fields: str) -> int:
    """The owner's way: the password once more, then the form. Answers the status."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client.post("/accounts/close/", {"sure": "on", **fields}).status_code
