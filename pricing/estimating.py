"""What a call would cost: models and quantities as people type them, rated by the code that charges. Stores nothing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pricing import catalogue, examples
from pricing.catalogue import SellableModel
from pricing.models import Kind
from pricing.rating import PriceTable, RatingError, Receipt, rate, total_input_tokens
from pricing.units import UNITS, Unit

MOST_MODELS = 4
NAME_LENGTH = 200
TOO_MANY = f"At most {MOST_MODELS} models are compared; this is one too many."

_LABELS = {"input_tokens": "Prompt length", "output_tokens": "Answer length"}
# What static/js/pricing.js counts in a pasted text.
_LENGTHS = frozenset({"input_tokens", "characters"})
_WHOLE = re.compile(r"[0-9]{1,20}")
# Before a model is chosen, these are asked for.
_USUAL = {"input_tokens": 1_000, "output_tokens": 500}


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that somebody chose, and the prices it has for them."""

    model: SellableModel
    table: PriceTable

    @property
    def kind(self) -> str:
        """For people."""
        return str(Kind(self.model.kind).label)


@dataclass(frozen=True, slots=True)
class Choice:
    """A name as it was typed: an offer, or an error to show beside it, or nothing where it is empty."""

    name: str
    offer: Offer | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A quantity as it was typed; 0 where it is empty or wrong."""

    unit: Unit
    text: str
    quantity: int = 0
    error: str = ""

    @property
    def label(self) -> str:
        return _LABELS.get(self.unit.code, self.unit.label)

    @property
    def of(self) -> str:
        """What is counted, where the label does not say it."""
        return str(self.unit.family) if self.unit.family == "tokens" else ""


@dataclass(frozen=True, slots=True)
class Quantities:
    """The fields of the form: those that a usual call has, and all others that the models have prices for."""

    main: tuple[Field, ...]
    more: tuple[Field, ...]

    @property
    def usage(self) -> dict[str, int]:
        return {field.unit.code: field.quantity for field in (*self.main, *self.more)}

    @property
    def is_wrong(self) -> bool:
        return any(field.error for field in (*self.main, *self.more))

    @property
    def takes_text(self) -> bool:
        """Whether the length of a text is one of them."""
        return not _LENGTHS.isdisjoint(self.usage)

    @property
    def has_more(self) -> bool:
        """Whether one of the rarer quantities is in use, so that it isn't hidden."""
        return any(field.quantity or field.error for field in self.more)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The receipt of a call that was not made; or why it can't be rated."""

    offer: Offer
    receipt: Receipt | None
    problem: str
    left_out: tuple[Unit, ...]
    """What was typed and the model has no price for."""
    is_too_long: bool
    """More input than the model's context window holds."""


def chosen(names: Iterable[str], *, at: datetime, group_bp: int) -> list[Choice]:
    """The models of these names with what a customer of this multiplier pays. Each counts once; empty ones are dropped.

    Of those past the most, the first is there with an error.
    """
    distinct = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    found = [_choice(name, at, group_bp) for name in distinct[:MOST_MODELS]]
    return found + [Choice(name[:NAME_LENGTH], error=TOO_MANY) for name in distinct[MOST_MODELS:][:1]]


def offers(choices: Iterable[Choice]) -> list[Offer]:
    return [choice.offer for choice in choices if choice.offer is not None]


def quantities(parameters: Mapping[str, str], of: Sequence[Offer]) -> Quantities:
    """The fields that fit these models, with what was typed; what was not asked yet has a typical call's quantity."""
    usual = _usual(of)
    priced = {unit for offer in of for unit in offer.table.rates[0][1]} or set(usual)
    fields = {
        code: _field(unit, parameters.get(code), usual.get(code, 0))
        for code, unit in UNITS.items()
        if code in priced
    }
    return Quantities(
        tuple(field for code, field in fields.items() if code in usual),
        tuple(field for code, field in fields.items() if code not in usual),
    )


def estimate(offer: Offer, usage: Mapping[str, int]) -> Estimate:
    """What a call with this usage would be charged, of the units that the model has a price for."""
    base = offer.table.rates[0][1]
    rated = {unit: quantity for unit, quantity in usage.items() if unit in base}
    left_out = tuple(UNITS[unit] for unit, quantity in usage.items() if quantity and unit not in base)
    window = offer.model.context_window
    try:
        receipt, problem = rate(rated, offer.table), ""
    except RatingError as error:
        receipt, problem = None, str(error)
    is_too_long = window is not None and total_input_tokens(rated) > window
    return Estimate(offer, receipt, problem, left_out, is_too_long)


def _choice(name: str, at: datetime, group_bp: int) -> Choice:
    model = catalogue.find(name, at=at)
    table = model.price_at(at) if model else None
    if model is None or table is None:
        return Choice(name[:NAME_LENGTH], error="There is no model of this name for sale.")
    return Choice(name, Offer(model, table.with_rate(group_bp)))


def _usual(of: Sequence[Offer]) -> dict[str, int]:
    """Of a typical call of each model; where they differ in how much of a unit, as the first one has it."""
    found: dict[str, int] = {}
    for offer in of:
        found = {**examples.usage_of(offer.model.kind, offer.table), **found}
    return found or dict(_USUAL)


def _field(unit: Unit, text: str | None, usual: int) -> Field:
    if text is None:
        return Field(unit, str(usual) if usual else "", usual)
    text = text.strip()
    if not text:
        return Field(unit, "")
    digits = text.replace(",", "")
    if not _WHOLE.fullmatch(digits):
        is_negative = re.fullmatch(r"[-−][0-9]+", digits)
        said = "Enter 0 or more." if is_negative else "Write a whole number in digits, for example 1000."
        return Field(unit, text[:40], error=said)
    if int(digits) > unit.bound:
        return Field(unit, text[:40], error=f"Enter at most {unit.bound:,}.")
    return Field(unit, text, int(digits))
