"""What people type about their keys: the name, which is enough, and everything that a key may be limited to."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from pricing.models import Model
from pricing.money import NANO_PER_CENT, cents_from_text, usd
from tokens import keys, masking, reading
from tokens.keys import Rules
from tokens.models import ApiKey

Kind, Period = ApiKey.Kind, ApiKey.Period

KINDS = {
    Kind.INFERENCE: "For your programs: calls models and spends from your wallet. It can ask for its balance too.",
    Kind.QUERY: "For a dashboard or a status bar: sees balance and usage. It can never make a call, so it is safe"
    " where many people could read it.",
    Kind.ACCOUNT: "For command-line tools that list your tokens, logs and tasks. It reads all of your account, and"
    " never makes a call.",
}
LABELS = {
    Kind.INFERENCE: "Calls models",
    Kind.QUERY: "Asks for the balance only",
    Kind.ACCOUNT: "Reads the account (access token)",
}
ON_A_DATE = "on"
LIFETIMES = {"1": "In 1 day", "7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
LIMITS = {"requests_per_minute": 1_000_000, "tokens_per_minute": 10**12, "calls_in_flight": 100_000}
# Of these kinds nothing but the expiry is a rule.
ONLY_FOR_CALLS = (
    "limit", "period", "period_limit", "models", "networks", "requests_per_minute", "tokens_per_minute", "calls_in_flight",
)  # fmt: skip


def _text(label: str, *, help_text: str = "", longest: int = 40, **attributes: str | int) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", **attributes})
    return forms.CharField(
        label=label, required=False, max_length=longest, help_text=help_text, widget=widget
    )


def _lines(label: str, *, help_text: str, longest: int, **attributes: str | int) -> forms.CharField:
    """Not stripped, since errors name lines by their number."""
    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off", **attributes})
    return forms.CharField(
        label=label, required=False, max_length=longest, help_text=help_text, widget=widget, strip=False
    )


class NameForm(forms.Form):
    """The name of a key, new or not."""

    name = forms.CharField(
        error_messages={"required": "Give the key a name, so that you recognise it later."},
        widget=forms.TextInput(
            attrs={"maxlength": keys.LONGEST_NAME, "autocomplete": "off", "placeholder": "My app"}
        ),
    )

    def clean_name(self) -> str:
        name = _sentence(keys.clean_name, self.cleaned_data["name"])
        return _without_key(name)


class KeyForm(NameForm):
    """A key's name and rules. Of an existing key what is not sent, or sent as it was shown, stays as it is."""

    kind = forms.ChoiceField(
        label="Kind",
        required=False,
        choices=list(LABELS.items()),
        initial=Kind.INFERENCE,
        widget=forms.RadioSelect,
    )
    expires = forms.ChoiceField(
        label="Expires",
        required=False,
        choices=[("", "Never"), *LIFETIMES.items(), (ON_A_DATE, "On a date")],
    )
    expires_on = _text(
        "Date and time",
        help_text="A date alone is good until its end.",
        placeholder="2026-12-31 18:00",
    )
    time_zone = _text("Time zone", help_text="That of the date, such as UTC or Europe/Berlin.", longest=64)
    limit = _text(
        "Over its whole life, in dollars",
        help_text="It stops when it has spent this; a running call may go over it.",
        inputmode="decimal",
        placeholder="No limit",
    )
    period_limit = _text("Again and again, in dollars", inputmode="decimal", placeholder="No limit")
    period = forms.ChoiceField(
        label="Each",
        required=False,
        choices=[("", "–"), (Period.DAY, "Day"), (Period.WEEK, "Week"), (Period.MONTH, "Month")],
        help_text="Days begin at 00:00 UTC, weeks on Monday, months on the first.",
    )
    models = _lines(
        "Models",
        help_text="Full names, one a line. Empty: every model, new ones too.",
        longest=50_000,
        placeholder="gpt-4o",
    )
    networks = _lines(
        "Addresses that calls may come from",
        help_text="IPv4 or IPv6, single or as a range, one a line. Empty: from everywhere.",
        longest=20_000,
        placeholder="203.0.113.0/24",
    )
    requests_per_minute = _text("Calls a minute", inputmode="numeric", placeholder="No limit")
    tokens_per_minute = _text("LLM tokens a minute", inputmode="numeric", placeholder="No limit")
    calls_in_flight = _text("Calls at once", inputmode="numeric", placeholder="No limit")
    notes = _lines(
        "Notes",
        help_text="For yourself: where it is used, who to ask.",
        longest=1000,
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, key: ApiKey | None = None) -> None:
        self.key = key
        self.known_models = _names_of(key)
        shown = _shown(key, self.known_models) if key else {"time_zone": "UTC"}
        if key and data is not None:
            data = shown | {name: data[name] for name in shown if name in data}
        super().__init__(data, initial=shown)

    @property
    def has_more(self) -> bool:
        """Whether anything but the name was said, or is wrong."""
        return any(name in self.errors or name in self.changed_data for name in self.fields if name != "name")

    @property
    def chosen_kind(self) -> ApiKey.Kind:
        return Kind(self.key.kind if self.key else self.cleaned_data.get("kind") or Kind.INFERENCE)

    @property
    def rules(self) -> Rules:
        """Of a form that is valid."""
        return Rules(**{column: self.cleaned_data[name] for name, column in COLUMNS.items()})

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or Kind.INFERENCE

    def clean_limit(self) -> int | None:
        return self._read("limit", _nanousd)

    def clean_period_limit(self) -> int | None:
        return self._read("period_limit", _nanousd)

    def clean_requests_per_minute(self) -> int | None:
        return self._count("requests_per_minute")

    def clean_tokens_per_minute(self) -> int | None:
        return self._count("tokens_per_minute")

    def clean_calls_in_flight(self) -> int | None:
        return self._count("calls_in_flight")

    def clean_models(self) -> list[int] | None:
        return self._read("models", lambda text: reading.models(text, self.known_models))

    def clean_networks(self) -> list[str] | None:
        return self._read("networks", reading.networks)

    def clean_notes(self) -> str:
        return _without_key(self.cleaned_data["notes"].replace("\r\n", "\n").strip())

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["expires_at"] = self._expiry()
        self._check_period()
        if self.chosen_kind != Kind.INFERENCE:
            for name in ONLY_FOR_CALLS:
                if self.cleaned_data.get(name):
                    self.add_error(name, "Only a key that calls models has this limit. Empty it.")
        return self.cleaned_data

    def _expiry(self) -> datetime | None:
        chosen, now = self.cleaned_data.get("expires", ""), timezone.now()
        if chosen in LIFETIMES:
            return now + timedelta(days=int(chosen))
        if chosen != ON_A_DATE:
            return None
        if self.key and not {"expires", "expires_on", "time_zone"} & set(self.changed_data):
            return self.key.expires_at
        try:
            zone = self.cleaned_data.get("time_zone") or "UTC"
            return reading.moment(self.cleaned_data.get("expires_on", ""), zone, now)
        except reading.NoZone as error:
            self.add_error("time_zone", str(error))
        except ValueError as error:
            self.add_error("expires_on", str(error))
        return None

    def _check_period(self) -> None:
        if {"period", "period_limit"} & set(self.errors):
            return
        period, limit = self.cleaned_data["period"], self.cleaned_data["period_limit"]
        if limit is not None and not period:
            self.add_error("period", "Choose day, week or month for this limit.")
        elif period and limit is None:
            self.add_error("period_limit", "Write how much, or choose no period.")

    def _count(self, name: str) -> int | None:
        return self._read(name, lambda text: reading.whole(text, largest=LIMITS[name]))

    def _read[T](self, name: str, read: Callable[[str], T]) -> T | None:
        """What was typed. What an existing key's form had shown stays as exactly as it is, however it can be shown."""
        if self.key and name not in self.changed_data:
            kept: T | None = getattr(self.key, COLUMNS[name])
            return kept
        text = self.cleaned_data[name]
        return _sentence(read, text) if text.strip() else None


