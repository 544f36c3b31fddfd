"""Stripe's own movements of money, and our comparisons with it, for staff to read."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Q
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from pricing.money import NANO_PER_CENT, usd
from staff.admin import ReadOnlyAdmin, column, lines, list_link
from wallet.admin.columns import coded, worded
from wallet.models import Reconciliation, StripeTransaction, Transfer
from wallet.reconciliation import ending
from wallet.reconciliation.invariants import references


@admin.register(StripeTransaction)
class StripeTransactionAdmin(ReadOnlyAdmin):
    list_display = ("made_at", "amount", "state_label", "type", "problem", "fee", "source", "id")
    list_filter = ("state",)
    search_fields = ("id",)
    search_help_text = "Id of the balance transaction or of its charge, refund, dispute or payout, exactly"
    ordering = ("-made_at",)
    fieldsets = (
        (None, {"fields": ("id", "state_label", "meaning", "problem", "difference", "transfers")}),
        (
            "At Stripe",
            {"fields": ("type", "reporting_category", "source", "currency", "amount", "fee", "net")},
        ),
        ("Times", {"fields": ("made_at", "seen_at")}),
    )

    def matching(self, term: str) -> Q:
        return Q(pk=term) | Q(source_id=term)

    @column("State", labels={"booked": "success", "unexplained": "danger"})
    def state_label(self, row: StripeTransaction) -> str:
        return row.state

    meaning = worded("Which means", "state")

    @column("Reconciliation")
    def difference(self, row: StripeTransaction) -> str:
        if row.state == StripeTransaction.State.BOOKED:
            return "-"
        return list_link(
            "wallet_difference", "What it says of this, to be accepted there", q=ending.name_of(row)
        )

    @column("Amount")
    def amount(self, row: StripeTransaction) -> str:
        return _amount(row.amount_cents, row.currency)

    @column("Fee")
    def fee(self, row: StripeTransaction) -> str:
        return _amount(row.fee_cents, row.currency)

    @column("Net")
    def net(self, row: StripeTransaction) -> str:
        return _amount(row.net_cents, row.currency)

    source = coded("Belongs to", "source_id")

    @column("Transfers")
    def transfers(self, row: StripeTransaction) -> str:
        made = Transfer.objects.filter(reference__in=references(row.pk)).order_by("pk")
        return lines([list_link("wallet_transfer", str(each), q=each.reference) for each in made])


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "result",
        "number_different",
        "number_repaired",
        "finished_at",
        "since",
        "id",
    )
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "started_at", "finished_at", "since", "result")}),
        ("Found", {"fields": ("left", "accepted_too", "mended", "told", "listed")}),
        ("Compared", {"fields": ("counts", "clearing", "stripe", "in_transit")}),
    )

    @column("Result", labels={"equal": "success", "different": "danger", "not finished": "warning"})
    def result(self, run: Reconciliation) -> str:
        if run.finished_at is None:
            return "not finished"
        return "equal" if run.is_good else "different"

    @column("Repaired")
    def number_repaired(self, run: Reconciliation) -> int:
        return len(run.repaired)

    @column("Differences")
    def number_different(self, run: Reconciliation) -> int:
        return len(run.differences)

    @column("Differences")
    def left(self, run: Reconciliation) -> SafeString | str:
        return _sentences(run.differences)

    @column("Accepted by staff")
    def accepted_too(self, run: Reconciliation) -> SafeString | str:
        return _sentences(run.accepted)

    @column("To accept one")
    def listed(self, run: Reconciliation) -> str:
        return list_link("wallet_difference", "All that is open", standing="open")

    @column("Repaired")
    def mended(self, run: Reconciliation) -> SafeString | str:
        return _sentences(run.repaired)

    @column("Warnings")
    def told(self, run: Reconciliation) -> SafeString | str:
        return _sentences(run.warnings)

    @column("Objects")
    def counts(self, run: Reconciliation) -> str:
        return lines([f"{number:,} {kind}" for kind, number in run.compared.items()])

    @column("stripe_clearing, by our ledger")
    def clearing(self, run: Reconciliation) -> str:
        return _nano(run.clearing_nanousd)

    @column("Stripe's balance transactions")
    def stripe(self, run: Reconciliation) -> str:
        return _nano(run.stripe_nanousd)

    @column("On its way to Stripe")
    def in_transit(self, run: Reconciliation) -> str:
        return _nano(run.in_transit_nanousd)


def _sentences(sentences: Sequence[str]) -> SafeString | str:
    return format_html_join("", "<p>{}</p>", ((sentence,) for sentence in sentences)) or "-"


def _amount(cents: int, currency: str) -> str:
    return usd(cents * NANO_PER_CENT) if currency == "usd" else f"{cents:,} minor units of {currency.upper()}"


def _nano(nanousd: int | None) -> str:
    return "-" if nanousd is None else usd(nanousd)
