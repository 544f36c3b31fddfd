"""What a price list offers: one listing for each name that can be called, or that can't be sold and why."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from pricing.models import Kind
from pricing.money import PICO_PER_USD
from pricing.publishing import DatedRates, complete
from pricing.rating import Rates, is_complete

# A price without a date has always been in force, as far as this product is concerned.
UNDATED_FROM = datetime(2020, 1, 1, tzinfo=UTC)

CALLABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,198}[A-Za-z0-9]")

_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    (Kind.EMBEDDING, frozenset({"embed", "embedding", "voyage"})),
    (Kind.DOCUMENT, frozenset({"ocr"})),
    (Kind.IMAGE, frozenset({"image", "banana"})),
    (Kind.VIDEO, frozenset({"video", "omni", "veo"})),
    (
        Kind.SPEECH,
        frozenset(
            {"audio", "live", "realtime", "transcribe", "translate", "tts", "voice", "voxtral", "whisper"}
        ),
    ),
)


class NotExpressible(ValueError):
    """A price that unit prices with effective-from times can't express; the text completes "because ..."."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A model as a price list has it. `unsold_reason` is empty where it can be sold."""

    name: str
    provider_code: str
    provider: str
    kind: Kind
    title: str
    source: str
    description: str = ""
    context_window: int | None = None
    is_deprecated: bool = False
    history: tuple[DatedRates, ...] = ()
    """In the order of their times; empty where the model is not for sale."""
    unsold_reason: str = ""

    def rates_at(self, moment: datetime) -> Rates:
        """The listed rates in force at `moment`, as they would be stored."""
        begun = [dated.rates for dated in self.history if dated.effective_from <= moment]
        return complete(begun[-1]) if begun else ()


def kind_of(name: str) -> Kind:
    """The kind that a model's name speaks of; text where it says nothing."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((kind for kind, marks in _KINDS if words & marks), Kind.TEXT)


def pico_per_unit(price: Decimal, *, per: int) -> int:
    """Pico-dollars for one unit where `per` units cost `price` dollars; NotExpressible for a fraction."""
    pico = Fraction(price) * PICO_PER_USD / per
    if pico.denominator != 1:
        raise NotExpressible(f"${price} for {per:,} is no whole number of pico-dollars each")
    return pico.numerator


def check_sellable(kind: Kind, history: tuple[DatedRates, ...]) -> None:
    """Raise NotExpressible where any of the prices is incomplete."""
    if not all(is_complete(dated.rates, is_embedding=kind is Kind.EMBEDDING) for dated in history):
        raise NotExpressible("the list names no price for input and output, nor one per use")
