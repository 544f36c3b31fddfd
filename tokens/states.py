"""What has become of a key, and how far it has come with its limits on spending.

For people to look at: a key is let in or not by the statement in logs/authorizing.py, which also counts open calls.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db import models
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from tokens import limits, spending
from tokens.models import ApiKey, DailyUsage
from wallet.models import Hold


class State(models.TextChoices):
    IN_USE = "in_use", "In use"
    EXHAUSTED = "exhausted", "Exhausted"
    DISABLED = "disabled", "Disabled"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


@dataclass(frozen=True, slots=True)
class Meter:
    """What was spent of a limit, in nano-dollars; `resets_at` where it is one that begins anew."""

    limit_nanousd: int
    spent_nanousd: int
    resets_at: datetime | None = None

    @property
    def is_full(self) -> bool:
        return self.spent_nanousd >= self.limit_nanousd

    @property
    def left_nanousd(self) -> int:
        return max(self.limit_nanousd - self.spent_nanousd, 0)

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means used up."""
        return min(self.spent_nanousd * 100 // self.limit_nanousd, 100) if self.limit_nanousd else 100


@dataclass(frozen=True, slots=True)
class Standing:
    state: State
    life: Meter | None = None
    period: Meter | None = None

    @property
    def left_nanousd(self) -> int | None:
        """What the tighter limit on spending leaves, below zero where more was spent; None without any."""
        meters = (meter for meter in (self.life, self.period) if meter)
        return min((meter.limit_nanousd - meter.spent_nanousd for meter in meters), default=None)


def put(keys: Iterable[ApiKey], now: datetime | None = None) -> None:
    """Put what they have used, and how they stand, beside these keys, as `spend` and `standing`."""
    listed, now = list(keys), now or timezone.now()
    spending.show(listed)
    since = _spent_in_period(listed, now)
    for key in listed:
        key.standing = _standing(key, since.get(key.pk, 0), now)


def only(keys: QuerySet[ApiKey], state: State, now: datetime | None = None) -> QuerySet[ApiKey]:
    """Those of this state."""
    now = now or timezone.now()
    if state == State.REVOKED:
        return keys.filter(revoked_at__isnull=False)
    keys, is_over = keys.filter(revoked_at=None), Q(expires_at__lte=now)
    if state == State.EXPIRED:
        return keys.filter(is_over)
    keys = keys.exclude(is_over)
    if state == State.DISABLED:
        return keys.filter(disabled_at__isnull=False)
    # Few keys have such limits, and each is looked up in the roll-up by itself.
    exhausted = _is_exhausted(now)
    keys = keys.filter(disabled_at=None)
    return keys.filter(exhausted) if state == State.EXHAUSTED else keys.exclude(exhausted)


def _is_exhausted(now: datetime) -> Q:
    full = Q(limit_nanousd__isnull=False, limit_nanousd__lte=_spent_since(None))
    for period in ApiKey.Period:
        start = limits.period_start(period, now).date()
        full |= Q(period=period, period_limit_nanousd__lte=_spent_since(start))
    return full


def _spent_since(day: date | None) -> Coalesce:
    used = DailyUsage.objects.filter(key=OuterRef("pk"), **({"day__gte": day} if day else {}))
    total = used.order_by().values("key").annotate(total=models.Sum("charged_nanousd")).values("total")
    return Coalesce(Subquery(total, output_field=models.BigIntegerField()), 0)


@dataclass(frozen=True, slots=True)
class OpenCalls:
    """Calls that were let in and not reported yet, the newest ones, and what all of them hold in nano-dollars."""

    newest: list[Hold]
    count: int
    held_nanousd: int


def open_calls(key: ApiKey, shown: int, now: datetime | None = None) -> OpenCalls:
    holds = Hold.objects.filter(
        wallet=key.wallet_id,
        reference=str(key.pk),
        state=Hold.State.OPEN,
        expires_at__gt=now or timezone.now(),
    )
    found = holds.aggregate(count=models.Count("pk"), held=models.Sum("amount_nanousd", default=0))
    return OpenCalls(list(holds.order_by("-created_at")[:shown]), found["count"], int(found["held"]))


def _standing(key: ApiKey, spent_in_period_nanousd: int, now: datetime) -> Standing:
    life = period = None
    if key.limit_nanousd is not None:
        life = Meter(key.limit_nanousd, key.spend.spent_nanousd)
    if key.period_limit_nanousd is not None:
        resets_at = limits.resets_at(key.period, now)
        period = Meter(key.period_limit_nanousd, spent_in_period_nanousd, resets_at)
    return Standing(_state(key, [meter for meter in (life, period) if meter], now), life, period)


def _state(key: ApiKey, meters: Iterable[Meter], now: datetime) -> State:
    if key.is_revoked:
        return State.REVOKED
    if key.expires_at is not None and key.expires_at <= now:
        return State.EXPIRED
    if key.disabled_at is not None:
        return State.DISABLED
    return State.EXHAUSTED if any(meter.is_full for meter in meters) else State.IN_USE


def _spent_in_period(keys: Iterable[ApiKey], now: datetime) -> Mapping[int, int]:
    """Nano-dollars by the id of each key that has such a limit."""
    starts = {
        key.pk: limits.period_start(key.period, now).date()
        for key in keys
        if key.period and not key.is_revoked
    }
    return spending.since_days(starts) if starts else {}
