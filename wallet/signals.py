"""Where a person's life touches the wallet. Credit here is only a shortcut: what is missed, the periodic job finds."""

from typing import Any

from allauth.account.signals import email_confirmed, user_signed_up
from django.contrib.auth.signals import user_logged_in

from accounts.models import User
from accounts.signals import Standing, account_closed, account_closing
from wallet import leaving
from wallet.grants import give_starter_credit


def connect() -> None:
    user_signed_up.connect(_on_arrival, dispatch_uid="wallet.signed_up")
    user_logged_in.connect(_on_arrival, dispatch_uid="wallet.logged_in")
    email_confirmed.connect(_on_confirmed, dispatch_uid="wallet.confirmed")
    account_closing.connect(_on_closing, dispatch_uid="wallet.closing")
    account_closed.connect(_on_closed, dispatch_uid="wallet.closed")


def _on_arrival(sender: object, user: User, **_: Any) -> None:
    give_starter_credit(user)


def _on_confirmed(sender: object, email_address: Any, **_: Any) -> None:
    give_starter_credit(email_address.user)


def _on_closing(sender: object, person: User, *, lock: bool, **_: Any) -> Standing | None:
    return leaving.standing(person, lock=lock)


def _on_closed(sender: object, person: User, addresses: tuple[str, ...], **_: Any) -> None:
    leaving.forget(person, addresses)
