"""What keys have used, by day and model: the one roll-up that totals, estimates and charts are read from.

Owns tokens_dailyusage. Written in the transaction that records the calls, so that it always is the sum of them; an
invariant proves it (logs/invariants.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Max, Sum

from tokens.models import ApiKey, DailyUsage
from wallet.transactions import Ask, array

type Place = tuple[int, date, int, int]
"""Wallet, UTC day, key and model."""


@dataclass(slots=True)
class Used:
    """What was used at one place. Tokens and charge are those of calls that succeeded."""

    last_used_at: datetime
    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charged_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class Spend:
    """All that a key has used so far; `last_used_at` is of questions to the APIs of this site too."""

    spent_nanousd: int = 0
    calls: int = 0
    last_used_at: datetime | None = None


ADD = """
    INSERT INTO tokens_dailyusage AS d (wallet_id, day, key_id, model_id, last_used_at, calls, failed, input_tokens,
        output_tokens, charged_nanousd)
    SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[],
        %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    ON CONFLICT (wallet_id, day, key_id, model_id) DO UPDATE SET
        last_used_at = greatest(d.last_used_at, excluded.last_used_at), calls = d.calls + excluded.calls,
        failed = d.failed + excluded.failed, input_tokens = d.input_tokens + excluded.input_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens,
        charged_nanousd = d.charged_nanousd + excluded.charged_nanousd
"""


def adding(used: Mapping[Place, Used]) -> Ask[None]:
    """Add to what was used before. The wallets must be locked (`ledger.lock`) in this transaction."""
    found = [
        (*place, one.last_used_at.isoformat(), one.calls, one.failed, one.input_tokens, one.output_tokens,
         one.charged_nanousd)
        for place, one in used.items()
    ]  # fmt: skip
    return Ask(
        [(ADD, [array(column) for column in zip(*found, strict=True)])] if found else [], lambda _: None
    )


def of_keys(keys: Iterable[ApiKey]) -> dict[int, Spend]:
    """What each of these keys, by its id, has used."""
    wanted = {key.pk: key for key in keys}
    sums = (
        DailyUsage.objects.filter(wallet__in={key.wallet_id for key in wanted.values()}, key__in=wanted)
        .values_list("key_id")
        .annotate(Sum("charged_nanousd"), Sum("calls"), Max("last_used_at"))
    )
    found = {key_id: (int(spent), int(calls), last) for key_id, spent, calls, last in sums}
    spends = {}
    for key_id, key in wanted.items():
        spent, calls, called_at = found.get(key_id, (0, 0, None))
        used_at = max((at for at in (called_at, key.last_asked_at) if at), default=None)
        spends[key_id] = Spend(spent, calls, used_at)
    return spends


def of_wallet(wallet_id: int) -> Spend:
    """What all keys of a wallet together have used."""
    spent, calls, last = (
        DailyUsage.objects.filter(wallet=wallet_id)
        .aggregate(
            spent=Sum("charged_nanousd", default=0), calls=Sum("calls", default=0), last=Max("last_used_at")
        )
        .values()
    )
    return Spend(int(spent), int(calls), last)


def since(key: ApiKey, day: date) -> int:
    """Nano-dollars that a key was charged for calls let in from this UTC day on."""
    found = DailyUsage.objects.filter(key=key, day__gte=day)
    return int(found.aggregate(total=Sum("charged_nanousd", default=0))["total"])


def since_days(starts: Mapping[int, date]) -> dict[int, int]:
    """The same of several keys, by their ids, each from a day of its own."""
    spent = dict.fromkeys(starts, 0)
    found = DailyUsage.objects.filter(key__in=starts, day__gte=min(starts.values()))
    for key_id, day, amount in found.values_list("key_id", "day").annotate(Sum("charged_nanousd")):
        if day >= starts[key_id]:
            spent[key_id] += int(amount)
    return spent


@dataclass(frozen=True, slots=True)
class Day:
    """What a key used on one UTC day."""

    day: date
    spent_nanousd: int = 0
    calls: int = 0


def by_day(key: ApiKey, first: date, last: date) -> list[Day]:
    """Every day from the first to the last, in order, those without a call too."""
    found = {
        day: Day(day, int(spent), int(calls))
        for day, spent, calls in DailyUsage.objects.filter(key=key, day__range=(first, last))
        .values_list("day")
        .annotate(Sum("charged_nanousd"), Sum("calls"))
    }
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [found.get(day, Day(day)) for day in days]


@dataclass(frozen=True, slots=True)
class KeyDay:
    """What one key of a wallet used on one UTC day."""

    day: date
    key_id: int
    spent_nanousd: int
    calls: int


def by_key_and_day(wallet_id: int, first: date, last: date) -> list[KeyDay]:
    """Each day from the first to the last on which a key of the wallet was used, in order."""
    found = (
        DailyUsage.objects.filter(wallet=wallet_id, day__range=(first, last))
        .values_list("day", "key_id")
        .annotate(Sum("charged_nanousd"), Sum("calls"))
        .order_by("day", "key_id")
    )
    return [KeyDay(day, key_id, int(spent), int(calls)) for day, key_id, spent, calls in found]


def show(keys: Iterable[ApiKey]) -> None:
    """Put what they have used beside these keys, as `spend`, for a page that lists them."""
    listed = list(keys)
    found = of_keys(listed)
    for key in listed:
        key.spend = found[key.pk]
