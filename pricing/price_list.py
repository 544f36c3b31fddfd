"""All prices for machines, exact: as JSON and as CSV. Public.

A price is the integer of pico-dollars for one unit, before the multiplier of its version; beside it stands what a unit is
charged with it, exact, in dollars as a decimal string. Members of customer groups pay these times their group's rate.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from pricing import catalogue
from pricing.api import endpoints_of, success
from pricing.browsers import for_any_site
from pricing.catalogue import DatedTable, SellableModel
from pricing.kept import Body, Kept, answer
from pricing.rating import PriceTable
from pricing.spreadsheets import cell
from pricing.units import UNITS

IN_FORCE, COMING = "in force", "coming"
COLUMNS = (
    "model",
    "provider",
    "kind",
    "context_window",
    "max_output_tokens",
    "status",
    "price_version",
    "effective_from",
    "multiplier_bp",
    "above_input_tokens",
    "unit",
    "price_picousd_per_unit",
    "charged_usd_per_unit",
)

_json, _csv = Kept[Body](), Kept[Body]()


@for_any_site
def as_json(request: HttpRequest) -> HttpResponse:
    """Every model for sale with the version in force and those to come."""
    return answer(request, _json.current(_json_body))


@for_any_site
def as_csv(request: HttpRequest) -> HttpResponse:
    """The same, a row for each price."""
    found = answer(request, _csv.current(_csv_body))
    found["Content-Disposition"] = 'attachment; filename="pricing.csv"'
    return found


def _json_body(now: datetime) -> Body:
    return success([_model(model, now) for model in catalogue.sellable(at=now)])


def _model(model: SellableModel, now: datetime) -> dict[str, Any]:
    current, coming = _versions(model, now)
    return {
        "id": model.name,
        "name": model.title or model.name,
        "provider": model.provider,
        "provider_code": model.provider_code,
        "kind": model.kind,
        "is_deprecated": model.is_deprecated,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "endpoints": endpoints_of(model, current.table),
        "page": f"{settings.SITE_URL}{reverse('model', args=[model.name])}",
        "price": _version(current),
        "coming": [_version(version) for version in coming],
    }


def _version(version: DatedTable) -> dict[str, Any]:
    return {
        "price_version": version.table.version_id,
        "effective_from": _moment(version),
        "multiplier_bp": version.table.multiplier_bp,
        "tiers": [
            {"above_input_tokens": above, "prices": _prices(version.table, prices)}
            for above, prices in version.table.rates
        ],
    }


def _prices(table: PriceTable, prices: Mapping[str, int]) -> dict[str, Any]:
    return {
        unit: {"price_picousd_per_unit": prices[unit], "charged_usd_per_unit": _charged(table, prices[unit])}
        for unit in UNITS
        if unit in prices
    }


def _csv_body(now: datetime) -> Body:
    text = io.StringIO()
    write = csv.writer(text).writerow
    write(COLUMNS)
    for model in catalogue.sellable(at=now):
        for row in _rows(model, now):
            write([cell(value) for value in row])
    return Body.of(text.getvalue().encode(), "text/csv; charset=utf-8")


def _rows(model: SellableModel, now: datetime) -> Iterator[tuple[object, ...]]:
    """In the order of COLUMNS."""
    current, coming = _versions(model, now)
    about = (model.name, model.provider, model.kind, model.context_window, model.max_output_tokens)
    for version in (current, *coming):
        table = version.table
        dated = (
            IN_FORCE if version is current else COMING,
            table.version_id,
            _moment(version),
            table.multiplier_bp,
        )
        for above, prices in table.rates:
            for unit in UNITS:
                if unit in prices:
                    yield (*about, *dated, above, unit, prices[unit], _charged(table, prices[unit]))


def _versions(model: SellableModel, now: datetime) -> tuple[DatedTable, list[DatedTable]]:
    """The version in force, and those to come."""
    current = model.version_at(now)
    assert current is not None  # It is for sale.
    return current, [version for version in model.versions if version.effective_from > now]


def _moment(version: DatedTable) -> str:
    return version.effective_from.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _charged(table: PriceTable, picousd: int) -> str:
    """Dollars for one unit with the multiplier, exact, without an exponent and without zeros at the end."""
    digits = format(Decimal(table.charged_picousd(picousd)).scaleb(-12), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
