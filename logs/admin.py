"""Calls for staff. The table may hold tens of millions: every list and search walks an index, and nothing is counted."""

from datetime import timedelta

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from logs import call_ids
from logs.models import Call, CallDetails, RejectedCall
from pricing.money import usd, usd_from_pico
from pricing.publishing import rates_of
from pricing.rating import PriceTable, RatingError, rate
from pricing.units import UNITS
from staff.admin import ReadOnlyAdmin, code, column, link, pretty, table
from tokens.admin import keys_for
from tokens.models import ApiKey
from wallet.admin.terms import as_uuid, wallets_for


class Since(admin.SimpleListFilter):
    """By the time in the id, which the primary key answers."""

    title = "since"
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("hour", "Last hour"), ("today", "Today (UTC)"), ("week", "Last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Call]) -> QuerySet[Call]:
        now = timezone.now()
        starts = {
            "hour": now - timedelta(hours=1),
            "today": now.replace(hour=0, minute=0, second=0, microsecond=0),
            "week": now - timedelta(days=7),
        }
        start = starts.get(self.value() or "")
        return queryset.filter(pk__gte=call_ids.floor(start)) if start else queryset


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    list_display = ("id", "started_at", "model", "status_label", "charged", "wallet", "key")
    list_filter = (Since, "status")
    list_select_related = ("model", "wallet", "key")
    linked_by = ("wallet__id__exact", "key__id__exact")
    search_fields = ("id",)
    search_help_text = "Call id, key prefix, owner's e-mail, wallet number, or upstream id"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "model_link", "status_label", "wallet_link", "key_link")}),
        ("Receipt", {"fields": ("receipt", "charged", "by_credit", "by_paid", "balance_after", "version")}),
        ("Books", {"fields": ("promotional_link", "paid_link", "held", "upstream_cost")}),
        ("Times", {"fields": ("started_at", "recorded_at", "latency_ms", "first_token_ms", "stream")}),
        ("Request", {"fields": ("endpoint", "upstream_id", "client_ip", "error", "quantities")}),
    )

    def matching(self, term: str) -> Q:
        call_id = as_uuid(term)
        if call_id:
            return Q(pk=call_id)
        if term.startswith("sk-"):
            keys = ApiKey.objects.filter(pk__in=keys_for(term)).values_list("pk", "wallet_id")
            return Q(key__in=[key for key, _ in keys], wallet__in=[wallet for _, wallet in keys])
        wallets = wallets_for(term)
        if wallets or "@" in term:
            return Q(wallet__in=wallets)
        return Q(upstream_id=term)

    @column("Status", labels={"succeeded": "success", "succeeded, estimated": "info", "failed": "danger"})
    def status_label(self, call: Call) -> str:
        is_estimated = call.is_estimated and call.status == Call.Status.SUCCEEDED
        return f"{call.status}, estimated" if is_estimated else call.status

    @column("Charged")
    def charged(self, call: Call) -> str:
        return usd(call.charged_nanousd)

    @column("Paid from given credit")
    def by_credit(self, call: Call) -> str:
        return usd(call.promotional_nanousd)

    @column("Paid from bought credit")
    def by_paid(self, call: Call) -> str:
        return usd(call.charged_nanousd - call.promotional_nanousd)

    @column("Balance after")
    def balance_after(self, call: Call) -> str:
        return usd(call.balance_after_nanousd)

    @column("Held before")
    def held(self, call: Call) -> str:
        return "-" if call.held_nanousd is None else usd(call.held_nanousd)

    @column("Upstream cost")
    def upstream_cost(self, call: Call) -> str:
        return "-" if call.upstream_cost_nanousd is None else usd(call.upstream_cost_nanousd)

    @column("Model")
    def model_link(self, call: Call) -> str:
        return link(call.model)

    @column("Wallet")
    def wallet_link(self, call: Call) -> str:
        return link(call.wallet)

    @column("API key")
    def key_link(self, call: Call) -> str:
        return link(call.key)

    @column("Price version")
    def version(self, call: Call) -> str:
        return link(call.price_version, f"from {call.price_version.effective_from:%Y-%m-%d %H:%M:%S} UTC")

    @column("Transfer, given credit")
    def promotional_link(self, call: Call) -> str:
        return link(call.promotional_transfer)

    @column("Transfer, bought credit")
    def paid_link(self, call: Call) -> str:
        return link(call.paid_transfer)

    @column("Arithmetic")
    def receipt(self, call: Call) -> str:
        return _receipt(call)

    @column("Usage as recorded")
    def quantities(self, call: Call) -> str:
        return pretty(call.usage)

    @column("Address")
    def client_ip(self, call: Call) -> str:
        details = _details(call)
        return (details and details.client_ip) or "-"

    @column("Error")
    def error(self, call: Call) -> str:
        details = _details(call)
        return code(details and details.error)


def _details(call: Call) -> CallDetails | None:
    return CallDetails.objects.filter(pk=call.pk).first()


def _receipt(call: Call) -> str:
    """The lines of the charge, computed anew from the price version, which never changes."""
    version = call.price_version
    try:
        found = rate(call.usage, PriceTable(version.pk, version.multiplier_bp, rates_of(version)))
    except RatingError as error:
        return str(error)
    rows: list[list[object]] = [
        [
            UNITS[line.unit].label,
            f"{line.quantity:,}",
            usd_from_pico(line.price_picousd_per_unit),
            usd_from_pico(line.amount_picousd),
        ]
        for line in found.lines
    ]
    rows.append(["Sum", "", "", usd_from_pico(found.subtotal_picousd)])
    multiplier = f"Multiplier, {found.multiplier_bp:,} basis points"
    rows.append([multiplier, "", "", usd_from_pico(found.adjustment_picousd)])
    rows.append(["Rounding", "", "", usd_from_pico(found.rounding_picousd)])
    is_free = call.status == Call.Status.FAILED
    rows.append(["Price; failed, not charged" if is_free else "Charge", "", "", usd(found.charged_nanousd)])
    return table(["Unit", "Quantity", "For one", "Amount"], rows)


@admin.register(RejectedCall)
class RejectedCallAdmin(ReadOnlyAdmin):
    list_display = ("call_id", "received_at", "reason", "message", "wallet")
    list_select_related = ("wallet",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("call_id",)
    search_help_text = "Call id, owner's e-mail or wallet number"
    ordering = ("-id",)
    fields = ("call_id", "received_at", "reason", "message", "wallet_link", "formatted")

    def matching(self, term: str) -> Q:
        wallets = wallets_for(term)
        return Q(wallet__in=wallets) if wallets else Q(call_id=term)

    @column("Wallet")
    def wallet_link(self, call: RejectedCall) -> str:
        return link(call.wallet)

    @column("As reported")
    def formatted(self, call: RejectedCall) -> str:
        return pretty(call.payload)
