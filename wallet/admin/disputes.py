"""The queue of disputes for staff: what a bank waits for first. The evidence itself is given on Stripe's own pages."""

from django.conf import settings
from django.contrib import admin
from django.db.models import Case, F, Q, QuerySet, When
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.timezone import now

from accounts.acting import ActingAdmin, button
from pricing.money import usd
from staff.admin import ReadOnlyAdmin, column, lines, link, list_link
from wallet import disputes
from wallet.admin.again import ASK_ABOUT_DISPUTE
from wallet.admin.columns import briefly, cents, coded, linked
from wallet.admin.terms import as_uuid, names_a_wallet, wallets_for
from wallet.models import Dispute, StripeTransaction, Transfer

STRIPE = "https://api.stripe.com"
DASHBOARD = "https://dashboard.stripe.com"
OPEN = ~Q(status__in=Dispute.CLOSED)
TO_ANSWER = Q(status__in=Dispute.TO_ANSWER)


class Stage(admin.SimpleListFilter):
    title = "stage"
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("answer", "To answer"), ("open", "Open"), ("closed", "Closed"), ("unclear", "Unclear")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> QuerySet[Dispute]:
        match self.value():
            case "answer":
                return queryset.filter(TO_ANSWER)
            case "open":
                return queryset.filter(OPEN)
            case "closed":
                return queryset.exclude(OPEN)
            case "unclear":
                return queryset.filter(pk__in=disputes.unclear().order_by().values("pk"))
        return queryset


@admin.register(Dispute)
class DisputeAdmin(ActingAdmin, ReadOnlyAdmin):
    """Those to be answered first, then what else is open, each by its deadline; then the closed ones, newest first."""

    actions_detail = ("ask",)
    ask = button(ASK_ABOUT_DISPUTE)
    list_display = (
        "status_label", "due", "amount", "reason_text", "wallet", "withdrawn", "reinstated", "evidence", "problem_in_brief",
    )  # fmt: skip
    list_display_links = ("status_label",)
    list_filter = (Stage,)
    list_select_related = ("top_up__wallet",)
    linked_by = ("top_up__wallet__id__exact", "top_up__id__exact")
    search_fields = ("id",)
    search_help_text = "Dispute, charge, payment or top-up id, owner's e-mail, or wallet number"
    ordering = (
        Case(When(TO_ANSWER, then=0), When(OPEN, then=1), default=2),
        Case(When(OPEN, then=F("evidence_due_at"))).asc(nulls_last=True),
        "-opened_at",
    )
    fieldsets = (
        (None, {"fields": ("id", "status", "meaning", "due", "given", "evidence", "reason_text", "problem")}),
        ("Payment", {"fields": ("top_up_link", "wallet", "charge", "payment_intent", "events", "warnings", "difference")}),
        ("Money", {"fields": ("amount", "withdrawn", "reinstated", "tax", "fee", "transfers")}),
        ("Times", {"fields": ("opened_at", "evidence_due_at", "checked_at", "told")}),
    )  # fmt: skip

    def matching(self, term: str) -> Q:
        top_up_id = as_uuid(term)
        if top_up_id:
            return Q(top_up=top_up_id)
        if names_a_wallet(term):
            return Q(top_up__wallet__in=wallets_for(term))
        return Q(pk=term) | Q(charge_id=term) | Q(payment_intent_id=term)

    @column(
        "Status",
        labels={
            "needs response": "danger",
            "warning needs response": "warning",
            "under review": "info",
            "warning under review": "info",
            "won": "success",
        },
    )
    def status_label(self, dispute: Dispute) -> str:
        return dispute.status.replace("_", " ")

    @column("Which means")
    def meaning(self, dispute: Dispute) -> str:
        return dict(Dispute.Status.choices).get(dispute.status, "This release does not know it")

    @column("Answer by")
    def due(self, dispute: Dispute) -> str:
        due_at = dispute.evidence_due_at
        if due_at is None or dispute.status not in Dispute.TO_ANSWER:
            return "-"
        left = due_at - now()
        if left.total_seconds() < 0:
            told = "too late"
        else:
            told = f"in {left.days} d" if left.days else f"in {left.seconds // 3600} h"
        return lines([f"{due_at:%Y-%m-%d %H:%M}", told])

    @column("Disputed")
    def amount(self, dispute: Dispute) -> str:
        if dispute.currency != "usd":
            return f"{dispute.amount_cents:,} minor units of {dispute.currency.upper()}"
        return usd(dispute.amount_nanousd)

    @column("Reason")
    def reason_text(self, dispute: Dispute) -> str:
        return dispute.reason.replace("_", " ") or "-"

    @column("Wallet")
    def wallet(self, dispute: Dispute) -> str:
        return link(dispute.top_up.wallet) if dispute.top_up else "-"

    withdrawn = cents("Withdrawn", "withdrawn_cents")
    reinstated = cents("Reinstated", "reinstated_cents")
    tax = cents("Tax in what is gone", "tax_cents")
    problem_in_brief = briefly("Problem", "problem")
    fee = cents("Fee, which the house pays", "fee_cents")

    @column("Evidence")
    def evidence(self, dispute: Dispute) -> str:
        return format_html(
            '<a class="staff-link" href="{}" rel="noreferrer" target="_blank">At Stripe</a>',
            page_at_stripe(dispute),
        )

    @column("Evidence given")
    def given(self, dispute: Dispute) -> str:
        return "yes" if dispute.has_evidence else "no"

    @column("Reconciliation")
    def difference(self, dispute: Dispute) -> str:
        return list_link("wallet_difference", "What it says of this", q=dispute.pk)

    top_up_link = linked("Top-up", "top_up")
    charge = coded("Charge", "charge_id")
    payment_intent = coded("Payment intent", "payment_intent_id")

    @column("Events")
    def events(self, dispute: Dispute) -> str:
        ids = [each for each in (dispute.pk, dispute.charge_id, dispute.payment_intent_id) if each]
        return lines([list_link("wallet_stripeevent", f"Events of {each}", q=each) for each in ids])

    @column("Warnings")
    def warnings(self, dispute: Dispute) -> str:
        return list_link("wallet_stripeevent", "Early fraud warnings of all payments", about="fraud")

    @column("Transfers")
    def transfers(self, dispute: Dispute) -> str:
        if dispute.top_up is None:
            return "-"
        in_wallet = Transfer.objects.filter(
            wallet=dispute.top_up.wallet_id,
            code__in=["dispute", "dispute_reversal", "tax"],
            details__dispute=dispute.pk,
        )
        # The house's tax is in no wallet, so it is found by what it is called: by a movement of Stripe's.
        movements = {each.details.get("balance_transaction") for each in in_wallet}
        movements |= set(StripeTransaction.objects.filter(source_id=dispute.pk).values_list("pk", flat=True))
        taxes = Transfer.objects.filter(reference__in=[f"tax:{each}" for each in movements if each])
        found = sorted({*in_wallet, *taxes}, key=lambda each: each.pk)
        return lines([link(each, f"{each.get_code_display()} {usd(each.amount_nanousd)}") for each in found])


def page_at_stripe(dispute: Dispute) -> str:
    """Where staff answer it: Stripe's dashboard, or the stand-in's."""
    if settings.STRIPE_API_BASE != STRIPE:
        return f"{settings.STRIPE_API_BASE}/dashboard"
    mode = "" if settings.STRIPE_LIVEMODE else "/test"
    return f"{DASHBOARD}{mode}/disputes/{dispute.pk}"
