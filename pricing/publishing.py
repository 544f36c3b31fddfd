"""The only writer of price versions.

A version is written whole and never changed; a new price is a new version. What is announced and turns out to be wrong, as
where markups meet, is replaced by a newer version from the same moment, so that nobody ever pays it. The price of a model
that already has one changes at the earliest CHANGE_NOTICE after it is written, because every process keeps the price list
in memory for some seconds (pricing.catalogue), and a call must never be rated from an outdated one; it rises at the
earliest PRICE_RISE_NOTICE_DAYS after, because people are told before. The first prices of a new model may lie in the past:
nobody can have called it yet. A version's multiplier is that of the markups in force when it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from pricing.models import MAX_MULTIPLIER_BP, MAX_PRICE_PICOUSD, Model, Origin, PriceVersion, UnitPrice
from pricing.multipliers import Multipliers
from pricing.rating import BASIS_POINTS, PriceTable, Rates, resolve
from pricing.rises import is_dearer
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


@dataclass(frozen=True, slots=True)
class Price:
    """A price version, stored or to be written."""

    effective_from: datetime
    rates: Rates
    multiplier_bp: int = BASIS_POINTS

    @classmethod
    def of(cls, version: PriceVersion) -> "Price":
        """Reads `unit_prices`; prefetch them for many versions."""
        return cls(version.effective_from, rates_of(version), version.multiplier_bp)

    def is_dearer_than(self, other: "Price") -> bool:
        """Whether any unit costs more, in any context size."""
        return is_dearer(
            PriceTable(0, other.multiplier_bp, other.rates), PriceTable(0, self.multiplier_bp, self.rates)
        )


def publish(
    model: Model, rates: Rates, *, effective_from: datetime, source: str, origin: Origin = Origin.STAFF
) -> PriceVersion:
    """Write the version of `model` that is in force from `effective_from` on, and return it.

    Where the version in force at that moment has the same prices and multiplier, that one is returned and
    nothing is written. A version that was announced for later stays announced. Locks the model's row, so that two writers
    can't both write the same change; keep the surrounding transaction short, the notice counts from here. Raises
    PublishingError for bad rates, for a change on short notice, and for a second version at the same moment.
    """
    check_zone(effective_from)
    rates = complete(rates)
    with transaction.atomic():
        locked = Model.objects.select_for_update().get(pk=model.pk)
        versions = list(locked.price_versions.prefetch_related("unit_prices"))
        multipliers = multiplier_of(locked)
        wanted = Price(effective_from, rates, multipliers.at(effective_from))
        check(wanted)
        current = in_force(versions, effective_from)
        if current and Price.of(current) == Price(current.effective_from, rates, wanted.multiplier_bp):
            return current
        prices = [Price.of(version) for version in versions]
        if current and current.effective_from == effective_from:
            raise PublishingError(
                "This model already has a price version from that very moment; choose another."
            )
        check_moment(prices, wanted)
        later = followers([*prices, wanted], multipliers, after=effective_from)
        for price in later:
            check(price)
        written = write_all([(locked, price, origin, source) for price in [wanted, *later]])
    return written[0]


def publish_new(models: Sequence[tuple[Model, Sequence[Price]]], *, source: str, origin: Origin) -> None:
    """Write models that don't exist yet, each with its price history (maybe none; complete), in one transaction.

    For the import of hundreds at once. Raises PublishingError for bad rates, IntegrityError for a known name.
    """
    for _, history in models:
        for price in history:
            check(price)
    with transaction.atomic():
        Model.objects.bulk_create([model for model, _ in models])
        write_all([(model, price, origin, source) for model, history in models for price in history])


@dataclass(frozen=True, slots=True)
class MultiplierOf:
    """The multiplier of one model's versions. What began before now has the one of now: nobody was charged by it yet."""

    multipliers: Multipliers
    provider_code: str
    model_id: int | None
    now: datetime

    def at(self, moment: datetime) -> int:
        at = max(moment, self.now)
        return self.multipliers.at(at, provider_code=self.provider_code, model_id=self.model_id)

    def moments(self, *, after: datetime) -> list[datetime]:
        """When it changes from now on, and after that."""
        at = max(after, self.now)
        return self.multipliers.moments(after=at, provider_code=self.provider_code, model_id=self.model_id)


def multiplier_of(model: Model, multipliers: Multipliers | None = None) -> MultiplierOf:
    return MultiplierOf(multipliers or Multipliers.load(), model.provider_code, model.pk, timezone.now())


