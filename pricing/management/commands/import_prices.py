"""manage.py import_prices: load or refresh the catalogue from the price lists that the product carries."""

from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pricing import catalogue, genai_listings, importing, per_use_listings
from pricing.importing import Outcome
from pricing.publishing import PublishingError


class Command(BaseCommand):
    """Prints what is new, changed and not for sale; with --verbosity 2 every reason."""

    help = (
        "Loads models and prices from genai-prices and data/per_use_models.toml. Run again, it changes "
        "nothing; a changed price becomes a new version, in force about a minute later. Needs no network."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            summary = importing.run(chain(genai_listings.listings(), per_use_listings.listings()))
        except (PublishingError, ValueError) as error:
            raise CommandError(f"Nothing more was imported: {error}") from error
        catalogue.forget()
        if options["verbosity"] >= 1:
            self.stdout.write(_sentence(summary))
        if options["verbosity"] >= 2:
            self._tell_details(summary)

    def _tell_details(self, summary: importing.Summary) -> None:
        for outcome in (Outcome.NEW, Outcome.CHANGED, Outcome.LEFT_TO_STAFF):
            for name, found in sorted(summary.outcomes.items()):
                if found is outcome:
                    self.stdout.write(f"{outcome}: {name}")
        for name, reason in sorted(summary.unsold.items()):
            self.stdout.write(f"not sold: {name}: {reason}")


def _sentence(summary: importing.Summary) -> str:
    new, changed = summary.count(Outcome.NEW), summary.count(Outcome.CHANGED)
    total, unsold = len(summary.outcomes), len(summary.unsold)
    left = summary.count(Outcome.LEFT_TO_STAFF)
    what = f"{new} new, {changed} changed" if new or changed else "nothing changed"
    staff = f", {left} left to staff" if left else ""
    return f"{total} models: {what}{staff}; {unsold} of them are not sold."
