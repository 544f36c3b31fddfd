"""What of the log is looked for: calls and movements of money, newest first, and how many there are.

A call's place in time is that of its id, a movement's the moment that it was booked. A filter on what only calls have
(model, key, group, id) leaves no movement.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from itertools import islice
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db.models import Q, QuerySet

from logs import archive, call_ids, sums
from logs.models import Call
from logs.sums import Span, Sums
from pricing.models import GroupRate, Model
from tokens.models import ApiKey, DailyUsage
from wallet.models import Code, Transfer

DEFAULT_GROUP = "default"
ALWAYS = Span()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Type(IntEnum):
    """What a row of the log is, as clients number it."""

    ANY = 0
    TOP_UP = 1
    CONSUME = 2
    MANAGE = 3
    SYSTEM = 4
    ERROR = 5
    REFUND = 6


TYPES = {
    Code.TOP_UP: Type.TOP_UP,
    Code.STARTER_GRANT: Type.SYSTEM,
    Code.GRANT: Type.MANAGE,
    Code.GRANT_VOID: Type.MANAGE,
    Code.CORRECTION: Type.MANAGE,
    Code.REFUND: Type.REFUND,
    Code.REFUND_REVERSAL: Type.REFUND,
    Code.DISPUTE: Type.REFUND,
    Code.DISPUTE_REVERSAL: Type.REFUND,
}
STATUSES = {Type.CONSUME: Call.Status.SUCCEEDED, Type.ERROR: Call.Status.FAILED}


class Place(NamedTuple):
    """Where a row stands; a larger one is newer. Of one moment a movement stands before a call."""

    at_us: int
    is_call: bool
    key: int
    """The id of a call as a number, or that of a transfer."""
    call: Call | None = None
    """The call itself, where it is read already."""
    is_row: bool = True
    """Else nothing stands here: so far has been looked."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for, of one wallet or of many. None is everything. Wallets, models and keys by their ids."""

    wallets: Sequence[int] | None
    span: Span = ALWAYS
    type: Type = Type.ANY
    usage: Q = field(default_factory=Q)
    """On models and keys: columns that calls and the roll-up of usage share."""
    call: Q | None = None
    """On what calls alone have."""
    codes: frozenset[str] = frozenset(TYPES)
    """Why money moved; none where only calls are looked for."""

    @property
    def calls(self) -> QuerySet[Call]:
        """Of any time."""
        if self.type not in {Type.ANY, *STATUSES}:
            return Call.objects.none()
        found = self._of_any_status
        return found.filter(status=STATUSES[self.type]) if self.type in STATUSES else found

    def has(self, row: archive.Row) -> bool:
        """Whether this call of these wallets is one of `calls`."""
        is_of_type = self.type not in STATUSES or row["status"] == STATUSES[self.type]
        return is_of_type and _holds(self.usage, row) and _holds(self.call or Q(), row)

    @property
    def movements(self) -> QuerySet[Transfer]:
        codes = [code for code in self.codes if self.type in {Type.ANY, TYPES[Code(code)]}]
        # As the indexes of movements have it, which hold no usage.
        found = Transfer.objects.filter(
            self._wallets, ~Q(code=Code.USAGE), wallet__isnull=False, code__in=codes
        )
        if self.span.start:
            found = found.filter(created_at__gte=self.span.start)
        return found.filter(created_at__lt=self.span.end) if self.span.end else found

    @property
    def id_bounds(self) -> tuple[UUID, UUID]:
        """Ids of its calls begin at the first and end before the second."""
        first = call_ids.floor(self.span.start) if self.span.start else archive.FIRST
        after = call_ids.floor(self.span.end) if self.span.end else archive.LAST
        for told, call_id in _parts(self.call or Q()):
            if told == "id":
                first = max(first, call_id)
                after = min(after, UUID(int=min(call_id.int + 1, archive.LAST.int)))
        return first, after

    @property
    def _wallets(self) -> Q:
        return Q() if self.wallets is None else Q(wallet__in=self.wallets)

    @property
    def _of_any_status(self) -> QuerySet[Call]:
        return Call.objects.filter(self._wallets, self.usage, self.call or Q())

    def sums(self) -> Sums:
        """Of the calls, whatever became of them."""
        if self.type not in {Type.ANY, *STATUSES}:
            return Sums()
        if self.call is not None:
            return sums.of_calls(self._of_any_status.filter(self.span.of_ids))
        return sums.of(DailyUsage.objects.filter(self._wallets, self.usage), self._of_any_status, self.span)

    def total(self) -> int:
        """How many rows there are. Archived calls have none here, while sums count them."""
        upper_id = archive.kept_from()
        kept = replace(self, span=self.span.since(call_ids.moment(upper_id))) if upper_id else self
        found = kept.sums()
        calls = {Type.CONSUME: found.calls - found.failed, Type.ERROR: found.failed}
        return calls.get(self.type, found.calls) + self.movements.count()

    def places(self, chunk: int) -> Iterator[Place]:
        """All rows, newest first, read `chunk` at a time."""
        return heapq.merge(self._places_of_calls(chunk), self.places_of_movements(chunk), reverse=True)

    def page(self, offset: int, size: int) -> list[Place]:
        return list(islice(self.places(offset + size), offset, offset + size))

    def _places_of_calls(self, chunk: int) -> Iterator[Place]:
        calls = self.calls.filter(self.span.of_ids).order_by("-id").values_list("id", flat=True)
        ids = list(calls[:chunk])
        while ids:
            yield from (Place(call_ids.milliseconds(each) * 1000, True, each.int) for each in ids)
            ids = list(calls.filter(id__lt=ids[-1])[:chunk]) if len(ids) == chunk else []

    def places_of_movements(self, chunk: int) -> Iterator[Place]:
        moved = self.movements.order_by("-created_at", "-id").values_list("created_at", "id")
        found = list(moved[:chunk])
        while found:
            yield from (Place(_microseconds(at), False, key) for at, key in found)
            at, key = found[-1]
            older = Q(created_at__lt=at) | Q(created_at=at, id__lt=key)
            found = list(moved.filter(older)[:chunk]) if len(found) == chunk else []


