"""A person's account, and how this month went."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Min, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.models import User
from logs.account_api import asking, rows
from logs.account_api.looking import DEFAULT_GROUP
from pricing import quota
from pricing.quota import dollars
from tokens import spending
from tokens.models import ApiKey, DailyUsage
from wallet import ledger
from wallet.models import Wallet

USER, STAFF, SUPERUSER = 1, 2, 3
ENABLED, SUSPENDED = 1, 2
# What is left lasts as long as the last days' average says.
PACE_DAYS = 7
NEVER = -1


@asking.own
def profile(request: HttpRequest, token: ApiKey) -> HttpResponse:
    return asking.answer(profile_of(token.wallet))


def profile_of(wallet: Wallet) -> dict[str, Any]:
    """`quota` is never below zero, which clients take for unlimited: a debt shows as usage above what was ever granted."""
    used = spending.of_wallet(wallet.pk)
    return {
        "id": wallet.owner_id,
        "username": rows.username(wallet.owner_id),
        "display_name": wallet.owner.name,
        "email": wallet.owner.email,
        "role": _role(wallet.owner),
        "status": ENABLED if wallet.suspended_at is None else SUSPENDED,
        "quota": max(quota.units(ledger.balances(wallet).balance_nanousd), 0),
        "used_quota": quota.used_units(used.spent_nanousd),
        "request_count": used.calls,
        "group": wallet.customer_group.name if wallet.customer_group else DEFAULT_GROUP,
    }


@asking.own
def stats(request: HttpRequest, token: ApiKey) -> HttpResponse:
    """Of this UTC month so far; changes are against the same days of the month before."""
    today = timezone.now().date()
    month = today.replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    now = _used(token.wallet_id, month, today)
    then = _used(token.wallet_id, before, min(before + (today - month), month - timedelta(days=1)))
    return asking.answer(
        {
            "month_req_count": now.calls,
            "req_rate": _change(now.calls, then.calls),
            "month_usage": dollars(now.charged_nanousd),
            "usage_rate": _change(now.charged_nanousd, then.charged_nanousd),
            "month_success_rate": _percent(now.calls - now.failed, now.calls),
            "predicted_days": _days_left(token, today),
        }
    )


@dataclass(frozen=True, slots=True)
class _Used:
    calls: int
    failed: int
    charged_nanousd: int


def _used(wallet_id: int, first: date, last: date) -> _Used:
    sums = DailyUsage.objects.filter(wallet=wallet_id, day__range=(first, last)).aggregate(
        counted=Sum("calls", default=0),
        failures=Sum("failed", default=0),
        charged=Sum("charged_nanousd", default=0),
    )
    return _Used(int(sums["counted"]), int(sums["failures"]), int(sums["charged"]))


def _days_left(token: ApiKey, today: date) -> int:
    """Whole days that the balance lasts at the pace of the last days; NEVER where nothing was spent in them."""
    start = today - timedelta(days=PACE_DAYS - 1)
    spent = _used(token.wallet_id, start, today).charged_nanousd
    if not spent:
        return NEVER
    first: date = DailyUsage.objects.filter(wallet=token.wallet_id).aggregate(first=Min("day"))["first"]
    days = (today - max(start, first)).days + 1
    return max(ledger.balances(token.wallet).balance_nanousd, 0) * days // spent


def _role(person: User) -> int:
    if person.is_superuser:
        return SUPERUSER
    return STAFF if person.is_staff else USER


def _change(now: int, then: int) -> float:
    """In percent. From nothing to something is told as 100."""
    if not then:
        return 100.0 if now else 0.0
    return _percent(now - then, then)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
