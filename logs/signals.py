"""What becomes of the calls of an account that is closed: they stay, and what tells of a person beside them goes."""

from typing import Any

from accounts.models import User
from accounts.signals import account_closed
from logs.models import CallDetails


def connect() -> None:
    account_closed.connect(_on_closed, dispatch_uid="logs.closed")


def _on_closed(sender: object, person: User, **_: Any) -> None:
    CallDetails.objects.filter(wallet__owner=person).delete()
