"""What a key may do at most, and what the answer is where it has done that. Pure: no database.

The rule for every limit is the balance's: a call is let in while what counts is below the limit. What counts for money is
what was charged and what open calls are expected to cost; for a minute, the calls let in during the last 60 seconds, and
their tokens: those used, or expected while a call runs. With any number of parallel calls a key's spending goes above its
limit by no more than what the admitted calls cost beyond their holds, plus the last one admitted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.template.defaultfilters import pluralize

from pricing.money import usd
from tokens.models import ApiKey

Period = ApiKey.Period

MINUTE = timedelta(seconds=60)
# A limit over the whole life is not lifted by waiting; this keeps clients from asking again at once.
LATER_S = 3600
# When an open call ends, nobody knows; the report of one that was read to its end is here within a second.
SOON_S = 1


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that lets no call in now; `is_rate` where it is one of pace, not of money."""

    message: str
    retry_after_s: int
    is_rate: bool


def period_start(period: str, now: datetime) -> datetime:
    """When the day, week (from Monday) or month began, UTC."""
    day = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    if period == Period.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == Period.MONTH else day


def resets_at(period: str, now: datetime) -> datetime:
    """When the next one begins."""
    start = period_start(period, now)
    if period == Period.MONTH:
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if period == Period.WEEK else 1)


def reached(key: ApiKey, limit: str, now: datetime, wait_s: int | None = None) -> Reached:
    """What to answer where this limit, named by its column, is reached. `wait_s`: until one a minute has room again."""
    soon_s = wait_s or SOON_S
    match limit:
        case "limit_nanousd":
            amount = usd(key.limit_nanousd or 0)
            message = f"This key has spent its limit of {amount}. That does not reset: raise the limit, or use another key."
            return Reached(message, LATER_S, is_rate=False)
        case "period_limit_nanousd" if key.period:
            reset = resets_at(key.period, now)
            message = (
                f"This key has spent its limit of {usd(key.period_limit_nanousd or 0)} {Period(key.period).label}."
                f" It is reset at {reset:%Y-%m-%d %H:%M} UTC."
            )
            return Reached(message, int((reset - now).total_seconds()) + 1, is_rate=False)
        case "calls_in_flight":
            return Reached(
                f"This key may have {key.calls_in_flight} call{pluralize(key.calls_in_flight)} open at once.",
                SOON_S,
                is_rate=True,
            )
        case "requests_per_minute":
            return Reached(
                f"This key may make {key.requests_per_minute} call{pluralize(key.requests_per_minute)} a minute.",
                soon_s,
                is_rate=True,
            )
        case "tokens_per_minute":
            return Reached(
                f"This key may use {key.tokens_per_minute} token{pluralize(key.tokens_per_minute)} a minute.",
                soon_s,
                is_rate=True,
            )
    # It was changed in this moment.
    return Reached("This key has reached a limit.", SOON_S, is_rate=True)
