"""Brings the catalogue in line with the price lists.

Running it again changes nothing; a changed price becomes a new version, which takes effect soon, or after the notice that
people get where it rises. What staff wrote is left alone: models they added, prices they published, reasons they gave for
not selling. A model that a list doesn't have any more is kept from sale, never deleted; a price that jumps, or is not
complete, is left as it was until staff force it. Versions have the markups of their moment. One run at a time.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from pricing.listings import UNDATED_FROM, Listing
from pricing.markups import IMPORT_LOCK
from pricing.models import Kind, Model, Origin
from pricing.multipliers import Multipliers
from pricing.publishing import (
    CHANGE_NOTICE,
    MultiplierOf,
    Price,
    check,
    check_moment,
    complete,
    followers,
    price_at,
    publish_new,
    rise_notice,
    write_all,
)
from pricing.rating import Rates, is_complete
from pricing.units import UNITS

# Marks the reasons that the import gave and may take back; staff's own have no such beginning.
REASON = "Import: "
# More than the notice itself, which counts from the moment when the version is written.
_MARGIN = timedelta(seconds=30)


class Outcome(StrEnum):
    """What became of a listing."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LEFT_TO_STAFF = "left to staff"


@dataclass(frozen=True, slots=True)
class Change:
    """A price of a model that was sold before, and the one that follows it."""

    name: str
    model_id: int
    before: Price
    after: Price


@dataclass(slots=True)
class Summary:
    """What an import did, or would do, by model name."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unsold: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Why a listed price was not taken over; the one before stays."""

    def count(self, outcome: Outcome) -> int:
        """How many models had this outcome."""
        return sum(found is outcome for found in self.outcomes.values())


def run(
    listings: Iterable[Listing],
    *,
    now: datetime | None = None,
    forced: Collection[str] = (),
    dry_run: bool = False,
) -> Summary:
    """Bring the catalogue in line with `listings`, all lists together, and tell what changed.

    New models are written in one transaction, each changed one in its own. A price that changes by more than
    PRICE_IMPORT_FACTOR is refused, unless its model is among those that are `forced`. A dry run writes nothing. Safe to
    run twice at once: the second waits for the first and then finds nothing to do. Raises PublishingError for a price
    that can't be stored.
    """
    wanted = {listing.name: listing for listing in listings}
    summary = Summary(
        unsold={name: item.unsold_reason for name, item in wanted.items() if item.unsold_reason}
    )
    with _alone():
        stored = {
            model.name: model for model in Model.objects.prefetch_related("price_versions__unit_prices")
        }
        this = _Import(summary, Multipliers.load(), now, frozenset(forced), dry_run)
        this.add([listing for name, listing in wanted.items() if name not in stored])
        for name, model in stored.items():
            listing = wanted.get(name)
            if listing is None:
                this.withdraw(model)
            else:
                summary.outcomes[name] = this.update(model, listing)
    return summary


@dataclass(frozen=True, slots=True)
class _Import:
    """One run."""

    summary: Summary
    multipliers: Multipliers
    fixed_now: datetime | None
    forced: frozenset[str]
    dry_run: bool

    def add(self, listings: Sequence[Listing]) -> None:
        by_source: dict[str, list[Listing]] = {}
        for listing in listings:
            by_source.setdefault(listing.source, []).append(listing)
            self.summary.outcomes[listing.name] = Outcome.NEW
        if self.dry_run:
            return
        with transaction.atomic():
            for source, new in by_source.items():
                models = [Model(name=item.name, origin=Origin.IMPORT, **_details(item)) for item in new]
                histories = [_history(item, self._multiplier(item, None)) for item in new]
                publish_new(list(zip(models, histories, strict=True)), source=source, origin=Origin.IMPORT)

    def update(self, model: Model, listing: Listing) -> Outcome:
        versions = list(model.price_versions.all())
        if model.origin != Origin.IMPORT or (versions and versions[-1].origin != Origin.IMPORT):
            return Outcome.LEFT_TO_STAFF
        details = _changed(model, _details(listing))
        changes = self._priced(model, listing, [Price.of(version) for version in versions])
        if not details and not changes:
            return Outcome.UNCHANGED
        if not self.dry_run:
            with transaction.atomic():
                _set(model, details)
                changes = self._publish(model, listing) if changes else []
        self.summary.changes += [change for change in changes if change.before is not change.after]
        return Outcome.CHANGED

    def withdraw(self, model: Model) -> None:
        if model.origin != Origin.IMPORT:
            return
        reason = "it is not in the price list any more"
        self.summary.unsold[model.name] = reason
        changed = _changed(model, {"unsold_reason": REASON + reason})
        if not self.dry_run:
            _set(model, changed)
        self.summary.outcomes[model.name] = Outcome.CHANGED if changed else Outcome.UNCHANGED

    def _publish(self, model: Model, listing: Listing) -> list[Change]:
        """Once more with the model's row locked: somebody may have published meanwhile."""
        locked = Model.objects.select_for_update().get(pk=model.pk)
        stored = [Price.of(each) for each in locked.price_versions.prefetch_related("unit_prices")]
        changes = self._priced(locked, listing, stored)
        known = list(stored)
        for change in changes:
            check(change.after)
            check_moment(known, change.after)
            known.append(change.after)
        write_all([(locked, change.after, Origin.IMPORT, listing.source) for change in changes])
        return changes

    def _priced(self, model: Model, listing: Listing, stored: Sequence[Price]) -> list[Change]:
        """The versions to publish, each with what it follows (itself where it is the first); none that is refused."""
        planned = _plan(stored, listing, self._multiplier(listing, model.pk), now=self._now())
        known, changes = list(stored), list[Change]()
        for price in planned:
            before = price_at(known, price.effective_from)
            changes.append(Change(model.name, model.pk, before or price, price))
            known.append(price)
        reason = "" if model.name in self.forced else _jump(changes)
        reason = reason or _gap(listing, planned)
        if not reason:
            return changes
        self.summary.refused[model.name] = reason
        return []

    def _multiplier(self, listing: Listing, model_id: int | None) -> MultiplierOf:
        return MultiplierOf(self.multipliers, listing.provider_code, model_id, self._now())

    def _now(self) -> datetime:
        return self.fixed_now or timezone.now()


