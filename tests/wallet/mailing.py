"""A mail server that takes nothing for one person."""

from collections.abc import Callable

from django.core.mail import send_mail

from wallet.models import Wallet


def refusing(wallet: Wallet) -> Callable[..., int]:
    """Sends mail, but none to the owner of this wallet."""

    def send(subject: str, text: str, sender: None, to: list[str]) -> int:
        if to == [wallet.owner.email]:
            raise OSError("No such person here.")
        return send_mail(subject, text, sender, to)

    return send
