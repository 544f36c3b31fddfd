"""A person's API keys, masked. Access tokens are none: they call no model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from logs.account_api import asking, rows
from logs.account_api.looking import DEFAULT_GROUP
from pricing import quota
from tokens import keys, limits, spending
from tokens.models import ApiKey, DailyUsage
from tokens.spending import Spend

ACTIVE, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4
UNLIMITED = NEVER = -1


@asking.own
def own_keys(request: HttpRequest, token: ApiKey) -> HttpResponse:
    page, found = asking.page(request), _own(token)
    listed = list(found[page.offset : page.offset + page.size])
    return page.answer(_rows(token, listed), found.count())


@asking.own
def search(request: HttpRequest, token: ApiKey) -> HttpResponse:
    """Keys that `keyword` is in the name of, and that it, or `token`, is the text or the visible beginning of.

    What may be a key's text goes into no query: the database is asked for its digest, and names are compared here.
    """
    word, text = (request.GET.get(name, "").strip() for name in ("keyword", "token"))
    listed = list(_own(token))
    if word:
        listed = [key for key, fits in _fitting(listed, word) if fits or word.lower() in key.name.lower()]
    if text:
        listed = [key for key, fits in _fitting(listed, text) if fits]
    return asking.answer(_rows(token, listed[: asking.LARGEST_PAGE]))


def _own(token: ApiKey) -> QuerySet[ApiKey]:
    kinds = (ApiKey.Kind.INFERENCE, ApiKey.Kind.QUERY)
    return ApiKey.objects.filter(wallet=token.wallet_id, kind__in=kinds, revoked_at=None).order_by("-id")


def _fitting(listed: Iterable[ApiKey], text: str) -> list[tuple[ApiKey, bool]]:
    """These keys, each with whether this is its text, or a part of it that may be shown."""
    found = keys.find(text)
    is_visible = text.startswith(tuple(keys.PREFIXES.values())) and text == keys.visible_part(text)
    return [
        (key, key == found or text == key.hint or (is_visible and key.prefix.startswith(text)))
        for key in listed
    ]


def _rows(token: ApiKey, listed: Sequence[ApiKey]) -> list[dict[str, Any]]:
    spends, group = spending.of_keys(listed), token.wallet.customer_group
    lefts = _lefts(listed, spends)
    return [
        _row(key, spends[key.pk], lefts.get(key.pk)) | {"group": group.name if group else DEFAULT_GROUP}
        for key in listed
    ]


def _row(key: ApiKey, spend: Spend, left_nanousd: int | None) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "key": key.hint,
        "status": _status(key, left_nanousd),
        "unlimited_quota": left_nanousd is None,
        "remain_quota": UNLIMITED if left_nanousd is None else quota.units(max(left_nanousd, 0)),
        "used_quota": quota.used_units(spend.spent_nanousd),
        "created_time": rows.seconds(key.created_at),
        "accessed_time": rows.seconds(spend.last_used_at) if spend.last_used_at else 0,
        "expired_time": rows.seconds(key.expires_at) if key.expires_at else NEVER,
    }


def _status(key: ApiKey, left_nanousd: int | None) -> int:
    if key.disabled_at is not None:
        return DISABLED
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return EXPIRED
    return EXHAUSTED if left_nanousd is not None and left_nanousd <= 0 else ACTIVE


def _lefts(listed: Sequence[ApiKey], spends: Mapping[int, Spend]) -> dict[int, int]:
    """What the tighter limit on spending leaves each key that has one, in nano-dollars (tokens/balance.py: for one)."""
    now = timezone.now()
    found: dict[int, int] = {}
    for key in listed:
        if key.limit_nanousd is not None:
            found[key.pk] = key.limit_nanousd - spends[key.pk].spent_nanousd
    for period in {key.period for key in listed if key.period_limit_nanousd is not None}:
        of_period = [key for key in listed if key.period == period]
        spent = dict(
            DailyUsage.objects.filter(key__in=of_period, day__gte=limits.period_start(period, now).date())
            .values_list("key_id")
            .annotate(Sum("charged_nanousd"))
        )
        for key in of_period:
            left = (key.period_limit_nanousd or 0) - int(spent.get(key.pk, 0))
            found[key.pk] = min(left, found.get(key.pk, left))
    return found
