"""Where a person's life touches the wallet. Only shortcuts: what is missed here, the periodic job finds."""

from typing import Any

from allauth.account.signals import email_confirmed, user_signed_up
from django.contrib.auth.signals import user_logged_in

from accounts.models import User
from wallet.grants import give_starter_credit


def connect() -> None:
    user_signed_up.connect(_on_arrival, dispatch_uid="wallet.signed_up")
    user_logged_in.connect(_on_arrival, dispatch_uid="wallet.logged_in")
    email_confirmed.connect(_on_confirmed, dispatch_uid="wallet.confirmed")


def _on_arrival(sender: object, user: User, **_: Any) -> None:
    give_starter_credit(user)


def _on_confirmed(sender: object, email_address: Any, **_: Any) -> None:
    give_starter_credit(email_address.user)
