"""manage.py demo: an account with calls to look at, while the site runs."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from logs import demo
from pricing.money import usd

BAR_WIDTH = 32
LINES = 5


class Command(BaseCommand):
    """Prints where to sign in, and with what. Running it again adds more calls."""

    help = (
        "Makes a demo account and reports calls of the last 30 days for it through the metering API of the "
        "running site. For local use (DEBUG=true). Run again, it adds more calls."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--calls", type=int, default=3000, help=f"How many, 1 to {demo.MOST_CALLS} (3000)."
        )
        parser.add_argument("--seed", type=int, help="A number that repeats the same draws.")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            outcome = demo.run(calls=options["calls"], seed=options["seed"], progress=self._progress)
        except demo.DemoImpossible as error:
            raise CommandError(str(error)) from error
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{outcome.accepted:,} calls recorded in {seconds:.1f} s, {usd(outcome.charged_nanousd)} spent; "
            f"{outcome.held} more are under way and held."
        )
        for code, count in outcome.refused.items():
            self.stdout.write(f"{count:,} calls were not taken: {code}")
        self.stdout.write(f"Balance: {usd(outcome.balance_nanousd)}")
        self.stdout.write(f"\nSign in:  {settings.SITE_URL}/accounts/login/")
        self.stdout.write(f"E-mail:   {demo.EMAIL}")
        self.stdout.write(f"Password: {demo.PASSWORD}")

    def _progress(self, done: int, total: int) -> None:
        """A bar on a terminal; a few plain lines elsewhere."""
        if self.stdout.isatty():
            full = BAR_WIDTH * done // total
            bar = "█" * full + "░" * (BAR_WIDTH - full)
            self.stdout.write(
                f"\rSending calls  {bar}  {done:,} of {total:,}", ending="\n" if done == total else ""
            )
            self.stdout.flush()
        elif done == total or done * LINES // total > (done - demo.BATCH) * LINES // total:
            self.stdout.write(f"Sent {done:,} of {total:,} calls")
