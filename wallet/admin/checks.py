"""The checks of the books for staff: when they ran, and what they found, with the ids to look at."""

import re

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from staff.admin import ReadOnlyAdmin, column, page_of
from wallet import invariants
from wallet.models import BOOKS, CheckRun, DayRest, DaySeal

# What a finding begins with, and the list that has it.
ROWS = {
    "wallet": "wallet_wallet",
    "transfer": "wallet_transfer",
    "top-up": "wallet_topup",
    "refund": "wallet_refund",
    "hold": "wallet_hold",
    "key": "tokens_apikey",
}
NAMED = re.compile(rf"({'|'.join(ROWS)}) ([0-9a-f-]+)")


def linked(finding: str) -> SafeString:
    """A finding of an invariant, with a link to the row that it begins with."""
    named = NAMED.match(finding)
    if named is None:
        return format_html("{}", finding)
    return format_html(
        '<a href="{}">{}</a>{}', page_of(ROWS[named[1]], named[2]), named[0], finding[named.end() :]
    )


@admin.register(CheckRun)
class CheckRunAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "result", "broken", "over", "wallets", "finished_at", "id")
    ordering = ("-id",)
    fields = ("id", "started_at", "finished_at", "over", "wallets", "result", "findings")

    @column("Result", labels={"good": "success", "broken": "danger", "not finished": "warning"})
    def result(self, run: CheckRun) -> str:
        if run.finished_at is None:
            return "not finished"
        return "good" if run.is_good else "broken"

    @column("Over")
    def over(self, run: CheckRun) -> str:
        if run.subject != BOOKS:
            return run.subject
        return "all wallets" if run.is_full else "wallets that moved money"

    @column("Broken")
    def broken(self, run: CheckRun) -> str:
        return ", ".join(run.failures)

    @column("Findings")
    def findings(self, run: CheckRun) -> SafeString | str:
        meaning = {invariant.name: invariant.failure for invariant in invariants.every()}
        found = [
            (
                name,
                meaning.get(name, ""),
                format_html_join("", "<li>{}</li>", ((linked(what),) for what in ids)),
            )
            for name, ids in run.failures.items()
        ]
        return format_html_join("", "<p><strong>{}</strong>: {}</p><ul>{}</ul>", found) or "-"


@admin.register(DaySeal)
class DaySealAdmin(ReadOnlyAdmin):
    list_display = ("table", "day", "rows", "seal", "sealed_at")
    ordering = ("-id",)
    fields = ("table", "day", "rows", "seal", "sealed_at")

    @column("Seal")
    def seal(self, day: DaySeal) -> str:
        return bytes(day.digest).hex()


@admin.register(DayRest)
class DayRestAdmin(ReadOnlyAdmin):
    list_display = ("table", "day", "rows", "seal", "sealed_at")
    ordering = ("-id",)
    fields = ("table", "day", "rows", "content", "seal", "sealed_at")

    @column("Hash of the rows")
    def content(self, rest: DayRest) -> str:
        return bytes(rest.digest).hex() or "-"

    @column("Seal")
    def seal(self, rest: DayRest) -> str:
        return bytes(rest.chain).hex()
