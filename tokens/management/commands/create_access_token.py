"""manage.py create_access_token EMAIL: an access token of the account API for this person."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from tokens import keys
from tokens.models import ApiKey
from wallet.wallets import wallet_of

NAME = "Access token"


class Command(BaseCommand):
    """Prints the token and nothing else, so that a script can take it; it can't be shown again."""

    help = "Makes an access token of the account API for a person and prints it, once. Revoked as any other key is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="The address that the person signs in with.")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(email=options["email"].strip().lower(), is_active=True).first()
        if person is None:
            raise CommandError("Nobody who may sign in has this address.")
        try:
            issued = keys.issue(wallet_of(person), NAME, ApiKey.Kind.ACCOUNT)
        except keys.KeyLimitReached as error:
            raise CommandError(str(error)) from error
        self.stdout.write(issued.text)
