"""What staff may do to prices and customer groups: the words of the pages. What happens is in wallet/prices.py."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import audit
from accounts.acting import Act, ActForm
from accounts.audit import Instruction
from accounts.models import User
from pricing.models import MAX_MULTIPLIER_BP, CustomerGroup, Model
from pricing.multipliers import Multipliers
from pricing.publishing import notice_in_words, rise_notice
from pricing.rating import BASIS_POINTS
from wallet import prices
from wallet.models import Wallet

_MULTIPLIER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")
_MOMENT = "%Y-%m-%d %H:%M"


def times(multiplier_bp: int) -> str:
    whole, part = divmod(multiplier_bp, BASIS_POINTS)
    return f"× {whole}.{part:04}"


class MultiplierForm(ActForm):
    """`cleaned_data["multiplier"]` is basis points."""

    multiplier = forms.CharField(
        label="Multiplier",
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="1 changes nothing, 1.2 adds a fifth, 0.9 takes a tenth off.",
        error_messages={"required": "Enter a multiplier."},
    )
    field_order: Sequence[str] = ("request_id", "multiplier", "reason")

    def clean_multiplier(self) -> int:
        text = str(self.cleaned_data["multiplier"]).strip()
        if not _MULTIPLIER.fullmatch(text):
            raise forms.ValidationError("Write it in digits with at most four decimals, for example 1.25.")
        whole, _, part = text.partition(".")
        multiplier_bp = int(whole) * BASIS_POINTS + int(part.ljust(4, "0"))
        if not 1 <= multiplier_bp <= MAX_MULTIPLIER_BP:
            raise forms.ValidationError(
                f"A multiplier lies between 0.0001 and {MAX_MULTIPLIER_BP // BASIS_POINTS}."
            )
        return multiplier_bp


class DatedForm(MultiplierForm):
    """`cleaned_data["effective_from"]` has its zone."""

    effective_from = forms.DateTimeField(
        label="From (UTC)",
        input_formats=[_MOMENT, "%Y-%m-%dT%H:%M"],
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="As in 2026-12-01 00:00. What makes a price fall may begin in two minutes.",
        error_messages={
            "required": "Enter from when on.",
            "invalid": "Write a day and a time that exist, as in 2026-12-01 00:00.",
        },
    )
    field_order = ("request_id", "multiplier", "effective_from", "reason")


class NewGroupForm(MultiplierForm):
    name = forms.CharField(
        label="Name",
        max_length=80,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Its members read it on their price list and receipts.",
        error_messages={"required": "Give the group a name."},
    )
    field_order = ("request_id", "name", "multiplier", "reason")


class JoinForm(ActForm):
    group = forms.ModelChoiceField(
        CustomerGroup.objects.order_by("name"),
        widget=UnfoldAdminSelectWidget,
        error_messages={"required": "Choose a group.", "invalid_choice": "There is no such group."},
    )
    field_order = ("request_id", "group", "reason")


def may(actor: User, row: object) -> bool:
    return audit.may(actor, prices.PERMISSION)


def _rising(what: str) -> Callable[[], str]:
    """The notice is read when the page is shown."""
    return lambda: (
        f"{what} What makes a price rise begins {notice_in_words()} from now at the earliest; who used the model is told"
        " by mail."
    )


def _first_midnight(row: object) -> dict[str, Any]:
    """The first one that leaves time enough."""
    day = (timezone.now() + rise_notice()).astimezone(UTC).date() + timedelta(days=1)
    return {"effective_from": datetime.combine(day, time(), UTC).strftime(_MOMENT)}


def _of_model(model: Model) -> list[tuple[str, object]]:
    now, all_of_them = timezone.now(), Multipliers.load()
    provider = all_of_them.at(now, provider_code=model.provider_code, model_id=None)
    both = all_of_them.at(now, provider_code=model.provider_code, model_id=model.pk)
    return [
        ("Model", model),
        ("Provider", f"{model.provider} ({model.provider_code})"),
        ("Markup of the provider now", times(provider)),
        ("With that of the model", times(both)),
    ]


def _of_group(group: CustomerGroup) -> list[tuple[str, object]]:
    if group._state.adding:
        return []
    rates = group.rates.order_by("-effective_from")
    told = [(f"From {rate.effective_from:{_MOMENT}} UTC", times(rate.multiplier_bp)) for rate in rates[:5]]
    return [("Group", group), ("Members", group.wallets.count()), *told]


def _of_wallet(wallet: Wallet) -> list[tuple[str, object]]:
    return [("Wallet", f"{wallet.pk} of {wallet.owner}"), ("Group", wallet.customer_group or "none")]


def _since(sent: dict[str, Any]) -> str:
    return f"{times(sent['multiplier'])} from {sent['effective_from']:{_MOMENT}} UTC on"


def _mark_up_model(by: Instruction, model: Model, sent: dict[str, Any]) -> str:
    prices.mark_up_model(by, model, sent["multiplier"], sent["effective_from"])
    return f"{model} is listed {_since(sent)}."


def _mark_up_provider(by: Instruction, model: Model, sent: dict[str, Any]) -> str:
    prices.mark_up_provider(by, model, sent["multiplier"], sent["effective_from"])
    return f"All models of {model.provider} are listed {_since(sent)}."


def _create(by: Instruction, group: CustomerGroup, sent: dict[str, Any]) -> str:
    made = prices.create_group(by, sent["name"], sent["multiplier"])
    group.pk = made.pk
    return f"There is a group {made} now, which pays {times(sent['multiplier'])}."


def _change_rate(by: Instruction, group: CustomerGroup, sent: dict[str, Any]) -> str:
    prices.change_rate(by, group, sent["multiplier"], sent["effective_from"])
    return f"{group} pays {_since(sent)}."


def _join(by: Instruction, wallet: Wallet, sent: dict[str, Any]) -> str:
    prices.join(by, wallet, sent["group"])
    return f"{wallet} belongs to {sent['group']}."


def _leave(by: Instruction, wallet: Wallet, _: dict[str, Any]) -> str:
    prices.leave(by, wallet)
    return f"{wallet} pays the list's prices."


MARK_UP_MODEL = Act[Model](
    title="Markup of a model",
    button="Markup of the model",
    path="mark-up",
    explained=_rising("It multiplies with that of the provider, in new price versions from that moment on."),
    do=_mark_up_model,
    may=may,
    facts=_of_model,
    form=DatedForm,
    initial=_first_midnight,
)
MARK_UP_PROVIDER = Act[Model](
    title="Markup of a provider, seen from its model",
    button="Markup of the provider",
    path="mark-up-provider",
    explained=_rising("All models of the provider get new price versions from that moment on."),
    do=_mark_up_provider,
    may=may,
    facts=_of_model,
    form=DatedForm,
    initial=_first_midnight,
)
CREATE_GROUP = Act[CustomerGroup](
    title="Create",
    button="Create the group",
    path="create",
    explained=lambda: (
        "Wallets are put into it on their own pages. Its rate can be changed later, from a date on."
    ),
    do=_create,
    may=may,
    facts=_of_group,
    form=NewGroupForm,
)
CHANGE_RATE = Act[CustomerGroup](
    title="Change the rate",
    button="Change the rate",
    path="rate",
    explained=_rising("Members pay the listed prices times this, for calls that start from that moment on."),
    do=_change_rate,
    may=may,
    facts=_of_group,
    form=DatedForm,
    initial=_first_midnight,
)
JOIN = Act[Wallet](
    title="Put into a customer group",
    button="Put into a group",
    path="join-group",
    explained=lambda: "It pays the group's rate from its next call on, and leaves any other group.",
    do=_join,
    may=may,
    facts=_of_wallet,
    form=JoinForm,
)
LEAVE = Act[Wallet](
    title="Take out of its customer group",
    button="Take out of its group",
    path="leave-group",
    explained=lambda: "It pays the list's prices from its next call on.",
    do=_leave,
    may=may,
    is_offered=lambda wallet: wallet.customer_group_id is not None,
    facts=_of_wallet,
)
