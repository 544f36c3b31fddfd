"""The models of the first-party providers, from the data that the genai-prices package carries. No network.

Its entries are groups for matching names, with prices under conditions. Sold is what can be called by its
full name; dated conditions become dated prices; what our price list can't express keeps a model from sale.
Only the standard price of each model is taken: batch, flex, priority and fast prices depend on options of a
request that the gateway must not pass on.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
)

from pricing.listings import (
    CALLABLE_NAME,
    UNDATED_FROM,
    Listing,
    NotExpressible,
    check_sellable,
    kind_of,
    pico_per_unit,
)
from pricing.models import Kind
from pricing.publishing import DatedRates
from pricing.rating import Rates, resolve

# In this order: where two of them list one name, the first is its maker, or names its price in dollars.
FIRST_PARTIES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "deepseek": "DeepSeek",
    "mistral": "Mistral",
    "x-ai": "xAI",
    "moonshotai": "Moonshot AI",
    "minimax": "MiniMax",
    "cohere": "Cohere",
    "perplexity": "Perplexity",
    "zai": "Z.AI",
    "zhipuai": "Zhipu AI",
    "meta": "Meta",
    "voyageai": "Voyage AI",
    "elevenlabs": "ElevenLabs",
    "arcee": "Arcee",
    "typesafe": "TypeSafe",
}

# Their price field: our unit, and how many units the price is for.
UNIT_OF_FIELD = {
    "input_mtok": ("input_tokens", 1_000_000),
    "cache_read_mtok": ("cached_input_tokens", 1_000_000),
    "cache_write_mtok": ("cache_write_tokens", 1_000_000),
    "cache_write_5m_mtok": ("cache_write_tokens", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", 1_000_000),
    "output_mtok": ("output_tokens", 1_000_000),
    "output_reasoning_mtok": ("reasoning_tokens", 1_000_000),
    "input_audio_mtok": ("input_audio_tokens", 1_000_000),
    "cache_audio_read_mtok": ("cached_input_audio_tokens", 1_000_000),
    "output_audio_mtok": ("output_audio_tokens", 1_000_000),
    "input_image_mtok": ("input_image_tokens", 1_000_000),
    "cache_image_read_mtok": ("cached_input_image_tokens", 1_000_000),
    "output_image_mtok": ("output_image_tokens", 1_000_000),
    "input_mchars": ("characters", 1_000_000),
    "audio_hours": ("seconds", 3_600),
    "input_audio_hours": ("seconds", 3_600),
    "input_document_kpages": ("pages", 1_000),
    "web_searches_kcount": ("web_searches", 1_000),
    "storage_searches_kcount": ("storage_searches", 1_000),
    "requests_kcount": ("calls", 1_000),
}

_NAMES = Path(__file__).parent / "data" / "callable_names.toml"
# What the package says of a price that it took from another seller, and once it compared it with the maker's.
_NOT_THEIR_PRICE = "Imported from OpenRouter pricing"
_VERIFIED = "Verified against"


@dataclass(frozen=True, slots=True)
class Names:
    """What data/callable_names.toml says of one provider's names."""

    groups: dict[str, list[str]]
    unsold: dict[str, str]
    foreign: tuple[str, ...]
    not_theirs: frozenset[str]
    lowercase: bool

    def of(self, model: ModelInfo) -> list[str]:
        """The full names that `model` is called by; empty where none is known."""
        if model.id in self.groups:
            return self.groups[model.id]
        candidates = [model.id] if model.is_match(model.id) else []
        candidates += [name for name in _equal_names(model) if name != model.id]
        if self.lowercase:
            candidates.sort(key=lambda name: name != name.lower())
        names: dict[str, str] = {}
        for name in candidates:
            if CALLABLE_NAME.fullmatch(name) and name not in self.not_theirs:
                # Other sellers write 5-1 for 5.1; the provider's own spelling comes first and is kept.
                names.setdefault(name.lower().replace(".", "-"), name)
        return list(names.values())


def listings() -> Iterator[Listing]:
    """A listing for every name of the first-party providers, each name once."""
    by_id = {provider.id: provider for provider in providers}
    seen: set[str] = set()
    for code in FIRST_PARTIES:
        for model in by_id[code].models if code in by_id else ():
            for listing in _listings_of(by_id[code], model):
                if listing.name.lower() not in seen:
                    seen.add(listing.name.lower())
                    yield listing


