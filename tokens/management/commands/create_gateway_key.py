"""manage.py create_gateway_key NAME: a key for a gateway, to call the metering API with."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tokens import keys


class Command(BaseCommand):
    """Prints the key and nothing else, so that a script can take it; it can't be shown again."""

    help = "Makes a key for a gateway and prints it, once. Several are good at a time; staff revoke them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What to recognise the key by, for example: litellm-1")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = keys.issue_gateway_key(options["name"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)
