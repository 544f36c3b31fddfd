"""This month against the last one, and the day on which the balance runs out. From the roll-up of days, in UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Q, Sum

from logs.statistics import Usage, added
from logs.sums import midnight
from tokens.models import DailyUsage

# The paces that a forecast is made from, in days that end with today, where the wallet has been used for so long.
PACES = (7, 30)
# Nano-dollars have so many digits below a cent.
CENT_DIGITS = 7
FARTHEST = timedelta(days=365)
_NAMES = Usage.__slots__


@dataclass(frozen=True, slots=True)
class Months:
    """The month so far, as many days of the month before (all of it, if it is shorter), and that month whole."""

    first: date
    today: date
    this: Usage
    last_first: date
    last_same: date
    same: Usage
    last: Usage

    @property
    def change(self) -> int | None:
        """In nano-dollars, against the same days; None where nothing was spent in them."""
        return self.this.charged_nanousd - self.same.charged_nanousd if self.same.charged_nanousd else None

    @property
    def change_percent(self) -> int:
        """The same without its sign, in whole percent of what was spent in those days; at least 1."""
        return max(1, (abs(self.change or 0) * 200 // self.same.charged_nanousd + 1) // 2)


@dataclass(frozen=True, slots=True)
class Pace:
    """What the wallet spent in its last days, today's part included, and where that leads."""

    since: datetime
    now: datetime
    spent_nanousd: int
    available_nanousd: int

    @property
    def days(self) -> int:
        """Today is one of them."""
        return (self.now.date() - self.since.date()).days + 1

    @property
    def _seconds(self) -> int:
        """A day at the least: what was spent in a first hour is no pace."""
        return int(max(self.now - self.since, timedelta(days=1)).total_seconds())

    @property
    def a_day_nanousd(self) -> int:
        """To the nearest cent, or to two digits where that is finer."""
        exact = self.spent_nanousd * 86_400 // self._seconds
        return round(exact, -min(CENT_DIGITS, max(0, len(str(exact)) - 2)))

    @property
    def runs_out_at(self) -> datetime | None:
        """When nothing is available any more; None where that is more than a year away, or never."""
        if self.spent_nanousd <= 0 or self.available_nanousd <= 0:
            return None
        left = self.available_nanousd * self._seconds // self.spent_nanousd
        if left > FARTHEST.total_seconds():
            return None
        return self.now + timedelta(seconds=left)


@dataclass(frozen=True, slots=True)
class Forecasts:
    months: Months
    paces: Sequence[Pace]


def of(wallet_id: int, available_nanousd: int, *, first_used: date, now: datetime, chosen: Q) -> Forecasts:
    """Reads each day since the last month's first, once. `chosen` narrows the months, and never the paces.

    No pace is from before the day of the first use; those that would be of the same days are one.
    """
    today = now.date()
    last_first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    since = min(last_first, today - timedelta(days=max(PACES) - 1))
    days = (
        DailyUsage.objects.filter(wallet=wallet_id, day__range=(since, today))
        .order_by()
        .values("day")
        # What an aggregate is called must not be a column's name.
        .annotate(
            spent=Sum("charged_nanousd"),
            **{f"of_{name}": Sum(name, filter=chosen, default=0) for name in _NAMES},
        )
    )
    found = {one["day"]: one for one in days}
    # Ids lie up to an hour ahead: the first call may be of a day that has not begun.
    begins = dict.fromkeys(max(min(first_used, today), today - timedelta(days=days - 1)) for days in PACES)
    return Forecasts(
        _months(found, last_first, today), [_pace(found, begin, available_nanousd, now) for begin in begins]
    )


def _months(found: Mapping[date, Mapping[str, Any]], last_first: date, today: date) -> Months:
    first = today.replace(day=1)
    last_same = min(last_first + (today - first), first - timedelta(days=1))

    def between(start: date, end: date) -> Usage:
        return added(
            Usage(*(int(one[f"of_{name}"]) for name in _NAMES))
            for day, one in found.items()
            if start <= day <= end
        )

    return Months(
        first=first,
        today=today,
        this=between(first, today),
        last_first=last_first,
        last_same=last_same,
        same=between(last_first, last_same),
        last=between(last_first, first - timedelta(days=1)),
    )


def _pace(
    found: Mapping[date, Mapping[str, Any]], begin: date, available_nanousd: int, now: datetime
) -> Pace:
    spent = sum(int(one["spent"]) for day, one in found.items() if day >= begin)
    return Pace(midnight(begin), now, spent, available_nanousd)
