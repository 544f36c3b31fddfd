"""`manage.py reconcile_stripe`: compare our books with Stripe, now. Exit 1 where a difference is left."""

import datetime
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pricing.money import usd
from wallet.models import Reconciliation
from wallet.reconciliation import runs
from wallet.stripe_api import StripeRefused, StripeUnavailable

BAR = 24


class Command(BaseCommand):
    help = "Compare what lies at Stripe with the books, and book what is missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            help="what was made at Stripe since this day (YYYY-MM-DD) or time; the last three days otherwise",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        since = _time(options["since"])
        try:
            run = runs.run(since=since, progress=self._progress)
        except runs.AlreadyRunning as error:
            raise CommandError(str(error)) from None
        except (StripeUnavailable, StripeRefused) as error:
            raise CommandError(
                f"Stripe does not answer: {error} The same command goes on from here."
            ) from None
        self._tell(run)
        if run.differences:
            sys.exit(1)

    def _progress(self, kind: str, number: int, done: float) -> None:
        if sys.stderr.isatty():
            full = round(done * BAR)
            bar = "#" * full + "." * (BAR - full)
            self.stderr.write(f"\r  {kind:<22} [{bar}] {number:>9,} ", ending="\n" if done >= 1 else "")

    def _tell(self, run: Reconciliation) -> None:
        say = self.stdout.write
        say(
            f"Compared what was made at Stripe since {run.since:%Y-%m-%d %H:%M} UTC, and all that is unfinished:"
        )
        for kind, number in run.compared.items():
            say(f"  {number:>9,} {kind}")
        told = (("Repaired", run.repaired), ("Warnings", run.warnings), ("Accepted by staff", run.accepted))
        for title, sentences in told:
            if sentences:
                say(f"{title}:")
            for sentence in sentences:
                say(f"  {sentence}")
        say(
            f"stripe_clearing holds {usd(run.clearing_nanousd or 0)}; Stripe's balance transactions sum to"
            f" {usd(run.stripe_nanousd or 0)}, and {usd(run.in_transit_nanousd or 0)} is on its way there."
        )
        for sentence in run.differences:
            self.stderr.write(f"DIFFERENCE {sentence}")
        if not run.differences:
            but = ", but for what staff accepted" if run.accepted else ""
            say(f"Everything at Stripe is in the books, to the cent{but}.")


def _time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        since = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--since must be a day or time like 2026-01-31, not {text!r}.") from None
    return since if since.tzinfo else since.replace(tzinfo=datetime.UTC)
