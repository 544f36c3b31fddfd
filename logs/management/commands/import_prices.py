"""manage.py import_prices: load or refresh the catalogue from the price lists that the product carries."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from logs import price_imports


class Command(BaseCommand):
    """Prints which prices change and what that would have cost; with --verbosity 2 every model and reason."""

    help = (
        "Loads models and prices from genai-prices and data/per_use_models.toml. Run again, it changes "
        "nothing; a changed price becomes a new version, in force about a minute later, or after the notice that "
        "people get where it rises. A price that changes by more than PRICE_IMPORT_FACTOR is not taken over. Needs "
        "no network."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Write nothing; print what would change, and what it would have cost the last 30 days' customers.",
        )
        parser.add_argument(
            "--force",
            action="append",
            default=[],
            metavar="NAME",
            help="Take this model's price over, however far it is from the one before. May be given several times.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = price_imports.run(forced=options["force"], dry_run=options["dry_run"])
        except ValueError as error:  # PublishingError is one.
            raise CommandError(f"Nothing more was imported: {error}") from error
        lines = [*report.lines()] if options["verbosity"] >= 1 else []
        if options["verbosity"] >= 2:
            lines += [*report.outcomes(), *report.unsold()]
        for line in lines:
            self.stdout.write(line)
