"""The catalogue as its pages show it: found by words, provider and kind, with the prices charged now."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from pricing import calling, catalogue
from pricing.catalogue import SellableModel
from pricing.kept import Kept
from pricing.models import Kind
from pricing.rating import BASIS_POINTS, PriceTable
from pricing.units import UNITS

QUERY_LENGTH = 100

# Of customer groups, whose lists are kept at a time.
_MOST_MULTIPLIERS = 8
# The units that have a column of their own in the list; all others are told in words.
_COLUMNS = ("input_tokens", "cached_input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for. Empty means any."""

    text: str = ""
    provider: str = ""
    kind: str = ""

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> "Query":
        """A query from an address; too long a text is cut, nothing is an error."""
        return cls(
            text=" ".join(parameters.get("q", "")[:QUERY_LENGTH].split()),
            provider=parameters.get("provider", "")[:QUERY_LENGTH],
            kind=parameters.get("kind", "")[:QUERY_LENGTH],
        )

    def matches(self, model: SellableModel) -> bool:
        """Whether every word stands in the name, title or provider, and the filters fit."""
        if (self.provider and model.provider_code != self.provider) or (
            self.kind and model.kind != self.kind
        ):
            return False
        if not self.text:
            return True
        where = f"{model.name} {model.title} {model.provider}".casefold()
        return all(word in where for word in self.text.casefold().split())


@dataclass(frozen=True, slots=True)
class Row:
    """A model in the list, and its table row."""

    model: SellableModel
    html: SafeString


@dataclass(frozen=True, slots=True)
class Group:
    """A provider and its models."""

    code: str
    name: str
    rows: tuple[Row, ...]
    html: SafeString
    """All rows; joined once, since a template takes ten times as long for thousands of them."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All models for sale by name, what they can be filtered by as codes and names, and the list as HTML."""

    models: tuple[SellableModel, ...]
    providers: list[tuple[str, str]]
    kinds: list[tuple[str, str]]
    html: bytes


@dataclass(frozen=True, slots=True)
class UnitRow:
    """What a unit costs in each context tier: by the list, and for whom the page is."""

    unit: str
    prices: tuple[tuple[Decimal, Decimal], ...]


def groups(models: Iterable[SellableModel], *, at: datetime, group_bp: int = BASIS_POINTS) -> list[Group]:
    """The models by provider, both in the order of the alphabet, at the prices of a customer group with this multiplier."""
    by_provider: dict[tuple[str, str], list[Row]] = {}
    for model in models:
        table = model.price_at(at)
        if table is not None:
            by_provider.setdefault((model.provider, model.provider_code), []).append(
                Row(model, _row_html(model, table, group_bp))
            )
    return [
        Group(code, name, tuple(rows), SafeString("".join([row.html for row in rows])))
        for (name, code), rows in sorted(by_provider.items(), key=lambda item: item[0][0].casefold())
    ]


def whole(group_bp: int) -> Whole:
    """The whole list at the prices of a customer group; kept for as long as it is the same, for some multipliers."""
    return _whole_of(group_bp).current(lambda now: _whole(now, group_bp))


@functools.lru_cache(maxsize=_MOST_MULTIPLIERS)
def _whole_of(_group_bp: int) -> Kept[Whole]:
    return Kept()


def _whole(now: datetime, group_bp: int) -> Whole:
    models = tuple(catalogue.sellable(at=now))
    return Whole(
        models,
        _providers(models),
        _kinds(models),
        html_of(groups(models, at=now, group_bp=group_bp), len(models)),
    )


def html_of(found: list[Group], total: int) -> bytes:
    """The list as the page shows it: these, of `total` models."""
    context = {"groups": found, "found": sum(len(group.rows) for group in found), "total": total}
    return render_to_string("pricing/pricing.html#found", context).encode()


def unit_rows(listed: PriceTable, *, own: PriceTable) -> list[UnitRow]:
    """The unit prices of a table, a row for each unit, a pair for each tier: the list's price, and the reader's own."""
    tiers = [prices for _, prices in listed.rates]
    return [
        UnitRow(
            unit,
            tuple((listed.charged_picousd(each[unit]), own.charged_picousd(each[unit])) for each in tiers),
        )
        for unit in UNITS
        if unit in tiers[0]
    ]


def _providers(models: Iterable[SellableModel]) -> list[tuple[str, str]]:
    """Codes and names of the providers of `models`, to choose from."""
    return sorted(
        {(model.provider_code, model.provider) for model in models}, key=lambda item: item[1].casefold()
    )


def _kinds(models: Iterable[SellableModel]) -> list[tuple[str, str]]:
    """Codes and names of the kinds of `models`, to choose from."""
    present = {model.kind for model in models}
    return [(kind.value, str(kind.label)) for kind in Kind if kind.value in present]


# Rendering rows is most of what the page costs, so each is kept as long as the catalogue keeps its model.
# By the multiplier of the reader's group, of which there are few at a time.
_rendered: dict[int, dict[str, tuple[SellableModel, int, SafeString]]] = {}


def _row_html(model: SellableModel, table: PriceTable, group_bp: int) -> SafeString:
    if group_bp not in _rendered and len(_rendered) >= _MOST_MULTIPLIERS:
        _rendered.clear()
    rows = _rendered.setdefault(group_bp, {})
    kept = rows.get(model.name)
    # Equal rather than the same: the catalogue makes its models anew when one of them changed.
    if kept and kept[0] == model and kept[1] == table.version_id:
        return kept[2]
    html = render_to_string("pricing/pricing.html#row", _columns(model, table.with_rate(group_bp)))
    rows[model.name] = (model, table.version_id, html)
    return html


def _columns(model: SellableModel, table: PriceTable) -> dict[str, Any]:
    base = table.rates[0][1]
    charged = {unit: table.charged_picousd(base[unit]) for unit in UNITS if unit in base}
    return {
        "model": model,
        "address": calling.address_of(model, table),
        "prices": [(unit, charged.get(unit)) for unit in _COLUMNS],
        "others": [(unit, price) for unit, price in charged.items() if UNITS[unit].is_per_use],
        "tier": table.rates[1][0] if len(table.rates) > 1 else 0,
    }