def _history(listing: Listing, multiplier: MultiplierOf) -> list[Price]:
    """All prices of a new model. Nobody can have called it, so its past needs no notice."""
    listed = [
        Price(dated.effective_from, complete(dated.rates), multiplier.at(dated.effective_from))
        for dated in listing.history
    ]
    return [*listed, *followers(listed, multiplier, after=multiplier.now)]


def _plan(
    stored: Sequence[Price], listing: Listing, multiplier: MultiplierOf, *, now: datetime
) -> list[Price]:
    """The versions to publish so that the listed prices hold: from soon on, those that rise after people's notice."""
    soon = now + CHANGE_NOTICE + _MARGIN
    later = max(soon, now + rise_notice() + _MARGIN)
    known, planned = list(stored), list[Price]()
    for moment in _moments(stored, listing, multiplier, soon=soon, later=later):
        price = Price(moment, listing.rates_at(max(moment, soon)), multiplier.at(moment))
        current = price_at(known, moment)
        if not price.rates or (
            current and current == Price(current.effective_from, price.rates, price.multiplier_bp)
        ):
            continue
        if current and moment < later and price.is_dearer_than(current):
            continue
        known.append(price)
        planned.append(price)
    return planned


def _moments(
    stored: Sequence[Price], listing: Listing, multiplier: MultiplierOf, *, soon: datetime, later: datetime
) -> list[datetime]:
    """When the stored or the listed price may change from now on; what was charged before stays as it was."""
    if not listing.history:
        return []
    changes = {later, *multiplier.moments(after=soon)}
    changes |= {price.effective_from for price in stored}
    changes |= {dated.effective_from for dated in listing.history}
    # Nobody can have called a model that never had a price; its first one needs no notice.
    return [soon if stored else UNDATED_FROM, *sorted(moment for moment in changes if moment > soon)]


def _jump(changes: Sequence[Change]) -> str:
    """Why these are too much to be believed: a listed price, without markups, that is many times the one before."""
    factor = settings.PRICE_IMPORT_FACTOR
    for change in changes:
        before, after = change.before.rates, change.after.rates
        for (_, old), (_, new) in zip(_aligned(before, after), _aligned(after, before), strict=True):
            for unit in UNITS:
                if unit in old and unit in new and _is_beyond(old[unit], new[unit], factor):
                    return f"{UNITS[unit].label} would cost {_times(old[unit], new[unit])}, and {factor} is the most"
    return ""


def _aligned(rates: Rates, other: Rates) -> list[tuple[int, Mapping[str, int]]]:
    """The prices at each context size that either of them knows."""
    sizes = sorted({above for tiers in (rates, other) for above, _ in tiers})
    return [(size, [prices for above, prices in rates if above <= size][-1]) for size in sizes]


def _is_beyond(old: int, new: int, factor: int) -> bool:
    return max(old, new) > factor * min(old, new)


def _times(old: int, new: int) -> str:
    if not old or not new:
        return "nothing" if old else "something that was free"
    return f"{new / old:.3g} times as much"


def _gap(listing: Listing, planned: Sequence[Price]) -> str:
    is_embedding = listing.kind is Kind.EMBEDDING
    if all(is_complete(price.rates, is_embedding=is_embedding) for price in planned):
        return ""
    return "the list names no price for input and output, nor one per use"


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
        cursor.execute("SELECT pg_advisory_lock(%s)", [IMPORT_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [IMPORT_LOCK])
