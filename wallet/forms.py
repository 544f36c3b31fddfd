"""The top-up form, and what forms of amounts share. Limits are the operator's; amounts are read by pricing.money alone."""

from typing import Any

from django import forms
from django.conf import settings

from pricing.money import NANO_PER_CENT, cents_from_text, usd

PRESETS_CENTS = [500, 1000, 2500, 5000]


class AmountForm(forms.Form):
    """`cleaned_data["amount"]` is whole cents of USD, without bounds."""

    amount = forms.CharField(
        label="Amount",
        max_length=40,
        error_messages={"required": "Enter an amount.", "max_length": "That amount is too large."},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "10.00"}),
    )
    form_id = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def clean_amount(self) -> int:
        if hasattr(self.data, "getlist") and len(self.data.getlist("amount")) > 1:
            raise forms.ValidationError("Send one amount.")
        try:
            return cents_from_text(self.cleaned_data["amount"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        # An id that does not fit is no id; it only recognises a form that was sent twice.
        if "form_id" in self.errors:
            del self.errors["form_id"]
        return {**self.cleaned_data, "form_id": self.cleaned_data.get("form_id", "")}


class TopUpForm(AmountForm):
    """The same within the operator's bounds of a top-up."""

    def clean_amount(self) -> int:
        cents = super().clean_amount()
        if cents < settings.TOP_UP_MINIMUM_CENTS:
            raise forms.ValidationError(f"The smallest top-up is {dollars(settings.TOP_UP_MINIMUM_CENTS)}.")
        if cents > settings.TOP_UP_MAXIMUM_CENTS:
            raise forms.ValidationError(f"The largest top-up is {dollars(settings.TOP_UP_MAXIMUM_CENTS)}.")
        return cents


def presets() -> list[tuple[str, str]]:
    """Amounts to choose from, as the form takes them and as people read them."""
    smallest, largest = settings.TOP_UP_MINIMUM_CENTS, settings.TOP_UP_MAXIMUM_CENTS
    cents = [one for one in PRESETS_CENTS if smallest <= one <= largest] or [smallest]
    return [(f"{one // 100}.{one % 100:02}", dollars(one).removesuffix(".00")) for one in cents]


def dollars(cents: int) -> str:
    return usd(cents * NANO_PER_CENT)
