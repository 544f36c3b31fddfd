"""The wallet's books for staff: everything is shown, nothing can be edited. What staff may do is in wallet/admin/acts.py."""

import re

from django.contrib import admin
from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery, Sum, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

import wallet.admin.catalogue
import wallet.admin.checks
import wallet.admin.customers
import wallet.admin.differences
import wallet.admin.disputes
import wallet.admin.payments
import wallet.admin.refunds
import wallet.admin.stripe  # noqa: F401 (registers its pages)
from accounts.acting import ActingAdmin, button
from pricing.money import usd
from staff.admin import ReadOnlyAdmin, code, column, lines, link, list_link, pretty
from wallet import invariants
from wallet.admin import acts as admin_acts
from wallet.admin import price_acts, saved
from wallet.admin.columns import coded, dollars, linked
from wallet.admin.terms import as_number, as_uuid, wallets_for
from wallet.models import (
    Account,
    Code,
    Funds,
    Hold,
    HouseBalance,
    StripeCustomer,
    Transfer,
    Wallet,
)

MOST_TRANSFERS = 200


@admin.register(Wallet)
class WalletAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("grant_credit", "suspend", "reinstate", "join_group", "leave_group")
    grant_credit = button(admin_acts.GRANT_CREDIT)
    suspend = button(admin_acts.SUSPEND)
    reinstate = button(admin_acts.REINSTATE)
    join_group = button(price_acts.JOIN)
    leave_group = button(price_acts.LEAVE)
    list_display = ("id", "owner", "balance", "held", "suspended_at", "created_at")
    list_select_related = ("owner", "funds")
    list_display_links = ("id", "owner")
    linked_by = ("owner__id__exact", "customer_group__id__exact")
    search_fields = ("owner__email",)
    search_help_text = "Owner's e-mail, wallet number, or Stripe customer, session or payment id"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "owner_link", "group_link", "customer", "created_at", "suspended_at")}),
        ("Balance", {"fields": ("promotional", "paid", "balance", "held", "available", "books")}),
        ("Automatic top-ups", {"fields": ("card", "automatic")}),
        ("More of it", {"fields": ("more",)}),
    )

    def matching(self, term: str) -> Q:
        return Q(pk__in=wallets_for(term))

    owner_link = linked("Owner", "owner")
    group_link = linked("Customer group", "customer_group")

    @column("Stripe customer")
    def customer(self, wallet: Wallet) -> str:
        return code(StripeCustomer.objects.filter(wallet=wallet, gone_at=None).first())

    @column("Saved card")
    def card(self, wallet: Wallet) -> str:
        return saved.card(wallet)

    @column("Settings")
    def automatic(self, wallet: Wallet) -> str:
        return saved.automatic(wallet)

    promotional = dollars("Promotional", "funds.promotional_nanousd")
    paid = dollars("Paid", "funds.paid_nanousd")

    @column("Books")
    def books(self, wallet: Wallet) -> SafeString | str:
        run = invariants.last()
        if run is None:
            return "Not checked yet."
        of_it = re.compile(rf"\bwallet {wallet.pk}\b")
        runs = [last for subject in invariants.subjects() if (last := invariants.last(subject))]
        failures = [ids for each in runs for ids in each.failures.values()]
        found = [what for ids in failures for what in ids if of_it.search(what)]
        if found:
            return format_html_join("", "<p><strong>Wrong: {}</strong></p>", ((what,) for what in found))
        if run.started_at < wallet.created_at:
            return f"Not checked yet: it is younger than the last check ({run.finished_at:%Y-%m-%d %H:%M:%S} UTC)."
        return f"Checked {run.finished_at:%Y-%m-%d %H:%M:%S} UTC, nothing found about this wallet."

    balance = dollars("Balance", "funds.balance_nanousd")
    held = dollars("Held", "funds.held_nanousd")
    available = dollars("Available", "funds.available_nanousd")

    @column("Lists")
    def more(self, wallet: Wallet) -> str:
        lists = {
            "wallet_transfer": "Transfers",
            "wallet_hold": "Holds",
            "wallet_topup": "Top-ups",
            "wallet_refund": "Refunds",
            "wallet_dispute": "Disputes",
            "wallet_account": "Ledger accounts",
            "tokens_apikey": "API keys",
            "logs_call": "Calls",
            "logs_rejectedcall": "Rejected calls",
            "wallet_proposal": "Proposals of staff",
        }
        # A dispute belongs to a payment, and so to its wallet.
        by = {"wallet_dispute": "top_up__wallet__id__exact"}
        links = [
            list_link(model, title, **{by.get(model, "wallet__id__exact"): wallet.pk})
            for model, title in lists.items()
        ]
        trail = {"target_type": "wallet.wallet", "target_id": wallet.pk}
        return lines([*links, list_link("accounts_auditentry", "What staff did", **trail)])


