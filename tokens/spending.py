"""What keys have used, by day and by hour, and model: the roll-ups that totals, estimates and charts are read from.

Owns tokens_dailyusage and tokens_hourlyusage. Both are written in the transaction that records the calls, so that they
always are the sum of them; invariants prove it (logs/invariants.py). Days stay; hours go after HOURS_KEPT.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import Max, Sum
from django.utils import timezone

from pricing.units import CACHED_UNITS, INPUT_UNITS, OUTPUT_UNITS
from tokens.models import ApiKey, DailyUsage
from wallet.transactions import Ask, array, report_rows

HOURS_KEPT = timedelta(days=62)

type Place = tuple[int, int, int, int]
"""Wallet, UTC hour (counted from 1970), key and model."""


@dataclass(slots=True)
class Used:
    """What was used at one place. Tokens are those of calls that succeeded.

    What a failed call used was not paid for, and expects nothing.
    """

    last_used_at: datetime
    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    charged_nanousd: int = 0
    largest_nanousd: int = 0

    def add(self, usage: Mapping[str, int], charged_nanousd: int, at: datetime) -> None:
        """A call that succeeded."""
        self.calls += 1
        if at > self.last_used_at:
            self.last_used_at = at
        for unit, quantity in usage.items():
            if unit in INPUT_UNITS:
                self.input_tokens += quantity
                if unit in CACHED_UNITS:
                    self.cached_input_tokens += quantity
            elif unit in OUTPUT_UNITS:
                self.output_tokens += quantity
        self.charged_nanousd += charged_nanousd
        if charged_nanousd > self.largest_nanousd:
            self.largest_nanousd = charged_nanousd

    def add_failed(self, at: datetime) -> None:
        self.calls += 1
        self.failed += 1
        if at > self.last_used_at:
            self.last_used_at = at


@dataclass(frozen=True, slots=True)
class Spend:
    """All that a key has used so far; `last_used_at` is of questions to the APIs of this site too."""

    spent_nanousd: int = 0
    calls: int = 0
    last_used_at: datetime | None = None


# One statement for both, so that what was used is read once. A batch over the end of an hour is two hours of one day.
ADD = """
    WITH used AS MATERIALIZED (
        SELECT *
        FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS given (wallet_id, hour, key_id, model_id, last_used_at, calls, failed, input_tokens, cached_input_tokens,
                output_tokens, charged_nanousd, largest_nanousd)
    ), hours AS (
        INSERT INTO tokens_hourlyusage AS h (wallet_id, hour, key_id, model_id, calls, failed, input_tokens,
            cached_input_tokens, output_tokens, charged_nanousd)
        SELECT wallet_id, timestamptz 'epoch' + hour * interval '1 hour', key_id, model_id, calls, failed, input_tokens,
            cached_input_tokens, output_tokens, charged_nanousd
        FROM used
        ON CONFLICT (hour, wallet_id, key_id, model_id) DO UPDATE SET
            calls = h.calls + excluded.calls, failed = h.failed + excluded.failed,
            input_tokens = h.input_tokens + excluded.input_tokens,
            cached_input_tokens = h.cached_input_tokens + excluded.cached_input_tokens,
            output_tokens = h.output_tokens + excluded.output_tokens,
            charged_nanousd = h.charged_nanousd + excluded.charged_nanousd
    )
    INSERT INTO tokens_dailyusage AS d (wallet_id, day, key_id, model_id, last_used_at, calls, failed, input_tokens,
        cached_input_tokens, output_tokens, charged_nanousd, largest_nanousd)
    SELECT wallet_id, date '1970-01-01' + (hour / 24)::int, key_id, model_id, max(last_used_at), sum(calls), sum(failed),
        sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(charged_nanousd), max(largest_nanousd)
    FROM used
    GROUP BY wallet_id, hour / 24, key_id, model_id
    ON CONFLICT (wallet_id, day, key_id, model_id) DO UPDATE SET
        last_used_at = greatest(d.last_used_at, excluded.last_used_at), calls = d.calls + excluded.calls,
        failed = d.failed + excluded.failed, input_tokens = d.input_tokens + excluded.input_tokens,
        cached_input_tokens = d.cached_input_tokens + excluded.cached_input_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens,
        charged_nanousd = d.charged_nanousd + excluded.charged_nanousd,
        largest_nanousd = greatest(d.largest_nanousd, excluded.largest_nanousd)
"""


def adding(used: Mapping[Place, Used]) -> Ask[None]:
    """Add to what was used before. The wallets must be locked (`ledger.lock`) in this transaction."""
    found = [
        (*place, one.last_used_at.isoformat(), one.calls, one.failed, one.input_tokens, one.cached_input_tokens,
         one.output_tokens, one.charged_nanousd, one.largest_nanousd)
        for place, one in used.items()
    ]  # fmt: skip
    return Ask(
        [(ADD, [array(column) for column in zip(*found, strict=True)])] if found else [], lambda _: None
    )


def oldest_hour(now: datetime | None = None) -> datetime:
    """From when on hours are kept: the midnight, in UTC, that lies HOURS_KEPT before today's."""
    at = (now or timezone.now()).astimezone(UTC)
    return at.replace(hour=0, minute=0, second=0, microsecond=0) - HOURS_KEPT


# The next hour, from the front of the primary key. What was deleted before it lies there until the next vacuum.
FORGET = """
    WITH next AS (SELECT min(hour) AS hour FROM tokens_hourlyusage WHERE hour > %(after)s AND hour < %(oldest)s),
    forgotten AS (DELETE FROM tokens_hourlyusage WHERE hour = (SELECT hour FROM next) RETURNING 1)
    SELECT (SELECT hour FROM next), (SELECT count(*) FROM forgotten)
"""


def forget_old_hours() -> int:
    """Delete what is older than hours are kept; how many rows it was. Each hour is a statement that commits for itself."""
    number, oldest = 0, oldest_hour()
    after: datetime | None = datetime.min.replace(tzinfo=UTC)
    while after is not None:
        after, found = report_rows(FORGET, {"after": after, "oldest": oldest})[0]
        number += found
    return number


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