def history_of(model: ModelInfo) -> tuple[DatedRates, ...]:
    """The standard prices of `model`, each from its date on; one that repeats the last is left out.

    Raises NotExpressible for a price that holds at some hours only, or in a unit that isn't ours.
    """
    moments = [UNDATED_FROM]
    for conditional in model.prices if isinstance(model.prices, list) else ():
        constraint = conditional.constraint
        if isinstance(constraint, StartDateConstraint):
            moments.append(datetime.combine(constraint.start_date, time.min, UTC))
        elif constraint is not None:
            raise NotExpressible("its price depends on the time of day")
    history: list[DatedRates] = []
    for moment in sorted(set(moments)):
        rates = rates_of(model.get_prices(moment))
        if not history or history[-1].rates != rates:
            history.append(DatedRates(moment, rates))
    return tuple(history)


def rates_of(price: ModelPrice) -> Rates:
    """Unit prices of one of their prices, tiers included. Raises NotExpressible."""
    tiers: dict[int, dict[str, int]] = {0: {}}
    for field, value in vars(price).items():
        if value is None:
            continue
        if field not in UNIT_OF_FIELD:
            raise NotExpressible(f"this price list has no unit for {field}")
        for above, amount in _tiers(value):
            unit, per = UNIT_OF_FIELD[field]
            pico = pico_per_unit(amount, per=per)
            if tiers.setdefault(above, {}).setdefault(unit, pico) != pico:
                raise NotExpressible(f"it has two different prices for {unit}")
    return resolve(tuple(tiers.items()))


def _tiers(value: Any) -> list[tuple[int, Any]]:
    if isinstance(value, TieredPrices):
        return [(0, value.base), *((tier.start, tier.price) for tier in value.tiers)]
    return [(0, value)]


def _listings_of(provider: Provider, model: ModelInfo) -> Iterator[Listing]:
    names = _names(provider.id)
    if model.id.startswith(names.foreign):
        return
    found = names.of(model)
    try:
        history, reason = _sellable_history(model), ""
        if not found:
            raise NotExpressible("it is a group of models, and no name of them that can be called is known")
    except NotExpressible as error:
        history, reason = (), str(error)
    for name in found or [model.id]:
        unsold = names.unsold.get(name) or names.unsold.get(model.id) or reason
        yield Listing(
            name=name,
            provider_code=provider.id,
            provider=FIRST_PARTIES[provider.id],
            kind=_kind_of(model),
            title=model.name or name,
            source=_source(provider),
            description=(model.description or "").strip(),
            context_window=model.context_window,
            is_deprecated=bool(model.deprecated),
            history=() if unsold else history,
            unsold_reason=unsold,
        )


def _sellable_history(model: ModelInfo) -> tuple[DatedRates, ...]:
    comments = model.price_comments or ""
    if _NOT_THEIR_PRICE in comments and _VERIFIED not in comments:
        raise NotExpressible("its maker publishes no price, only another seller does")
    history = history_of(model)
    check_sellable(_kind_of(model), history)
    return history


def _kind_of(model: ModelInfo) -> Kind:
    return kind_of(model.id)


def _equal_names(model: ModelInfo) -> list[str]:
    clauses = model.match.or_ if isinstance(model.match, ClauseOr) else [model.match]
    return [clause.equals for clause in clauses if isinstance(clause, ClauseEquals)]


def _source(provider: Provider) -> str:
    page = next(iter(provider.pricing_urls or []), "")
    return f"genai-prices {version('genai-prices')}, {page}".rstrip(", ")


@cache
def _names(provider_code: str) -> Names:
    with _NAMES.open("rb") as file:
        data = tomllib.load(file).get(provider_code, {})
    return Names(
        groups=data.get("groups", {}),
        unsold={name: reason for reason, names in data.get("unsold", {}).items() for name in names},
        foreign=tuple(data.get("foreign", [])),
        not_theirs=frozenset(data.get("not_theirs", [])),
        lowercase=bool(data.get("lowercase")),
    )
