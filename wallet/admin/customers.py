"""Customer groups for staff: made, and given another rate, by forms with a reason. Nothing of them is edited."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.acting import ActingAdmin, button
from accounts.models import User
from pricing import groups
from pricing.models import CustomerGroup
from staff.admin import ReadOnlyAdmin, column, list_link, table
from wallet.admin import price_acts
from wallet.admin.price_acts import times


@admin.register(CustomerGroup)
class CustomerGroupAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("change_rate",)
    change_rate = button(price_acts.CHANGE_RATE)
    list_display = ("name", "rate", "created_at")
    search_fields = ("name",)
    search_help_text = "Part of its name"
    ordering = ("name",)
    fields = ("name", "rate", "rates", "members", "trail", "created_at")

    def matching(self, term: str) -> Q:
        return Q(name__icontains=term)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return price_acts.may(cast("User", request.user), None)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.act_on(request, CustomerGroup(name="a customer group"), price_acts.CREATE_GROUP)

    @column("Pays now")
    def rate(self, group: CustomerGroup) -> str:
        return times(groups.multiplier_at(group, timezone.now()))

    @column("Rates")
    def rates(self, group: CustomerGroup) -> str:
        rows = [
            (f"{rate.effective_from:%Y-%m-%d %H:%M} UTC", times(rate.multiplier_bp))
            for rate in group.rates.order_by("-effective_from")
        ]
        return table(["From", "Rate"], rows)

    @column("Members")
    def members(self, group: CustomerGroup) -> str:
        count = group.wallets.count()
        text = f"{count:,} wallet{'' if count == 1 else 's'}"
        return list_link("wallet_wallet", text, customer_group__id__exact=group.pk)

    @column("Audit trail")
    def trail(self, group: CustomerGroup) -> str:
        found = {"target_type": "pricing.customergroup", "target_id": group.pk}
        return list_link("accounts_auditentry", "What staff did", **found)
