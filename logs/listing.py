"""What is asked of a wallet's log, in the address of a page, and what there is to choose from."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from logs.models import Call
from logs.sums import Span
from logs.wanted import NO_MODEL, PRESETS, Wanted, of_days, of_preset
from pricing import money
from pricing.models import Model
from tokens.models import ApiKey
from wallet.models import Wallet
from wallet.transactions import report_rows

LONGEST_TEXT = 200
LONGEST_AMOUNT = 30
LARGEST_ID = 2**63 - 1
STREAMED = {"yes": True, "no": False}


class FilterForm(forms.Form):
    """What calls are looked for. Empty means any; a name that was never called finds nothing and is no error."""

    preset = forms.ChoiceField(
        required=False,
        choices=[("", "Any time"), *((name, label) for name, (label, _) in PRESETS.items())],
        error_messages={"invalid_choice": "Choose one of these times."},
    )
    model = forms.CharField(required=False, max_length=LONGEST_TEXT)
    token = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), "Choose a token."),
    )
    status = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), *((status.value, status.name.capitalize()) for status in Call.Status)],
        error_messages={"invalid_choice": "Choose succeeded or failed."},
    )
    stream = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), ("yes", "Streamed"), ("no", "Not streamed")],
        error_messages={"invalid_choice": "Choose yes or no."},
    )
    above = forms.CharField(required=False, max_length=LONGEST_AMOUNT)
    call = forms.UUIDField(
        required=False,
        error_messages={"invalid": "A request ID looks like 01924f3e-8a00-7000-8000-000000000000."},
    )

    def __init__(self, parameters: Mapping[str, str]) -> None:
        super().__init__(parameters)
        for name in ("from", "to"):  # words of Python, which can't be written as the others
            self.fields[name] = forms.DateField(
                required=False,
                input_formats=["%Y-%m-%d"],
                error_messages={"invalid": "Write the day as 2026-01-31."},
            )

    def clean_above(self) -> int | None:
        """In nano-dollars."""
        text = self.cleaned_data["above"]
        try:
            return money.nanousd_from_text(text) if text else None
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        first, last = self.cleaned_data.get("from"), self.cleaned_data.get("to")
        if first and last and first > last:
            self.add_error("to", ValidationError("The last day lies before the first one."))
        if self.cleaned_data.get("preset") and (first or last):
            self.add_error("preset", ValidationError("Choose either one of these times or days."))
        return self.cleaned_data

    @property
    def chosen(self) -> dict[str, str]:
        """What was filled in, as it stands in an address."""
        found = ((name, str(self.data.get(name, "")).strip()) for name in self.fields)
        return {name: text for name, text in found if text}

    @property
    def query(self) -> str:
        """The same, as the query of an address; empty where nothing was filled in."""
        return urlencode(self.chosen)

    @property
    def span(self) -> Span:
        """The time of this form (valid), that of a preset up to this moment."""
        preset = self.cleaned_data["preset"]
        if preset:
            return of_preset(preset, timezone.now())
        return of_days(self.cleaned_data["from"], self.cleaned_data["to"])

    def wanted(self, wallet_id: int) -> Wanted:
        """What this form (valid) looks for among a wallet's calls."""
        cleaned = self.cleaned_data
        model_id = None
        if cleaned["model"]:
            # By id, by which calls are indexed.
            found = Model.objects.filter(name=cleaned["model"]).values_list("pk", flat=True).first()
            model_id = found or NO_MODEL
        return Wanted(
            wallet_id,
            self.span,
            model_id,
            cleaned["token"],
            cleaned["status"],
            STREAMED.get(cleaned["stream"]),
            cleaned["above"],
            cleaned["call"],
        )


# Written out: Django takes ten times as long to make them up, for every page of the log.
MODELS = """
    SELECT name FROM pricing_model
    WHERE id IN (SELECT model_id FROM tokens_dailyusage WHERE wallet_id = %s) ORDER BY name
"""
KEYS = """
    SELECT id, name, prefix, last_four, revoked_at FROM tokens_apikey
    WHERE wallet_id = %s
        AND (revoked_at IS NULL OR id IN (SELECT key_id FROM tokens_dailyusage WHERE wallet_id = %s))
    ORDER BY revoked_at DESC, name, id
"""


def models_of(wallet: Wallet) -> list[str]:
    """Names of the models that this wallet has called."""
    return [name for (name,) in report_rows(MODELS, [wallet.pk])]


def keys_of(wallet: Wallet) -> list[ApiKey]:
    """The keys that this wallet has called with, revoked ones too, and those in use; with what a page says of them."""
    return list(ApiKey.objects.raw(KEYS, [wallet.pk, wallet.pk]))
