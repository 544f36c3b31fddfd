"""The price list as every process keeps it in memory.

`find` and `price_at` are on the path of every call and touch the database at most once in TTL_SECONDS, and
then with one small query unless something changed. A process may therefore be up to TTL_SECONDS behind: a new
model is callable, and a withdrawn one refused, within that time. Prices can't be outdated by it, since a
changed price takes effect at least 60 seconds after it is written (pricing.publishing).
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from pricing.models import GroupRate, Kind, Model
from pricing.publishing import rates_of
from pricing.rating import PriceTable, is_complete

TTL_SECONDS = 5.0
FRESH_SECONDS = 0.5
# Past this age nobody reads on while another thread refreshes; well below the notice of a price change.
_TOO_OLD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class DatedTable:
    """A price version of a model, and from when on it is in force."""

    effective_from: datetime
    table: PriceTable
    is_complete: bool


@dataclass(frozen=True, slots=True)
class SellableModel:
    """A model with its whole price history."""

    id: int
    name: str
    provider_code: str
    provider: str
    kind: str
    title: str
    description: str
    context_window: int | None
    max_output_tokens: int | None
    is_deprecated: bool
    unsold_reason: str
    versions: tuple[DatedTable, ...]
    """In the order of `effective_from`; without those that were replaced before they were in force."""

    def version_at(self, moment: datetime) -> DatedTable | None:
        """The version in force at `moment`, complete or not."""
        if self.versions and self.versions[-1].effective_from <= moment:
            return self.versions[-1]
        index = bisect_right(self.versions, moment, key=lambda version: version.effective_from)
        return self.versions[index - 1] if index else None

    def price_at(self, moment: datetime) -> PriceTable | None:
        """The prices in force at `moment`; None where they aren't complete, which can't be sold."""
        version = self.version_at(moment)
        return version.table if version and version.is_complete else None

    def is_sellable_at(self, moment: datetime) -> bool:
        """Whether the model may be called at `moment`."""
        return not self.unsold_reason and self.price_at(moment) is not None


@dataclass(frozen=True, slots=True)
class DatedRate:
    """A rate of a customer group, and from when on it is in force."""

    effective_from: datetime
    id: int
    multiplier_bp: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    revision: tuple[Any, ...]
    checked_at: float
    models: Mapping[str, SellableModel]
    beginnings: tuple[datetime, ...]
    """When each version of all models takes effect, in order."""
    rates: Mapping[int, tuple[DatedRate, ...]]
    """Of each customer group, in the order of `effective_from`."""


_clock = time.monotonic
_refreshing = threading.Lock()
_snapshot: _Snapshot | None = None


def find(name: str, *, at: datetime | None = None) -> SellableModel | None:
    """The model of exactly this name, case included, if it is for sale at `at` (now)."""
    model = _models().get(name)
    return model if model and model.is_sellable_at(at or timezone.now()) else None


def priced(name: str, *, fresh: bool = False) -> SellableModel | None:
    """The model of exactly this name, also where it was withdrawn meanwhile: to rate calls already let in.

    `fresh` looks at the database first, though at most once in FRESH_SECONDS: another process may know a new model.
    """
    return (_read_since(_clock() - FRESH_SECONDS) if fresh else _current()).models.get(name)


def rate_of(group_id: int | None, *, at: datetime | None = None) -> DatedRate | None:
    """What the members of this group pay at `at` (now); None for those who pay the list's prices.

    Of a group that this process does not know yet the database is asked first, since its first rate needs no notice; later
    ones are known in time. LookupError for a group that had no rate then, which none is: nobody is charged by a guess.
    """
    if group_id is None:
        return None
    rates = _current().rates.get(group_id) or _read_since(_clock()).rates.get(group_id, ())
    index = bisect_right(rates, at or timezone.now(), key=lambda rate: rate.effective_from)
    if not index:
        raise LookupError(f"Customer group {group_id} has no rate.")
    return rates[index - 1]


def sellable(*, at: datetime | None = None) -> list[SellableModel]:
    """All models for sale at `at` (now), by name."""
    moment = at or timezone.now()
    return [model for model in _models().values() if model.is_sellable_at(moment)]


def state(at: datetime) -> tuple[Any, ...]:
    """Changes with everything that is committed to the catalogue that this process serves, and when a price takes effect.

    Whoever keeps what was made of the catalogue asks for it first, and makes it from what is read afterwards.
    """
    snapshot = _current()
    return (*snapshot.revision, bisect_right(snapshot.beginnings, at))


def forget() -> None:
    """Drop what this process keeps, so that the next reader loads it anew."""
    global _snapshot
    _snapshot = None


def _read_since(moment: float) -> _Snapshot:
    """As the database had it at a later time of `_clock` than this."""
    snapshot = _snapshot
    return snapshot if snapshot and snapshot.checked_at > moment else _refresh(blocking=True, since=moment)


def _models() -> Mapping[str, SellableModel]:
    return _current().models


def _current() -> _Snapshot:
    snapshot = _snapshot
    if snapshot is None:
        return _refresh(blocking=True, since=float("-inf"))
    now = _clock()
    age = now - snapshot.checked_at
    if age < TTL_SECONDS:
        return snapshot
    return _refresh(blocking=age > _TOO_OLD_SECONDS, since=now - TTL_SECONDS)


def _refresh(*, blocking: bool, since: float) -> _Snapshot:
    """One thread asks the database; others read on with what they have, unless that is nothing or too old.

    Whoever waited takes what was read meanwhile where that began after `since`.
    """
    global _snapshot
    if not _refreshing.acquire(blocking=blocking):
        return _snapshot or _refresh(blocking=True, since=since)
    try:
        old, now = _snapshot, _clock()
        if old and old.checked_at > since:
            return old
        # The revision is read before the data: a change in between is loaded again, never missed.
        revision = _read_revision()
        unchanged = old is not None and old.revision == revision
        if old and unchanged:
            _snapshot = fresh = replace(old, checked_at=now)
        else:
            models = _load()
            _snapshot = fresh = _Snapshot(revision, now, models, _beginnings(models.values()), _load_rates())
        return fresh
    finally:
        _refreshing.release()


def _read_revision() -> tuple[Any, ...]:
    """Changes with every committed change: versions are only ever added, xmin tells who last wrote a model.

    Neither the newest id nor the newest time would do: a transaction with an older one may commit later.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM pricing_priceversion), (SELECT count(*) FROM pricing_grouprate), count(*),"
            " sum(xmin::text::bigint) FROM pricing_model"
        )
        row: tuple[Any, ...] = cursor.fetchone()
    return row


