"""Models, their prices and markups, for staff. A price version is written by `pricing.publishing` and never here.

They stand here since what staff do to them is audited, and `pricing` knows no people. Of a model only the reason for not
selling it can be changed; one that the import gave is the import's to take back.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.acting import ActingAdmin, button
from pricing.importing import REASON
from pricing.models import Markup, Model, PriceVersion, UnitPrice
from pricing.money import per_million, usd_from_pico
from pricing.units import UNITS
from staff.admin import ReadOnlyAdmin, column, lines, link, list_link, table
from wallet.admin import price_acts
from wallet.admin.price_acts import times


class ModelForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the checker only
    def clean_unsold_reason(self) -> str:
        reason = str(self.cleaned_data["unsold_reason"]).strip()
        if reason.startswith(REASON.strip()) and "unsold_reason" in self.changed_data:
            raise forms.ValidationError(
                f"Begin otherwise: “{REASON.strip()}” marks what the import may take back."
            )
        return reason


class ForSale(admin.SimpleListFilter):
    title = "for sale"
    parameter_name = "for_sale"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("yes", "Not kept from sale"),
            ("import", "Kept from sale by the import"),
            ("staff", "By staff"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        imported = Q(unsold_reason__startswith=REASON)
        conditions = {
            "yes": Q(unsold_reason=""),
            "import": imported,
            "staff": ~Q(unsold_reason="") & ~imported,
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Model)
class ModelAdmin(ActingAdmin):
    form = ModelForm
    actions_detail = ("mark_up_model", "mark_up_provider")
    mark_up_model = button(price_acts.MARK_UP_MODEL)
    mark_up_provider = button(price_acts.MARK_UP_PROVIDER)
    list_display = ("name", "provider", "kind", "is_sold", "unsold_reason", "origin", "updated_at")
    list_filter = (ForSale, "kind", "provider", "origin")
    linked_by = ("provider_code",)
    search_fields = ("name",)
    search_help_text = "Part of a name, title or provider"
    ordering = ("name",)
    fields = (
        "name", "provider", "kind", "title", "description", "context_window", "max_output_tokens",
        "is_deprecated", "origin", "unsold_reason", "versions", "created_at", "updated_at",
    )  # fmt: skip

    def matching(self, term: str) -> Q:
        return Q(name__icontains=term) | Q(title__icontains=term) | Q(provider__icontains=term)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        by_import = obj is not None and obj.unsold_reason.startswith(REASON)
        return tuple(name for name in self.fields if by_import or name != "unsold_reason")

    @column("Offered", yes_or_no=True)
    def is_sold(self, model: Model) -> bool:
        return not model.unsold_reason

    @column("Price versions")
    def versions(self, model: Model) -> str:
        newest = model.price_versions.order_by("-effective_from", "-id")[:20]
        shown = [link(version, f"from {version.effective_from:%Y-%m-%d %H:%M} UTC") for version in newest]
        return lines([*shown, list_link("pricing_priceversion", "All versions", model__id__exact=model.pk)])


@admin.register(PriceVersion)
class PriceVersionAdmin(ReadOnlyAdmin):
    list_display = ("model", "effective_from", "multiplier", "origin", "source", "created_at")
    list_filter = ("origin",)
    list_select_related = ("model",)
    linked_by = ("model__id__exact",)
    search_fields = ("model__name",)
    search_help_text = "Part of a model's name"
    ordering = ("-id",)
    fields = ("model_link", "effective_from", "multiplier", "prices", "origin", "source", "created_at")

    def matching(self, term: str) -> Q:
        return Q(model__name__icontains=term)

    @column("Model")
    def model_link(self, version: PriceVersion) -> str:
        return link(version.model)

    @column("Multiplier")
    def multiplier(self, version: PriceVersion) -> str:
        return times(version.multiplier_bp)

    @column("Unit prices")
    def prices(self, version: PriceVersion) -> str:
        rows = version.unit_prices.order_by("above_input_tokens", "id")
        return table(
            ["Unit", "Above input tokens", "For one", "For a million"], [_price(row) for row in rows]
        )


@admin.register(Markup)
class MarkupAdmin(ReadOnlyAdmin):
    """All markups that there ever were, also those to come. They are set on the page of a model."""

    list_display = ("of", "multiplier", "effective_from", "created_at")
    list_select_related = ("model",)
    linked_by = ("model__id__exact", "provider_code")
    search_fields = ("model__name",)
    search_help_text = "A provider's code, or part of a model's name"
    ordering = ("-id",)
    fields = ("of", "multiplier", "effective_from", "created_at", "models")

    def matching(self, term: str) -> Q:
        return Q(provider_code=term.lower()) | Q(model__name__icontains=term)

    @column("Of")
    def of(self, markup: Markup) -> str:
        return f"provider {markup.provider_code}" if markup.model is None else f"model {markup.model}"

    @column("Multiplier")
    def multiplier(self, markup: Markup) -> str:
        return times(markup.multiplier_bp)

    @column("Models")
    def models(self, markup: Markup) -> str:
        if markup.model is not None:
            return link(markup.model)
        return list_link("pricing_model", "All of this provider", provider_code=markup.provider_code)


def _price(row: UnitPrice) -> list[object]:
    price = row.price_picousd_per_unit
    return [UNITS[row.unit].label, f"{row.above_input_tokens:,}", usd_from_pico(price), per_million(price)]