class Side(admin.SimpleListFilter):
    title = "whose"
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("house", "The house's"), ("wallets", "Wallets'")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if self.value() in ("house", "wallets"):
            return queryset.filter(wallet__isnull=self.value() == "house")
        return queryset


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "wallet", "balance")
    list_filter = (Side,)
    list_select_related = ("wallet", "wallet__funds")
    linked_by = ("wallet__id__exact",)
    search_fields = ("wallet__owner__email",)
    search_help_text = "Owner's e-mail or wallet number"
    ordering = ("id",)
    fields = ("id", "kind", "wallet_link", "balance")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        slots = HouseBalance.objects.filter(account=OuterRef("pk")).values("account")
        total = slots.annotate(total=Cast(Sum("balance_nanousd"), BigIntegerField())).values("total")
        found: QuerySet[Account] = super().get_queryset(request)
        return found.annotate(house_nanousd=Subquery(total))

    def matching(self, term: str) -> Q:
        return Q(wallet__in=wallets_for(term))

    @column("Wallet")
    def wallet_link(self, account: Account) -> str:
        return link(account.wallet) if account.wallet else "The house"

    @column("Balance")
    def balance(self, account: Account) -> str:
        if account.wallet is None:
            return usd(getattr(account, "house_nanousd", None) or 0)
        funds = account.wallet.funds
        is_paid = account.kind == Account.Kind.PAID
        return usd(funds.paid_nanousd if is_paid else funds.promotional_nanousd)


@admin.register(Transfer)
class TransferAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("void_grant", "correct")
    void_grant = button(admin_acts.VOID_GRANT)
    correct = button(admin_acts.CORRECT)
    list_display = ("id", "created_at", "code", "amount", "wallet", "reference")
    list_filter = ("code",)
    list_select_related = ("wallet",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("reference",)
    search_help_text = "Number, reference from its beginning, owner's e-mail, or Stripe id"
    ordering = ("-id",)
    fields = (
        "id", "created_at", "code", "amount", "debit", "credit", "wallet_link", "reference_text", "corrects_link",
        "corrected_by_link", "explained",
    )  # fmt: skip

    def matching(self, term: str) -> Q:
        """By number or reference over all; by what the details say only within the wallets that the term names.

        Never by two conditions at once: over an OR the database may walk the whole table backwards instead.
        """
        if "@" in term or term.startswith("cus_"):
            return Q(wallet__in=wallets_for(term))
        number = as_number(term)
        if number is not None:
            return Q(pk=number)
        return Q(pk__in=[*_of_reference(term), *_telling_of(term, wallets_for(term))])

    amount = dollars("Amount", "amount_nanousd")
    debit = linked("Debit", "debit_account")
    credit = linked("Credit", "credit_account")
    wallet_link = linked("Wallet", "wallet")
    reference_text = coded("Reference", "reference")
    corrects_link = linked("Corrects", "corrects")

    @column("Corrected by")
    def corrected_by_link(self, transfer: Transfer) -> str:
        return link(Transfer.objects.filter(corrects=transfer).first())

    @column("Details")
    def explained(self, transfer: Transfer) -> str:
        return pretty(transfer.details)


def _of_reference(term: str) -> list[int]:
    found = [Transfer.objects.filter(reference=f"{prefix}:{term}") for prefix in (Code.TOP_UP, Code.REFUND)]
    found.append(Transfer.objects.filter(reference__startswith=term))
    return [pk for each in found for pk in each.order_by().values_list("pk", flat=True)[:MOST_TRANSFERS]]


def _telling_of(term: str, wallets: list[int]) -> list[int]:
    """Transfers of these wallets, usage apart, whose details hold the term; details have no index of their own."""
    found = Transfer.objects.filter(wallet__in=wallets).exclude(code=Code.USAGE)
    found = found.annotate(text=Cast("details", TextField())).filter(text__contains=f'"{term}"')
    return list(found.values_list("pk", flat=True)[:MOST_TRANSFERS])


@admin.register(Funds)
class FundsAdmin(ReadOnlyAdmin):
    list_display = ("wallet", "promotional", "paid", "held", "available")
    list_select_related = ("wallet",)
    search_fields = ("wallet__owner__email",)
    search_help_text = "Owner's e-mail or wallet number"
    ordering = ("-wallet_id",)
    fields = ("wallet_link", "promotional", "paid", "held", "available")

    def matching(self, term: str) -> Q:
        return Q(pk__in=wallets_for(term))

    wallet_link = linked("Wallet", "wallet")
    promotional = dollars("Promotional", "promotional_nanousd")
    paid = dollars("Paid", "paid_nanousd")
    held = dollars("Held", "held_nanousd")
    available = dollars("Available", "available_nanousd")


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ("id", "state_label", "amount", "wallet", "memo", "created_at", "expires_at")
    list_filter = ("state",)
    list_select_related = ("wallet",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("id",)
    search_help_text = "Call id, owner's e-mail or wallet number"
    ordering = ("-id",)
    fields = (
        "id", "state_label", "amount", "wallet_link", "reference", "memo", "created_at", "expires_at",
    )  # fmt: skip

    def matching(self, term: str) -> Q:
        call_id = as_uuid(term)
        return Q(pk=call_id) if call_id else Q(wallet__in=wallets_for(term))

    @column("State", labels={"open": "info", "expired": "warning"})
    def state_label(self, hold: Hold) -> str:
        return hold.state

    amount = dollars("Amount", "amount_nanousd")
    wallet_link = linked("Wallet", "wallet")