def _load() -> Mapping[str, SellableModel]:
    rows = Model.objects.order_by("name").prefetch_related("price_versions__unit_prices")
    return {row.name: _sellable_model(row) for row in rows}


def _beginnings(models: Iterable[SellableModel]) -> tuple[datetime, ...]:
    return tuple(sorted(version.effective_from for model in models for version in model.versions))


def _load_rates() -> Mapping[int, tuple[DatedRate, ...]]:
    found: dict[int, tuple[DatedRate, ...]] = {}
    for row in GroupRate.objects.order_by("effective_from"):
        rate = DatedRate(row.effective_from, row.pk, row.multiplier_bp)
        found[row.group_id] = (*found.get(row.group_id, ()), rate)
    return found


def _sellable_model(row: Model) -> SellableModel:
    is_embedding = row.kind == Kind.EMBEDDING
    # In the order of moments and ids: of those from one moment the newest stays.
    versions: dict[datetime, DatedTable] = {}
    for version in row.price_versions.all():
        rates = rates_of(version)
        table = PriceTable(version.pk, version.multiplier_bp, rates)
        whole = is_complete(rates, is_embedding=is_embedding)
        versions[version.effective_from] = DatedTable(version.effective_from, table, whole)
    return SellableModel(
        id=row.pk,
        name=row.name,
        provider_code=row.provider_code,
        provider=row.provider,
        kind=row.kind,
        title=row.title,
        description=row.description,
        context_window=row.context_window,
        max_output_tokens=row.max_output_tokens,
        is_deprecated=row.is_deprecated,
        unsold_reason=row.unsold_reason,
        versions=tuple(versions.values()),
    )