def of_models(name: str) -> Q:
    """Calls of the model of exactly this name; none where there is no such model."""
    return Q(model__in=list(Model.objects.filter(name=name).values_list("pk", flat=True)))


def of_keys(name: str, wallets: Sequence[int] | None) -> Q:
    """Calls with keys of exactly this name."""
    keys = ApiKey.objects.filter(name=name)
    if wallets is not None:
        return Q(key__in=list(keys.filter(wallet__in=wallets).values_list("pk", flat=True)))
    found = list(keys.values_list("pk", "wallet_id"))
    # By their wallets too, by which calls are indexed.
    return Q(key__in=[key for key, _ in found], wallet__in={wallet for _, wallet in found})


def of_group(name: str) -> Q:
    """Calls that were charged at a rate of this customer group, or at the list's prices."""
    if name == DEFAULT_GROUP:
        return Q(group_rate=None)
    return Q(group_rate__in=list(GroupRate.objects.filter(group__name=name).values_list("pk", flat=True)))


def of_request(told: str) -> Q:
    """The call of this id; none where it is no id."""
    call_id = as_uuid(told)
    return Q(id__in=[]) if call_id is None else Q(id=call_id)


def of_response(told: str) -> Q:
    """Calls that the provider gave this id."""
    return Q(upstream_id=told)


def with_word(word: str, wallet: int) -> Sought:
    """Where a word is found in a wallet's log: the id of a call, names of models and keys, why money moved."""
    if (call_id := as_uuid(word)) is not None:
        return Sought([wallet], call=Q(id=call_id), codes=frozenset())
    used = DailyUsage.objects.filter(wallet=wallet).values("model_id")
    models = Model.objects.filter(pk__in=used, name__icontains=word).values_list("pk", flat=True)
    keys = ApiKey.objects.filter(wallet=wallet, name__icontains=word).values_list("pk", flat=True)
    codes = frozenset(code for code in TYPES if word.lower() in code.label.lower())
    return Sought([wallet], usage=Q(model__in=list(models)) | Q(key__in=list(keys)), codes=codes)


def as_uuid(told: str) -> UUID | None:
    try:
        return UUID(told)
    except ValueError:
        return None


def _parts(condition: Q) -> Iterator[tuple[str, Any]]:
    """All that must hold, each for itself."""
    if condition.connector == Q.AND and not condition.negated:
        for part in condition.children:
            yield from _parts(part) if isinstance(part, Q) else [cast("tuple[str, Any]", part)]


def _holds(condition: Q, row: archive.Row) -> bool:
    """Of conditions as they are made here: that a column is this, or one of these. Raises NotImplementedError for others."""
    if condition.negated or condition.connector not in {Q.AND, Q.OR}:
        raise NotImplementedError(condition)
    found = [_holds(part, row) if isinstance(part, Q) else _is(row, part) for part in condition.children]
    return any(found) if condition.connector == Q.OR and found else all(found)


def _is(row: archive.Row, condition: Any) -> bool:
    told, value = condition
    name, _, lookup = told.partition("__")
    if lookup not in {"", "exact", "in"}:
        raise NotImplementedError(told)
    held = row[name if name in row else f"{name}_id"]
    return held in value if lookup == "in" else held == value


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // sums.RESOLUTION