def followers(prices: Sequence[Price], multiplier: MultiplierOf, *, after: datetime) -> list[Price]:
    """What has to follow these prices, so that each moment after that one has the multiplier of the markups."""
    known, found = list(prices), list[Price]()
    changes = {price.effective_from for price in known if price.effective_from > after}
    for moment in sorted(changes | set(multiplier.moments(after=after))):
        current = price_at(known, moment)
        if current and current.multiplier_bp != multiplier.at(moment):
            price = Price(moment, current.rates, multiplier.at(moment))
            known.append(price)
            found.append(price)
    return found


def price_at(prices: Sequence[Price], moment: datetime) -> Price | None:
    """The price in force at `moment`, if any. Of those from one moment the last counts."""
    begun = (price for price in reversed(prices) if price.effective_from <= moment)
    return max(begun, key=lambda price: price.effective_from, default=None)


def rise_notice() -> timedelta:
    """How long before it takes effect a rise is published at the latest."""
    return max(CHANGE_NOTICE, timedelta(days=settings.PRICE_RISE_NOTICE_DAYS))


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


def check(price: Price) -> None:
    """Raise PublishingError for what no version may have."""
    rates = price.rates
    if not rates or rates[0][0] != 0 or not rates[0][1]:
        raise PublishingError("A price version needs at least one base price.")
    if not 1 <= price.multiplier_bp <= MAX_MULTIPLIER_BP:
        raise PublishingError(f"The multiplier must be from 1 to {MAX_MULTIPLIER_BP:,} basis points.")
    for above, prices in rates:
        if prices.keys() != rates[0][1].keys():
            raise PublishingError(f"A unit is priced above {above:,} input tokens that has no base price.")
        for unit, picousd in prices.items():
            if unit not in UNITS:
                raise PublishingError(f"{unit!r} is not a unit.")
            if type(picousd) is not int or not 0 <= picousd <= MAX_PRICE_PICOUSD:
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
    """The version of one model in force at `moment`, if any. Of those from one moment the last counts."""
    begun = (version for version in reversed(versions) if version.effective_from <= moment)
    return max(begun, key=lambda version: version.effective_from, default=None)


def check_zone(effective_from: datetime) -> None:
    if timezone.is_naive(effective_from):
        raise PublishingError("The time from which a price holds needs its time zone.")


def check_moment(prices: Sequence[Price], wanted: Price) -> None:
    """Raise PublishingError where `wanted` may not begin then, beside the other prices of its model."""
    if not prices:
        return
    now = timezone.now()
    if wanted.effective_from < now + CHANGE_NOTICE:
        raise PublishingError("A price changes at the earliest 60 seconds after it is published.")
    before = price_at(prices, wanted.effective_from)
    if before and wanted.is_dearer_than(before) and wanted.effective_from < now + rise_notice():
        raise PublishingError(
            f"A price rises at the earliest {notice_in_words()} after it is published, so that people can be told."
        )


def notice_in_words() -> str:
    days = settings.PRICE_RISE_NOTICE_DAYS
    return f"{days} day{'' if days == 1 else 's'}" if days else "60 seconds"


def write_all(versions: Sequence[tuple[Model, Price, str, str]]) -> list[PriceVersion]:
    """Write versions: each with its model, origin and source. Only for what was checked, with its model's row locked."""
    made = [
        PriceVersion(
            model_id=model.pk,
            effective_from=price.effective_from,
            multiplier_bp=price.multiplier_bp,
            origin=origin,
            source=source[:300],
        )
        for model, price, origin, source in versions
    ]
    PriceVersion.objects.bulk_create(made)
    UnitPrice.objects.bulk_create(
        [
            UnitPrice(
                version_id=version.pk, unit=unit, above_input_tokens=above, price_picousd_per_unit=picousd
            )
            for version, (_, price, _, _) in zip(made, versions, strict=True)
            for above, unit, picousd in _rows(price.rates)
        ]
    )
    return made


def _rows(rates: Rates) -> list[tuple[int, str, int]]:
    """The rows to store: all base prices, and of each tier those that differ from the tier below."""
    rows: list[tuple[int, str, int]] = []
    below: dict[str, int] = {}
    for above, prices in rates:
        changed = {unit: prices[unit] for unit in UNITS if unit in prices and prices[unit] != below.get(unit)}
        rows += [(above, unit, price) for unit, price in changed.items()]
        below.update(changed)
    return rows
