"""Which of a wallet's calls are looked for, and a page of them.

Pages go by id, which is a call's time: `before` and `after` name the call at the edge of another page, so that a page
costs the same however far back it lies, and calls that arrive meanwhile move nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone

from logs.models import Call
from logs.sums import Span
from logs.wanted import NO_MODEL, PRESETS, Wanted, of_days, of_preset
from pricing import money
from pricing.models import Model
from pricing.units import INPUT_UNITS, UNITS, Family
from tokens.models import ApiKey, DailyUsage
from wallet.models import Wallet

PAGE_SIZE = 50
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


@dataclass(frozen=True, slots=True)
class Row:
    """A call in the list."""

    call: Call
    quantity: str


@dataclass(frozen=True, slots=True)
class Page:
    """Up to PAGE_SIZE calls, newest first, and the queries of the pages beside it; None where there is none."""

    rows: Sequence[Row]
    newer: str | None
    older: str | None


def page(wallet: Wallet, form: FilterForm, *, before: str, after: str) -> Page:
    """The page of the wallet's calls that `form` (valid) and a cursor ask for; a cursor that is none is ignored."""
    calls = form.wanted(wallet.pk).calls.select_related("model", "key")
    older_than, newer_than = _cursor(before), _cursor(after)
    if newer_than and not older_than:
        found = list(calls.filter(id__gt=newer_than).order_by("id")[: PAGE_SIZE + 1])
        if len(found) > PAGE_SIZE:
            return _page(found[PAGE_SIZE - 1 :: -1], form, has_newer=True, has_older=True)
        older_than = None  # So near the top, the newest page shows all of it, and is full.
    if older_than:
        calls = calls.filter(id__lt=older_than)
    found = list(calls.order_by("-id")[: PAGE_SIZE + 1])
    return _page(found[:PAGE_SIZE], form, has_newer=older_than is not None, has_older=len(found) > PAGE_SIZE)


def models_of(wallet: Wallet) -> list[str]:
    """Names of the models that this wallet has called."""
    used = DailyUsage.objects.filter(wallet=wallet).values("model_id")
    return list(Model.objects.filter(pk__in=used).order_by("name").values_list("name", flat=True))


def keys_of(wallet: Wallet) -> list[ApiKey]:
    """The keys that this wallet has called with, revoked ones too, and those in use."""
    used = DailyUsage.objects.filter(wallet=wallet).values("key_id")
    keys = ApiKey.objects.filter(Q(revoked_at=None) | Q(pk__in=used), wallet=wallet)
    return list(keys.order_by("-revoked_at", "name", "id"))


def quantity(usage: Mapping[str, int]) -> str:
    """Usage in few characters: tokens in and out, or what else was counted: "1,200 → 300", "2 images"."""
    tokens = {unit: count for unit, count in usage.items() if count and _is_tokens(unit)}
    if tokens:
        sent = sum(count for unit, count in tokens.items() if unit in INPUT_UNITS)
        return f"{sent:,} → {sum(tokens.values()) - sent:,}"
    counted = [f"{usage[code]:,} {unit.noun(usage[code])}" for code, unit in UNITS.items() if usage.get(code)]
    return ", ".join(counted)


def _is_tokens(unit: str) -> bool:
    return unit in UNITS and UNITS[unit].family is Family.TOKENS


def _cursor(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _page(calls: Sequence[Call], form: FilterForm, *, has_newer: bool, has_older: bool) -> Page:
    chosen = form.chosen
    return Page(
        rows=[Row(call, quantity(call.usage)) for call in calls],
        # Past the oldest call there is nothing to name; the way back is the newest page.
        newer=urlencode({**chosen, **({"after": calls[0].pk} if calls else {})}) if has_newer else None,
        older=urlencode({**chosen, "before": calls[-1].pk}) if has_older and calls else None,
    )
