"""Keys for staff: what they are recognised by and never more. A gateway's key can be revoked here."""

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from pricing.money import usd
from staff.admin import ReadOnlyAdmin, column, link, list_link
from tokens import gateways, keys, spending
from tokens.models import ApiKey, GatewayKey
from wallet.admin.terms import wallets_for


def keys_for(term: str) -> list[int]:
    """API keys of the prefix that a search gives; a whole key is cut down to its prefix first."""
    return list(ApiKey.objects.filter(prefix=keys.visible_part(term)).values_list("pk", flat=True)[:50])


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("name", "hint", "wallet", "owner", "is_good", "spent", "created_at", "last_used")
    list_select_related = ("wallet__owner",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("prefix",)
    search_help_text = "Prefix (such as sk- and eight characters), owner's e-mail, or wallet number"
    ordering = ("-id",)
    fields = (
        "id", "name", "hint", "wallet_link", "owner", "is_good", "spent", "calls", "last_used", "created_at",
        "revoked_at",
    )  # fmt: skip

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist: ChangeList = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        spending.show(changelist.result_list)
        return changelist

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> ApiKey | None:
        key: ApiKey | None = super().get_object(request, object_id, from_field)
        if key is not None:
            spending.show([key])
        return key

    def matching(self, term: str) -> Q:
        if term.startswith(("sk-", "at-")):
            return Q(pk__in=keys_for(term))
        return Q(wallet__in=wallets_for(term))

    @column("Key")
    def hint(self, key: ApiKey) -> str:
        return key.hint

    @column("Owner")
    def owner(self, key: ApiKey) -> str:
        return link(key.wallet.owner)

    @column("Wallet")
    def wallet_link(self, key: ApiKey) -> str:
        return link(key.wallet)

    @column("Good", yes_or_no=True)
    def is_good(self, key: ApiKey) -> bool:
        return not key.is_revoked

    @column("Spent")
    def spent(self, key: ApiKey) -> str:
        return usd(key.spend.spent_nanousd)

    @column("Calls")
    def calls(self, key: ApiKey) -> str:
        return list_link(
            "logs_call", f"{key.spend.calls:,}", wallet__id__exact=key.wallet_id, key__id__exact=key.pk
        )

    @column("Last used")
    def last_used(self, key: ApiKey) -> object:
        return key.spend.last_used_at


@admin.register(GatewayKey)
class GatewayKeyAdmin(ReadOnlyAdmin):
    actions = ("revoke",)
    list_display = ("name", "shown", "is_good", "created_at", "revoked_at")
    ordering = ("-id",)
    fields = ("id", "name", "shown", "created_at", "revoked_at")

    @column("Key")
    def shown(self, key: GatewayKey) -> str:
        return f"{key.prefix}…"

    @column("Good", yes_or_no=True)
    def is_good(self, key: GatewayKey) -> bool:
        return key.revoked_at is None

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.has_perm("tokens.change_gatewaykey"))

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[GatewayKey]) -> None:
        """No gateway is let in with these keys any more. Each revocation is in the key's history."""
        revoked = 0
        for key in queryset:
            if gateways.revoke(key):
                self.log_change(request, key, "Revoked.")
                revoked += 1
        if revoked:
            self.message_user(request, f"Revoked: {revoked}. The metering API refuses them within 5 seconds.")
        else:
            self.message_user(request, "They were revoked before.", messages.WARNING)