# Fields and the rules that they are.
COLUMNS = {
    "notes": "notes",
    "expires_at": "expires_at",
    "limit": "limit_nanousd",
    "period": "period",
    "period_limit": "period_limit_nanousd",
    "models": "model_ids",
    "networks": "networks",
    "requests_per_minute": "requests_per_minute",
    "tokens_per_minute": "tokens_per_minute",
    "calls_in_flight": "calls_in_flight",
}


def _sentence[T](read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error


def _without_key(text: str) -> str:
    if masking.holds_key(text):
        raise forms.ValidationError(masking.HOLDS_KEY)
    return text


def _nanousd(text: str) -> int:
    cents = cents_from_text(text.removeprefix("$"))
    if cents == 0:
        raise ValueError("Zero would let nothing through. Leave it empty for no limit, or disable the key.")
    return cents * NANO_PER_CENT


def _names_of(key: ApiKey | None) -> dict[str, int]:
    ids = key.model_ids if key else None
    return dict(Model.objects.filter(pk__in=ids).order_by("name").values_list("name", "pk")) if ids else {}


def _shown(key: ApiKey, models: Mapping[str, int]) -> dict[str, str]:
    """A key as its form shows it."""
    expires_at = key.expires_at
    return {
        "name": key.name,
        "kind": key.kind,
        "expires": ON_A_DATE if expires_at else "",
        "expires_on": f"{expires_at:%Y-%m-%d %H:%M}" if expires_at else "",
        "time_zone": "UTC",
        "limit": _dollars(key.limit_nanousd),
        "period": key.period,
        "period_limit": _dollars(key.period_limit_nanousd),
        "models": "\n".join(models),
        "networks": "\n".join(key.networks or ()),
        "requests_per_minute": _number(key.requests_per_minute),
        "tokens_per_minute": _number(key.tokens_per_minute),
        "calls_in_flight": _number(key.calls_in_flight),
        "notes": key.notes,
    }


def _dollars(nanousd: int | None) -> str:
    return "" if nanousd is None else usd(nanousd).removeprefix("$").replace(",", "")


def _number(number: int | None) -> str:
    return "" if number is None else str(number)
