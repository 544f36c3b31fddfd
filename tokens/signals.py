"""What becomes of the keys of an account that is closed."""

from typing import Any

from django.db.models.functions import Coalesce, Now

from accounts.models import User
from accounts.signals import account_closed
from tokens.models import ApiKey, Notice

# In place of the name that its owner gave it, which may tell who that was.
NAME = "of a closed account"


def connect() -> None:
    account_closed.connect(_on_closed, dispatch_uid="tokens.closed")


def _on_closed(sender: object, person: User, **_: Any) -> None:
    # The addresses that it was used from are a person's too.
    gone = {"name": NAME, "notes": "", "networks": None}
    over = ApiKey.objects.filter(wallet__owner=person).exclude(revoked_at__isnull=False, **gone)
    over.update(revoked_at=Coalesce("revoked_at", Now()), **gone)
    # The address of a public repository names whose it is.
    Notice.objects.filter(key__wallet__owner=person).exclude(url="", reason="").update(url="", reason="")
