"""Models that are paid per image, second or call, from our own data/per_use_models.toml."""

import tomllib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pricing.listings import UNDATED_FROM, Listing, NotExpressible, pico_per_unit
from pricing.models import Kind
from pricing.publishing import DatedRates
from pricing.units import PER_USE_UNITS

FILE = Path(__file__).parent / "data" / "per_use_models.toml"


def listings(file: Path = FILE) -> Iterator[Listing]:
    """The listings of `file`. Raises ValueError with the model's name where its entry is wrong."""
    with file.open("rb") as opened:
        data = tomllib.load(opened)
    for entry in data["models"]:
        provider = data["providers"][entry["provider"]]
        try:
            yield _listing(entry, provider)
        except (ArithmeticError, KeyError, NotExpressible) as error:
            raise ValueError(
                f"{file.name}: {entry.get('name', 'an entry without a name')}: {error}"
            ) from error


def _listing(entry: dict[str, Any], provider: dict[str, Any]) -> Listing:
    if entry["unit"] not in PER_USE_UNITS:
        raise NotExpressible(f"{entry['unit']} is no per-use unit")
    price = pico_per_unit(Decimal(entry["price"]), per=1)
    return Listing(
        name=entry["name"],
        provider_code=entry["provider"],
        provider=provider["title"],
        kind=Kind(entry["kind"]),
        title=entry["title"],
        description=entry.get("description", ""),
        source=_source(provider),
        history=(DatedRates(UNDATED_FROM, ((0, {entry["unit"]: price}),)),),
    )


def _source(provider: dict[str, Any]) -> str:
    read_on: date | None = provider.get("read_on")
    read = f"as of {read_on}" if read_on else "not read on the page, to be checked"
    return f"per_use_models.toml; {provider['source']}; {read}"
