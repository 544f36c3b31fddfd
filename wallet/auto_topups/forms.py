"""The form of automatic top-ups, and what the wallet's page shows of them and of the saved card."""

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone

from pricing.money import NANO_PER_CENT, cents_from_text
from wallet import auto_topups
from wallet.auto_topups import Wish, standing
from wallet.forms import dollars
from wallet.models import AutoTopUp, SavedCard, TopUp, Wallet

# What a first look at the form proposes, within the operator's bounds.
BELOW_CENTS, ADD_CENTS, MONTHLY_TIMES = 500, 1000, 5
LARGEST_MONTH_TIMES = 100
LARGEST_MONTH_CENTS = 2_000_000_000  # As much as the column holds, nearly.


def _amount(label: str, required: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=40,
        error_messages={"required": required, "max_length": "That amount is too large."},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )


class AutoTopUpForm(forms.Form):
    """`wish` is what was entered, once the form is valid."""

    below = _amount("When below", "Enter the balance below which to charge.")
    add = _amount("Add", "Enter what to add.")
    monthly = _amount("At most a month", "Enter the most for a month.")

    def clean_below(self) -> int:
        cents = self._cents("below")
        if cents == 0:
            raise forms.ValidationError("Enter an amount above zero.")
        if cents > settings.TOP_UP_MAXIMUM_CENTS:
            raise forms.ValidationError(f"At most {dollars(settings.TOP_UP_MAXIMUM_CENTS)}.")
        return cents

    def clean_add(self) -> int:
        cents = self._cents("add")
        if cents < settings.TOP_UP_MINIMUM_CENTS:
            raise forms.ValidationError(f"The smallest top-up is {dollars(settings.TOP_UP_MINIMUM_CENTS)}.")
        if cents > settings.TOP_UP_MAXIMUM_CENTS:
            raise forms.ValidationError(f"The largest top-up is {dollars(settings.TOP_UP_MAXIMUM_CENTS)}.")
        return cents

    def clean_monthly(self) -> int:
        cents = self._cents("monthly")
        add = self.cleaned_data.get("add")
        largest = min(LARGEST_MONTH_TIMES * settings.TOP_UP_MAXIMUM_CENTS, LARGEST_MONTH_CENTS)
        if add is not None and cents < add:
            raise forms.ValidationError("The most for a month has to allow one top-up.")
        if cents > largest:
            raise forms.ValidationError(f"At most {dollars(largest)}.")
        return cents

    @property
    def wish(self) -> Wish:
        given = self.cleaned_data
        return Wish(given["below"], given["add"], given["monthly"])

    def _cents(self, name: str) -> int:
        if hasattr(self.data, "getlist") and len(self.data.getlist(name)) > 1:
            raise forms.ValidationError("Send one amount.")
        try:
            return cents_from_text(self.cleaned_data[name])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


def bound(data: Any) -> AutoTopUpForm:
    return AutoTopUpForm(data, auto_id="auto_%s")


def on_wallet_page(mine: Wallet, form: AutoTopUpForm | None = None) -> dict[str, Any]:
    """For templates/wallet/auto_top_up.html."""
    wish = AutoTopUp.objects.filter(wallet=mine).first()
    card = SavedCard.objects.filter(wallet=mine).first()
    charged = auto_topups.charged_this_month_cents(mine.pk)
    latest = TopUp.objects.filter(wallet=mine, is_automatic=True).order_by("-created_at")
    return {
        "saved_card": card,
        "card_form_id": uuid.uuid4(),
        "card_is_expired": bool(card and card.expires and card.expires < timezone.now().date()),
        "auto": wish and Shown(wish, charged),
        "auto_form": form or _unbound(wish),
        "auto_seen": standing.name(mine),
        "auto_smallest": dollars(settings.TOP_UP_MINIMUM_CENTS),
        "auto_largest": dollars(settings.TOP_UP_MAXIMUM_CENTS),
        "auto_last": latest.first(),
        "auto_last_paid": latest.filter(state=TopUp.State.PAID).first(),
    }


@dataclass(frozen=True, slots=True)
class Shown:
    """What was agreed, in the units of the page."""

    wish: AutoTopUp
    charged_cents: int

    @property
    def state(self) -> str:
        if self.wish.is_on:
            return "paused" if self.wish.paused_for else "on"
        return "stopped" if self.wish.paused_for else "off"

    @property
    def add_nanousd(self) -> int:
        return self.wish.add_cents * NANO_PER_CENT

    @property
    def monthly_nanousd(self) -> int:
        return self.wish.monthly_cents * NANO_PER_CENT

    @property
    def charged_nanousd(self) -> int:
        return self.charged_cents * NANO_PER_CENT

    @property
    def left_nanousd(self) -> int:
        """What the month still allows; nothing where a lower sum was agreed meanwhile."""
        return max(self.monthly_nanousd - self.charged_nanousd, 0)

    @property
    def is_month_full(self) -> bool:
        return self.charged_cents + self.wish.add_cents > self.wish.monthly_cents


def _unbound(wish: AutoTopUp | None) -> AutoTopUpForm:
    smallest, largest = settings.TOP_UP_MINIMUM_CENTS, settings.TOP_UP_MAXIMUM_CENTS
    add = wish.add_cents if wish else min(max(ADD_CENTS, smallest), largest)
    below = wish.below_cents if wish else min(BELOW_CENTS, largest)
    monthly = wish.monthly_cents if wish else MONTHLY_TIMES * add
    initial = {"below": _typed(below), "add": _typed(add), "monthly": _typed(monthly)}
    return AutoTopUpForm(initial=initial, auto_id="auto_%s")


def _typed(cents: int) -> str:
    """As a person would type it into the form."""
    return f"{cents // 100}.{cents % 100:02}"
