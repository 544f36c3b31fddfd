"""The only writer of price versions.

A version is written whole and never changed; a new price is a new version. The price of a model that already
has one changes at the earliest CHANGE_NOTICE after it is written, because every process keeps the price list
in memory for some seconds (pricing.catalogue), and a call must never be rated from an outdated one. The first
prices of a new model may lie in the past: nobody can have called it yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from pricing.models import MAX_MULTIPLIER_BP, MAX_PRICE_PICOUSD, Model, Origin, PriceVersion, UnitPrice
from pricing.rating import BASIS_POINTS, Rates, resolve
from pricing.units import UNITS

CHANGE_NOTICE = timedelta(seconds=60)

# What a unit costs where the provider names no price of its own for it.
_PRICED_AS = {
    "cached_input_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
    "cached_input_audio_tokens": "input_audio_tokens",
    "cached_input_image_tokens": "input_image_tokens",
}


class PublishingError(ValueError):
    """A price that can't be published; the text says why, for staff."""


@dataclass(frozen=True, slots=True)
class DatedRates:
    """Prices and the moment from which they hold."""

    effective_from: datetime
    rates: Rates


def publish(
    model: Model,
    rates: Rates,
    *,
    effective_from: datetime,
    source: str,
    multiplier_bp: int = BASIS_POINTS,
    origin: Origin = Origin.STAFF,
) -> PriceVersion:
    """Write the version of `model` that is in force from `effective_from` on, and return it.

    Where the version in force at that moment has the same prices and multiplier, that one is returned and
    nothing is written. Locks the model's row, so that two writers can't both write the same change; keep the
    surrounding transaction short, the notice counts from here. Raises PublishingError for bad rates, for a
    change on short notice, and for a second version at the same moment.
    """
    rates = complete(rates)
    check(rates, multiplier_bp=multiplier_bp)
    with transaction.atomic():
        locked = Model.objects.select_for_update().get(pk=model.pk)
        versions = list(locked.price_versions.order_by("effective_from").prefetch_related("unit_prices"))
        current = in_force(versions, effective_from)
        if current and current.multiplier_bp == multiplier_bp and rates_of(current) == rates:
            return current
        _check_moment(versions, effective_from)
        version = PriceVersion(
            model=locked,
            effective_from=effective_from,
            multiplier_bp=multiplier_bp,
            origin=origin,
            source=source[:300],
        )
        _write([(version, rates)])
    return version


def publish_new(models: Sequence[tuple[Model, Sequence[DatedRates]]], *, source: str, origin: Origin) -> None:
    """Write models that don't exist yet, each with its price history (maybe none), in one transaction.

    For the import of hundreds at once. Raises PublishingError for bad rates, IntegrityError for a known name.
    """
    written: list[tuple[PriceVersion, Rates]] = []
    for model, history in models:
        for dated in history:
            rates = complete(dated.rates)
            check(rates, multiplier_bp=BASIS_POINTS)
            version = PriceVersion(
                model=model, effective_from=dated.effective_from, origin=origin, source=source[:300]
            )
            written.append((version, rates))
    with transaction.atomic():
        Model.objects.bulk_create([model for model, _ in models])
        for version, _ in written:
            version.model_id = version.model.pk
        _write(written)


def complete(rates: Rates) -> Rates:
    """Rates with all tiers resolved and missing cached and reasoning prices filled in, tier by tier.

    A missing cached-read price is the price of the same input uncached, a missing reasoning price the output
    price; no other unit is ever charged at another's price.
    """
    resolved = resolve(rates)
    if not resolved:
        return ()
    missing = {unit: other for unit, other in _PRICED_AS.items() if unit not in resolved[0][1]}
    return tuple(
        (above, {**{unit: prices[other] for unit, other in missing.items() if other in prices}, **prices})
        for above, prices in resolved
    )


def check(rates: Rates, *, multiplier_bp: int) -> None:
    """Raise PublishingError for rates that no version may have."""
    if not rates or rates[0][0] != 0 or not rates[0][1]:
        raise PublishingError("A price version needs at least one base price.")
    if not 1 <= multiplier_bp <= MAX_MULTIPLIER_BP:
        raise PublishingError(f"The multiplier must be from 1 to {MAX_MULTIPLIER_BP:,} basis points.")
    for above, prices in rates:
        if prices.keys() != rates[0][1].keys():
            raise PublishingError(f"A unit is priced above {above:,} input tokens that has no base price.")
        for unit, price in prices.items():
            if unit not in UNITS:
                raise PublishingError(f"{unit!r} is not a unit.")
            if type(price) is not int or not 0 <= price <= MAX_PRICE_PICOUSD:
                raise PublishingError(
                    f"The price of {unit} must be from 0 to {MAX_PRICE_PICOUSD:,} pico-dollars."
                )


def rates_of(version: PriceVersion) -> Rates:
    """The rates of a stored version, complete. Reads `unit_prices`; prefetch them for many versions."""
    tiers: dict[int, dict[str, int]] = {}
    for row in version.unit_prices.all():
        tiers.setdefault(row.above_input_tokens, {})[row.unit] = row.price_picousd_per_unit
    return resolve(tuple(tiers.items()))


def in_force(versions: Sequence[PriceVersion], moment: datetime) -> PriceVersion | None:
    """The version of one model in force at `moment`, if any."""
    begun = [version for version in versions if version.effective_from <= moment]
    return max(begun, key=lambda version: version.effective_from, default=None)


def _check_moment(versions: Sequence[PriceVersion], effective_from: datetime) -> None:
    if timezone.is_naive(effective_from):
        raise PublishingError("The time from which a price holds needs its time zone.")
    if any(version.effective_from == effective_from for version in versions):
        raise PublishingError("This model already has a price version from that very moment; choose another.")
    if versions and effective_from < timezone.now() + CHANGE_NOTICE:
        raise PublishingError("A price changes at the earliest 60 seconds after it is published.")


def _write(versions: Sequence[tuple[PriceVersion, Rates]]) -> None:
    PriceVersion.objects.bulk_create([version for version, _ in versions])
    UnitPrice.objects.bulk_create(
        [
            UnitPrice(
                version_id=version.pk, unit=unit, above_input_tokens=above, price_picousd_per_unit=price
            )
            for version, rates in versions
            for above, unit, price in _rows(rates)
        ]
    )


def _rows(rates: Rates) -> list[tuple[int, str, int]]:
    """The rows to store: all base prices, and of each tier those that differ from the tier below."""
    rows: list[tuple[int, str, int]] = []
    below: dict[str, int] = {}
    for above, prices in rates:
        changed = {unit: prices[unit] for unit in UNITS if unit in prices and prices[unit] != below.get(unit)}
        rows += [(above, unit, price) for unit, price in changed.items()]
        below.update(changed)
    return rows
