"""manage.py archive_calls: the months that are older than is kept go from the database into files."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from logs.archive import moving


class Command(BaseCommand):
    """Prints a line a step; exits with 1 and a sentence where a month has to stay."""

    help = (
        "Archives the months that are older than CALLS_KEPT_MONTHS to Parquet files in CALLS_ARCHIVE_DIR, and goes on "
        "where it was stopped. Safe to stop at any moment. Celery beat does the same every night."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Write nothing; print the months that are due."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            for partition in moving.due():
                self.stdout.write(f"{partition.month:%Y-%m} is due.")
            return
        if not settings.CALLS_KEPT_MONTHS:
            self.stdout.write("CALLS_KEPT_MONTHS is 0: all months are kept.")
        try:
            moving.run(self.stdout.write)
        except moving.NotArchived as error:
            raise CommandError(str(error)) from error
