"""Markups of providers and of models: the only writer of them.

A markup is written once and never changes; another one is a new row with a later moment. It acts through price versions:
in the transaction that writes it, every model that it concerns gets a version with the same prices and the multiplier of
then. So a receipt names all that it was computed from, and rating knows of no markup. Locks the models' rows in the order
of their ids; waits for no import, since that may take long: it refuses instead.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from pricing.models import MAX_MULTIPLIER_BP, Markup, Model, PriceVersion
from pricing.multipliers import Multipliers
from pricing.publishing import (
    Price,
    PublishingError,
    check,
    check_moment,
    check_zone,
    followers,
    in_force,
    multiplier_of,
    price_at,
    write_all,
)

IMPORT_LOCK = 0x70726963  # "pric"; any number that nothing else of this database locks

type _Version = tuple[Model, Price, str, str]


def of_provider(provider_code: str, multiplier_bp: int, *, effective_from: datetime) -> list[PriceVersion]:
    """What all models of a provider are multiplied by from then on; the versions that follow from it.

    Raises PublishingError for one out of bounds, one on short notice, and a provider that has no models.
    """
    wanted = Markup(provider_code=provider_code, multiplier_bp=multiplier_bp, effective_from=effective_from)
    return _change(wanted, Model.objects.filter(provider_code=provider_code))


def of_model(model: Model, multiplier_bp: int, *, effective_from: datetime) -> list[PriceVersion]:
    """What one model is multiplied by from then on, beside its provider's. As `of_provider`."""
    wanted = Markup(model=model, multiplier_bp=multiplier_bp, effective_from=effective_from)
    return _change(wanted, Model.objects.filter(pk=model.pk))


def _change(wanted: Markup, concerned: QuerySet[Model]) -> list[PriceVersion]:
    if not 1 <= wanted.multiplier_bp <= MAX_MULTIPLIER_BP:
        raise PublishingError(f"A multiplier lies between 0.0001 and {MAX_MULTIPLIER_BP // 10_000}.")
    check_zone(wanted.effective_from)
    with transaction.atomic():
        _refuse_during_an_import()
        locked = list(concerned.select_for_update().order_by("pk"))
        if not locked:
            raise PublishingError("There is no model of this provider.")
        same = Markup.objects.filter(provider_code=wanted.provider_code, model=wanted.model)
        if same.filter(effective_from=wanted.effective_from).exists():
            raise PublishingError("There is a markup from that moment already; markups never change.")
        wanted.save(force_insert=True)
        multipliers = Multipliers.load()
        models = Model.objects.filter(pk__in=[model.pk for model in locked])
        return write_all(
            [
                version
                for model in models.order_by("pk").prefetch_related("price_versions__unit_prices")
                for version in _versions(model, multipliers, wanted)
            ]
        )


def _versions(model: Model, multipliers: Multipliers, markup: Markup) -> Sequence[_Version]:
    """The versions of one model that follow from the markup. Raises PublishingError."""
    stored = list(model.price_versions.all())
    known, multiplier = [Price.of(version) for version in stored], multiplier_of(model, multipliers)
    moment, found = markup.effective_from, list[Price]()
    current = price_at(known, moment)
    if current and current.multiplier_bp != multiplier.at(moment):
        found.append(Price(moment, current.rates, multiplier.at(moment)))
    found += followers([*known, *found], multiplier, after=moment)
    for place, price in enumerate(found):
        check(price)
        try:
            check_moment([*known, *found[:place]], price)
        except PublishingError as error:
            raise PublishingError(f"{model.name}: {error}") from error
    return [(model, price, *_told_by(stored, price)) for price in found]


def _told_by(stored: Sequence[PriceVersion], price: Price) -> tuple[str, str]:
    """Origin and source of the prices that are multiplied anew. The import goes on with those that are its own."""
    version = in_force(stored, price.effective_from)
    return (version.origin, version.source) if version else ("", "")


def _refuse_during_an_import() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [IMPORT_LOCK])
        row = cursor.fetchone()
    if row and not row[0]:
        raise PublishingError("Prices are imported at this moment. Try again in a minute.")
