"""What reconciliation could not explain, for staff to read and to accept (wallet/reconciliation/accepting.py)."""

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.acting import Act, ActingAdmin, button
from accounts.audit import Instruction
from accounts.models import User
from staff.admin import ReadOnlyAdmin, column, lines, list_link
from wallet.acts import PERMISSION
from wallet.models import Difference
from wallet.reconciliation import accepting, runs


def _may(actor: User, row: object) -> bool:
    return audit.may(actor, PERMISSION)


def _facts(difference: Difference) -> list[tuple[str, object]]:
    return [("About", difference.name), ("It says", difference.sentence), ("Last seen", difference.seen_at)]


def _accept(by: Instruction, difference: Difference, _: dict[str, Any]) -> str:
    accepting.accept(by, difference)
    return "Accepted. The next reconciliation lists it apart, and no money moved."


def _reopen(by: Instruction, difference: Difference, _: dict[str, Any]) -> str:
    accepting.reopen(by, difference)
    return "It counts again from the next reconciliation on."


ACCEPT = Act[Difference](
    title="Accept",
    button="Accept as it stands",
    path="accept",
    explained=lambda: (
        "For what has its reason outside of the wallet, as other business on the same Stripe account. It alarms no more, is"
        " listed as accepted, and moves no money. In other words, as with another amount, it alarms again."
    ),
    do=_accept,
    may=_may,
    is_offered=lambda difference: difference.accepted_at is None,
    facts=_facts,
    is_grave=True,
)
REOPEN = Act[Difference](
    title="Let it alarm again",
    button="Let it alarm again",
    path="reopen",
    explained=lambda: "It counts as a difference again.",
    do=_reopen,
    may=_may,
    is_offered=lambda difference: difference.accepted_at is not None,
    facts=_facts,
)


class Standing(admin.SimpleListFilter):
    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("open", "Open in the last run"), ("accepted", "Accepted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Difference]) -> QuerySet[Difference]:
        match self.value():
            case "open":
                return queryset.filter(accepted_at=None, seen_at__gte=runs.last_began_at())
            case "accepted":
                return queryset.filter(accepted_at__isnull=False)
        return queryset


@admin.register(Difference)
class DifferenceAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("accept", "reopen")
    accept = button(ACCEPT)
    reopen = button(REOPEN)
    list_display = ("seen_at", "state_label", "sentence", "accepted_by", "first_seen_at")
    list_filter = (Standing,)
    list_select_related = ("accepted_by",)
    search_fields = ("name",)
    search_help_text = (
        "Id of the payment, refund, dispute, charge or balance transaction that it is about, exactly"
    )
    ordering = ("-seen_at", "name")
    fieldsets = (
        (None, {"fields": ("name", "state_label", "sentence", "first_seen_at", "seen_at")}),
        ("Accepted", {"fields": ("accepted_by", "accepted_at", "trail")}),
    )

    def matching(self, term: str) -> Q:
        return Q(name=term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Difference]:
        found: QuerySet[Difference] = super().get_queryset(request)
        is_there = Q(seen_at__gte=runs.last_began_at())
        return found.annotate(is_there=ExpressionWrapper(is_there, output_field=BooleanField()))

    @column("State", labels={"accepted": "info", "open": "danger"})
    def state_label(self, difference: Difference) -> str:
        """One that the last run did not tell of any more is gone."""
        if not getattr(difference, "is_there", True):
            return "gone"
        return "open" if difference.accepted_at is None else "accepted"

    @column("Audit trail")
    def trail(self, difference: Difference) -> str:
        where = {"target_type": "wallet.difference", "target_id": difference.pk}
        return lines([list_link("accounts_auditentry", "What staff did with it", **where)])
