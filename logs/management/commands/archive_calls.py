"""manage.py archive_calls: the months that are older than is kept go from the database into files."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from logs.archive import moving
from logs.partitions import Partition


class Command(BaseCommand):
    """Prints a line a step; exits with 1 and a sentence where a month has to stay."""

    help = (
        "Archives the months that are older than CALLS_KEPT_MONTHS to Parquet files in CALLS_ARCHIVE_DIR, and goes on "
        "where it was stopped. Safe to stop at any moment. Celery beat does the same every night."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Write nothing; print the months that are due, and why they would have to stay.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        due = moving.due()
        if not due:
            self.stdout.write(f"No month is due: {_kept()}.")
        try:
            if options["dry_run"]:
                self._tell(due)
            else:
                moving.run(self.stdout.write)
        except moving.NotArchived as error:
            raise CommandError(str(error)) from error

    def _tell(self, due: list[Partition]) -> None:
        for partition in due:
            self.stdout.write(f"{partition.month:%Y-%m} is due.")
        for partition in due:
            moving.check(partition)


def _kept() -> str:
    if not settings.CALLS_KEPT_MONTHS:
        return "CALLS_KEPT_MONTHS is 0, so all are kept"
    return f"those from {moving.kept_from():%Y-%m} on are kept"
