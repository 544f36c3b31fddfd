"""Keys for staff: what they are recognised by, may do and did, and never more. Here staff revoke them."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.acting import Act, ActingAdmin, button
from accounts.audit import Instruction
from pricing.money import usd
from staff.admin import ReadOnlyAdmin, column, lines, link, list_link
from tokens import gateways, keys, notices, states, words
from tokens.models import ApiKey, GatewayKey, Notice
from tokens.states import Meter, State
from wallet.admin.terms import wallets_for

COLOURS = {
    "in use": "success", "exhausted": "warning", "disabled": "info", "expired": "warning", "revoked": "danger",
}  # fmt: skip


def keys_for(term: str) -> list[int]:
    """API keys of the prefix that a search gives; a whole key is cut down to its prefix first."""
    return list(ApiKey.objects.filter(prefix=keys.visible_part(term)).values_list("pk", flat=True)[:50])


class StateFilter(admin.SimpleListFilter):
    """By what became of keys; a key has one state, as its owner sees it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in State.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        wanted = self.value()
        return states.only(queryset, State(wanted)) if wanted in State.values else queryset


def _facts(key: ApiKey) -> list[tuple[str, object]]:
    states.put([key])
    return [
        ("Key", key),
        ("Kind", key.get_kind_display()),
        ("State", key.standing.state.label),
        ("Wallet", f"{key.wallet_id} of {key.wallet.owner}"),
        ("Spent", usd(key.spend.spent_nanousd)),
    ]


def _revoke(by: Instruction, key: ApiKey, _: dict[str, Any]) -> str:
    notices.revoke(by, key)
    return f"{key} is revoked. Its owner is told."


REVOKE = Act[ApiKey](
    title="Revoke",
    button="Revoke",
    path="revoke",
    explained=lambda: (
        "Every call with it is refused at once, and for good; calls in flight are still charged. Its owner is told by"
        " mail and reads what you write here."
    ),
    do=_revoke,
    may=lambda actor, key: notices.may_revoke(actor),
    is_offered=lambda key: not key.is_revoked,
    facts=_facts,
    is_grave=True,
)


@admin.register(ApiKey)
class ApiKeyAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("revoke",)
    revoke = button(REVOKE)
    list_display = (
        "name", "hint", "kind_label", "state_label", "limits", "spent", "last_used", "wallet", "owner", "created_at",
    )  # fmt: skip
    list_filter = ("kind", StateFilter)
    list_select_related = ("wallet__owner",)
    linked_by = ("wallet__id__exact",)
    search_fields = ("prefix",)
    search_help_text = "Prefix (such as sk- and eight characters), owner's e-mail, or wallet number"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("id", "name", "hint", "kind_label", "state_label", "wallet_link", "owner")}),
        ("What it may do", {"fields": ("rules",)}),
        ("What it did", {"fields": ("spent", "life", "period_meter", "calls", "last_used")}),
        ("Rotation", {"fields": ("previous",)}),
        ("Times", {"fields": ("created_at", "expires_at", "disabled_at", "revoked_at")}),
        ("Stopped by others", {"fields": ("notices", "trail")}),
    )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist: ChangeList = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        states.put(changelist.result_list)
        return changelist

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> ApiKey | None:
        key: ApiKey | None = super().get_object(request, object_id, from_field)
        if key is not None:
            states.put([key])
        return key

    def matching(self, term: str) -> Q:
        if term.startswith(tuple(keys.PREFIXES.values())):
            return Q(pk__in=keys_for(term))
        return Q(wallet__in=wallets_for(term))

    @column("Key")
    def hint(self, key: ApiKey) -> str:
        return key.hint

    @column("Kind")
    def kind_label(self, key: ApiKey) -> str:
        return key.kind

    @column("State", labels=COLOURS)
    def state_label(self, key: ApiKey) -> str:
        return key.standing.state.value.replace("_", " ")

    @column("Owner")
    def owner(self, key: ApiKey) -> str:
        return link(key.wallet.owner)

    @column("Wallet")
    def wallet_link(self, key: ApiKey) -> str:
        return link(key.wallet)

    @column("Limits")
    def limits(self, key: ApiKey) -> str:
        """In few words, for the list."""
        return lines(words.in_short(key))

    @column("Rules")
    def rules(self, key: ApiKey) -> str:
        return lines([f"{what}: {text}" for what, text in words.of(key)])

    @column("Spent")
    def spent(self, key: ApiKey) -> str:
        return usd(key.spend.spent_nanousd)

    @column("Of its limit")
    def life(self, key: ApiKey) -> str:
        return _meter(key.standing.life)

    @column("Of its limit a day, week or month")
    def period_meter(self, key: ApiKey) -> str:
        return _meter(key.standing.period)

    @column("Calls")
    def calls(self, key: ApiKey) -> str:
        return list_link(
            "logs_call", f"{key.spend.calls:,}", wallet__id__exact=key.wallet_id, key__id__exact=key.pk
        )

    @column("Last used")
    def last_used(self, key: ApiKey) -> object:
        return key.spend.last_used_at

    @column("Key before")
    def previous(self, key: ApiKey) -> str:
        return (
            f"{key.previous_hint}, good until {key.previous_until:%Y-%m-%d %H:%M} UTC"
            if key.previous_until
            else "-"
        )

    @column("Notices to its owner")
    def notices(self, key: ApiKey) -> str:
        return lines([_noticed(notice) for notice in key.notices.all()])

    @column("Audit trail")
    def trail(self, key: ApiKey) -> str:
        filters = {"target_type": "wallet.wallet", "target_id": key.wallet_id}
        return list_link("accounts_auditentry", "of its wallet", **filters)


def _meter(meter: Meter | None) -> str:
    if meter is None:
        return "-"
    told = f"{usd(meter.spent_nanousd)} of {usd(meter.limit_nanousd)}"
    return f"{told}, anew at {meter.resets_at:%Y-%m-%d %H:%M} UTC" if meter.resets_at else told


def _noticed(notice: Notice) -> str:
    told = "told" if notice.told_at else "to be told"
    found = f"{notice.url or 'no address'} ({notice.source or 'no source'})"
    about = notice.reason if notice.cause == Notice.Cause.STAFF else found
    return f"{notice.at:%Y-%m-%d %H:%M} UTC, {notice}: ended {notice.get_ended_display().lower()}; {about}; {told}"


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
