"""Brings the catalogue in line with the price lists.

Running it again changes nothing; a changed price becomes a new version that takes effect soon after. What
staff wrote is left alone: models they added, prices they published, reasons they gave for not selling. A
model that a list doesn't have any more is kept from sale, never deleted. One run at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import connection, transaction
from django.utils import timezone

from pricing.listings import UNDATED_FROM, Listing
from pricing.models import Model, Origin, PriceVersion
from pricing.publishing import CHANGE_NOTICE, publish, publish_new, rates_of
from pricing.rating import BASIS_POINTS, Rates

# Marks the reasons that the import gave and may take back; staff's own have no such beginning.
REASON = "Import: "
# More than the notice itself, which counts from the moment when the version is written.
_NOTICE = CHANGE_NOTICE + timedelta(seconds=30)
_LOCK = 0x70726963  # "pric"; any number that nothing else of this database locks


class Outcome(StrEnum):
    """What became of a listing."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LEFT_TO_STAFF = "left to staff"


@dataclass(slots=True)
class Summary:
    """What an import did, by model name."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unsold: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: Outcome) -> int:
        """How many models had this outcome."""
        return sum(found is outcome for found in self.outcomes.values())


def run(listings: Iterable[Listing], *, now: datetime | None = None) -> Summary:
    """Bring the catalogue in line with `listings`, all lists together, and tell what changed.

    New models are written in one transaction, each changed one in its own. Safe to run twice at once: the
    second waits for the first and then finds nothing to do. Raises PublishingError for a price that can't be
    stored.
    """
    wanted = {listing.name: listing for listing in listings}
    summary = Summary(
        unsold={name: item.unsold_reason for name, item in wanted.items() if item.unsold_reason}
    )
    with _alone():
        stored = {
            model.name: model for model in Model.objects.prefetch_related("price_versions__unit_prices")
        }
        _add([listing for name, listing in wanted.items() if name not in stored], summary)
        for name, model in stored.items():
            listing = wanted.get(name)
            if listing is None:
                _withdraw(model, summary)
            else:
                summary.outcomes[name] = _update(model, listing, now=now or timezone.now())
    return summary


def _add(listings: Sequence[Listing], summary: Summary) -> None:
    by_source: dict[str, list[Listing]] = {}
    for listing in listings:
        by_source.setdefault(listing.source, []).append(listing)
        summary.outcomes[listing.name] = Outcome.NEW
    with transaction.atomic():
        for source, new in by_source.items():
            publish_new(
                [
                    (Model(name=item.name, origin=Origin.IMPORT, **_details(item)), item.history)
                    for item in new
                ],
                source=source,
                origin=Origin.IMPORT,
            )


def _update(model: Model, listing: Listing, *, now: datetime) -> Outcome:
    versions = sorted(model.price_versions.all(), key=lambda version: version.effective_from)
    if model.origin != Origin.IMPORT or (versions and versions[-1].origin != Origin.IMPORT):
        return Outcome.LEFT_TO_STAFF
    details = _changed(model, _details(listing))
    planned = _plan(versions, listing, now=now)
    if not details and not planned:
        return Outcome.UNCHANGED
    with transaction.atomic():
        _set(model, details)
        for price in planned:
            publish(
                model,
                price.rates,
                effective_from=price.effective_from,
                source=listing.source,
                multiplier_bp=price.multiplier_bp,
                origin=Origin.IMPORT,
            )
    return Outcome.CHANGED


@dataclass(frozen=True, slots=True)
class _Price:
    effective_from: datetime
    rates: Rates
    multiplier_bp: int


def _plan(versions: Sequence[PriceVersion], listing: Listing, *, now: datetime) -> list[_Price]:
    """The versions to publish so that the listed prices hold from soon on, at the multipliers of now."""
    prices = [_Price(each.effective_from, rates_of(each), each.multiplier_bp) for each in versions]
    planned: list[_Price] = []
    soon = now + _NOTICE
    for moment in _moments(versions, listing, soon=soon):
        while any(price.effective_from == moment for price in prices):
            # Versions never change, so one that is wrong by now is followed by the right one a second later.
            moment += timedelta(seconds=1)
        begun = [price for price in prices if price.effective_from <= moment]
        current = max(begun, key=lambda price: price.effective_from, default=None)
        rates = listing.rates_at(max(moment, soon))
        if not rates or (current and current.rates == rates):
            continue
        price = _Price(moment, rates, current.multiplier_bp if current else BASIS_POINTS)
        prices.append(price)
        planned.append(price)
    return planned


def _moments(versions: Sequence[PriceVersion], listing: Listing, *, soon: datetime) -> list[datetime]:
    """When the stored or the listed price changes from now on; what was charged before stays as it was."""
    if not listing.history:
        return []
    changes = {version.effective_from for version in versions}
    changes |= {dated.effective_from for dated in listing.history}
    # Nobody can have called a model that never had a price; its first one needs no notice.
    return [soon if versions else UNDATED_FROM, *sorted(moment for moment in changes if moment > soon)]


def _withdraw(model: Model, summary: Summary) -> None:
    if model.origin != Origin.IMPORT:
        return
    reason = "it is not in the price list any more"
    summary.unsold[model.name] = reason
    changed = _changed(model, {"unsold_reason": REASON + reason})
    _set(model, changed)
    summary.outcomes[model.name] = Outcome.CHANGED if changed else Outcome.UNCHANGED


def _details(listing: Listing) -> dict[str, object]:
    return {
        "provider_code": listing.provider_code,
        "provider": listing.provider,
        "kind": str(listing.kind),
        "title": listing.title[:200],
        "description": listing.description,
        "context_window": listing.context_window,
        "is_deprecated": listing.is_deprecated,
        "unsold_reason": (REASON + listing.unsold_reason)[:300] if listing.unsold_reason else "",
    }


def _changed(model: Model, details: Mapping[str, object]) -> dict[str, object]:
    """What of `details` differs from what is stored. A reason that staff gave for not selling stays."""
    is_staffs = model.unsold_reason and not model.unsold_reason.startswith(REASON)
    return {
        name: value
        for name, value in details.items()
        if getattr(model, name) != value and not (name == "unsold_reason" and is_staffs)
    }


def _set(model: Model, details: Mapping[str, object]) -> None:
    for name, value in details.items():
        setattr(model, name, value)
    if details:
        model.save(update_fields=[*details, "updated_at"])


@contextmanager
def _alone() -> Iterator[None]:
    """Until the end of the block no other import runs, in any process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
