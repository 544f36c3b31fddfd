"""`manage.py check_invariants`: prove the books, now. Exit 1 and the offending ids where one fails."""

import datetime
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from wallet import invariants
from wallet.models import BOOKS, Transfer, Wallet


class Command(BaseCommand):
    help = "Check that the books are right: every invariant, over all wallets or some."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--wallet", type=int, action="append", help="only this wallet; may be given several times"
        )
        parser.add_argument(
            "--since", help="only wallets whose money moved since this day (YYYY-MM-DD) or time"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wallet_ids = self._wallets(options["wallet"], options["since"])
        findings = invariants.check(wallet_ids, self._progress)
        if wallet_ids is None:
            for subject in invariants.subjects():
                findings += invariants.check_subject(subject, self._progress) if subject != BOOKS else []
        for finding in findings:
            found = "".join(f"\n    {what}" for what in finding.ids)
            self.stderr.write(f"FAILED {finding.invariant.name}: {finding.invariant.failure}{found}")
        if findings:
            sys.exit(1)
        if wallet_ids is None:
            self.stdout.write(f"{len(invariants.every())} invariants hold over all wallets.")
        elif wallet_ids:
            self.stdout.write(
                f"The invariants hold over {len(wallet_ids)} of the wallets. House accounts, their sum and the sealed days"
                " are only looked at together with all wallets."
            )
        else:
            self.stdout.write("No wallet's money moved since then: nothing was checked.")

    def _progress(self, name: str) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"  {name} …")

    def _wallets(self, wallet_ids: list[int] | None, since: str | None) -> list[int] | None:
        if wallet_ids:
            known = set(Wallet.objects.filter(pk__in=wallet_ids).values_list("pk", flat=True))
            if missing := set(wallet_ids) - known:
                raise CommandError(f"There is no wallet {min(missing)}.")
            return sorted(known)
        if since is None:
            return None
        try:
            start = datetime.datetime.fromisoformat(since)
        except ValueError:
            raise CommandError(f"--since must be a day or time like 2026-01-31, not {since!r}.") from None
        start = start if start.tzinfo else start.replace(tzinfo=datetime.UTC)
        moved = Transfer.objects.filter(created_at__gte=start, wallet__isnull=False)
        return sorted(set(moved.values_list("wallet_id", flat=True).distinct().order_by()))
