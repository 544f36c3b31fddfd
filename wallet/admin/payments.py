"""Payments and Stripe's events for staff."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.acting import ActingAdmin, button
from staff.admin import ReadOnlyAdmin, column, lines, list_link, pretty
from wallet.admin.again import ASK_ABOUT_EVENT, ASK_ABOUT_TOP_UP
from wallet.admin.columns import briefly, cents, coded, linked, worded
from wallet.admin.terms import as_uuid, names_a_wallet, wallets_for
from wallet.models import StripeEvent, TopUp, UnsentMail
from wallet.models.stripe import FRAUD_WARNING


class Begun(admin.SimpleListFilter):
    title = "begun"
    parameter_name = "begun"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("automatic", "Automatically"), ("owner", "By the owner")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TopUp]) -> QuerySet[TopUp]:
        if self.value() in ("automatic", "owner"):
            return queryset.filter(is_automatic=self.value() == "automatic")
        return queryset


@admin.register(TopUp)
class TopUpAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("ask",)
    ask = button(ASK_ABOUT_TOP_UP)
    # What counts comes first: on a phone the rest is beyond the edge of the table.
    list_display = (
        "created_at",
        "amount",
        "state_label",
        "wallet",
        "begun",
        "paid_at",
        "problem_in_brief",
        "id",
    )
    list_filter = ("state", Begun)
    list_select_related = ("wallet",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("session_id",)
    search_help_text = "Top-up, session or payment intent id, owner's e-mail, or wallet number"
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("id", "wallet_link", "amount", "begun", "state_label", "meaning", "problem")}),
        ("Stripe", {"fields": ("session", "payment_intent", "received", "tax", "presentment", "events")}),
        ("Times", {"fields": ("created_at", "checked_at", "paid_at")}),
    )

    def matching(self, term: str) -> Q:
        top_up_id = as_uuid(term)
        if top_up_id:
            return Q(pk=top_up_id)
        if names_a_wallet(term):
            return Q(wallet__in=wallets_for(term))
        return Q(session_id=term) | Q(payment_intent_id=term)

    amount = cents("Amount", "amount_cents")

    @column(
        "State",
        labels={
            "paid": "success",
            "open": "info",
            "pending": "info",
            "created": "info",
            "failed": "danger",
            "parked": "danger",
        },
    )
    def state_label(self, top_up: TopUp) -> str:
        return top_up.state

    @column("Begun")
    def begun(self, top_up: TopUp) -> str:
        return "automatically" if top_up.is_automatic else "by the owner"

    meaning = worded("Which means", "state")
    wallet_link = linked("Wallet", "wallet")
    session = coded("Session", "session_id")
    payment_intent = coded("Payment intent", "payment_intent_id")
    received = cents("Received, less tax", "received_cents")
    tax = cents("Tax", "tax_cents")
    problem_in_brief = briefly("Problem", "problem")

    @column("Paid in")
    def presentment(self, top_up: TopUp) -> str:
        if top_up.presentment_amount is None:
            return "-"
        return f"{top_up.presentment_amount:,} minor units of {top_up.presentment_currency.upper()}"

    @column("Events")
    def events(self, top_up: TopUp) -> str:
        ids = [each for each in (top_up.session_id, top_up.payment_intent_id) if each]
        return lines([list_link("wallet_stripeevent", f"Events of {each}", q=each) for each in ids])


class About(admin.SimpleListFilter):
    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("fraud", "Early fraud warnings")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> QuerySet[StripeEvent]:
        return queryset.filter(type=FRAUD_WARNING) if self.value() == "fraud" else queryset


@admin.register(StripeEvent)
class StripeEventAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("ask",)
    ask = button(ASK_ABOUT_EVENT)
    list_display = ("received_at", "state_label", "type", "error", "object_id", "attempts", "id")
    list_filter = ("state", About)
    search_fields = ("id",)
    search_help_text = "Event id or the id of its object, exactly"
    ordering = ("-received_at",)
    fieldsets = (
        (None, {"fields": ("id", "type", "object_id", "state_label", "meaning", "error")}),
        ("Attempts", {"fields": ("attempts", "received_at", "handled_at", "next_attempt_at")}),
        ("As received", {"fields": ("mode", "api_version", "formatted")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        """A payload is large, and shown on the page of one event only."""
        found: QuerySet[StripeEvent] = super().get_queryset(request)
        return found.defer("payload")

    def matching(self, term: str) -> Q:
        return Q(pk=term) | Q(object_id=term)

    @column("State", labels={"handled": "success", "pending": "info", "parked": "danger"})
    def state_label(self, event: StripeEvent) -> str:
        return event.state

    meaning = worded("Which means", "state")

    @column("Mode")
    def mode(self, event: StripeEvent) -> str:
        return "live" if event.livemode else "test"

    @column("Payload")
    def formatted(self, event: StripeEvent) -> str:
        return pretty(event.payload)


@admin.register(UnsentMail)
class UnsentMailAdmin(ReadOnlyAdmin):
    """Mails to owners that no server took. Those that are given up are told on the wallet's pages alone."""

    list_display = ("since", "name", "state_label", "problem", "wallet_link", "tried_at")
    list_filter = ("is_given_up",)
    list_select_related = ("wallet",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("name",)
    search_help_text = "Owner's e-mail, or wallet number"
    ordering = ("-since",)
    fields = ("name", "wallet_link", "state_label", "problem", "since", "tried_at")

    def matching(self, term: str) -> Q:
        return Q(wallet__in=wallets_for(term))

    wallet_link = linked("Wallet", "wallet")

    @column("State", labels={"given up": "danger", "tried again": "warning"})
    def state_label(self, mail: UnsentMail) -> str:
        return "given up" if mail.is_given_up else "tried again"
