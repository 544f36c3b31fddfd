"""The balance as clients of other services ask for it, each in the form that it knows; by API key.

The formats, fields and units are those that the clients read: OpenAI's billing addresses (of which `start_date` and
`end_date` are accepted and ignored: whoever honours them shows every such client a wrong balance), key usage in quota units,
CometAPI's query by `?key=`, and OpenRouter's. A debt shows as usage above what was granted, and below zero only in
CometAPI's, which tells the balance itself.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from pricing import catalogue, quota
from pricing.browsers import open_to_browsers
from pricing.models import Model
from pricing.quota import cents, dollars
from tokens import balance, limits, spending, states
from tokens.bearing import Asks, openai_error, plain_error
from tokens.models import ApiKey
from wallet.models import TopUp

ASKING = (ApiKey.Kind.INFERENCE, ApiKey.Kind.QUERY)
LONGEST_RANGE = timedelta(days=366)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

openai = Asks(ASKING, openai_error, from_browsers=True)
plain = Asks(ASKING, plain_error, from_browsers=True)
by_address = Asks(ASKING, plain_error, from_browsers=True, place="in the address, as ?key=KEY")


@openai
def subscription(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """Dollars that there ever were: what is left and what is used."""
    granted = dollars(balance.of(key).granted_nanousd)
    return JsonResponse(
        {
            "object": "billing_subscription",
            "has_payment_method": True,
            "soft_limit_usd": granted,
            "hard_limit_usd": granted,
            "system_hard_limit_usd": granted,
            "access_until": _expiry(key),
        }
    )


@openai
def usage(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """Cents used, over the whole life of what `subscription` tells."""
    return JsonResponse({"object": "list", "total_usage": cents(balance.of(key).used_nanousd)})


@openai
def credit_grants(request: HttpRequest, key: ApiKey) -> HttpResponse:
    found = balance.of(key)
    amounts = (found.granted_nanousd, found.used_nanousd, max(found.left_nanousd, 0))
    granted, used, left = map(dollars, amounts)
    grant = {
        "object": "credit_grant",
        "id": f"key_{key.pk}" if found.is_of_key else f"wallet_{key.wallet_id}",
        "grant_amount": granted,
        "used_amount": used,
        "effective_at": int((key if found.is_of_key else key.wallet).created_at.timestamp()),
        "expires_at": _expiry(key) or None,
    }
    return JsonResponse(
        {
            "object": "credit_summary",
            "total_granted": granted,
            "total_used": used,
            "total_available": left,
            "grants": {"object": "list", "data": [grant]},
        }
    )


@plain
def token_usage(request: HttpRequest, key: ApiKey) -> HttpResponse:
    found = balance.of(key)
    left, used = quota.units(found.left_nanousd), quota.used_units(found.used_nanousd)
    names = _model_names(key)
    return JsonResponse(
        {
            "code": True,
            "message": "ok",
            "data": {
                "object": "token_usage",
                "name": key.name,
                "total_granted": max(left + used, 0),
                "total_used": used,
                "total_available": max(left, 0),
                "unlimited_quota": False,
                "model_limits": dict.fromkeys(names or (), True),
                "model_limits_enabled": names is not None,
                "expires_at": _expiry(key),
            },
        }
    )


@openai
def models(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """What this key may call, as OpenAI lists it; for one that calls nothing itself, what its account may call.

    Programs that check whether a service is up take an empty list for a failure.
    """
    allowed = None if key.model_ids is None else set(key.model_ids)
    listed = [
        {
            "id": model.name,
            "object": "model",
            "created": int(model.versions[0].effective_from.timestamp()),
            "owned_by": model.provider_code,
        }
        for model in catalogue.sellable()
        if allowed is None or model.id in allowed
    ]
    return JsonResponse({"object": "list", "data": listed})


@openai
def openrouter_key(request: HttpRequest, key: ApiKey) -> HttpResponse:
    now = timezone.now()
    states.put([key], now)
    left = key.standing.left_nanousd
    since = {period: spending.since(key, limits.period_start(period, now).date()) for period in ApiKey.Period}
    # The limit that the tool shows is the tighter one: of a period it says when that is reset.
    is_of_period = key.period_limit_nanousd is not None and (
        key.limit_nanousd is None or left == key.period_limit_nanousd - since[ApiKey.Period(key.period)]
    )
    limit = key.period_limit_nanousd if is_of_period else key.limit_nanousd
    return JsonResponse(
        {
            "data": {
                "label": key.hint,
                "name": key.name,
                "limit": None if limit is None else dollars(limit),
                "limit_remaining": None if left is None else dollars(max(left, 0)),
                "limit_reset": {"day": "daily", "week": "weekly", "month": "monthly"}[key.period]
                if is_of_period
                else None,
                "usage": dollars(key.spend.spent_nanousd),
                "usage_daily": dollars(since[ApiKey.Period.DAY]),
                "usage_weekly": dollars(since[ApiKey.Period.WEEK]),
                "usage_monthly": dollars(since[ApiKey.Period.MONTH]),
                "is_free_tier": not TopUp.objects.filter(
                    wallet=key.wallet_id, paid_at__isnull=False
                ).exists(),
                "expires_at": key.expires_at and key.expires_at.isoformat().replace("+00:00", "Z"),
            }
        }
    )


@openai
def openrouter_credits(request: HttpRequest, key: ApiKey) -> HttpResponse:
    """Of the wallet, whatever the key's own limits are."""
    found = balance.of_wallet(key.wallet)
    granted, used = dollars(found.granted_nanousd), dollars(found.used_nanousd)
    return JsonResponse({"data": {"total_credits": granted, "total_usage": used}})


@csrf_exempt
def quota_by_address(request: HttpRequest) -> HttpResponseBase:
    """The wallet and its keys, by a key in the address. The operator can turn this off."""
    if not settings.BALANCE_BY_ADDRESS:
        response: HttpResponseBase = plain.failure(
            404, "not_found", "This address is turned off. Send the key as Authorization: Bearer."
        )
    else:
        # From here on the key is asked for as any other is, and no later part of the request sees it in the address.
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {request.GET.get('key', '')}"
        response = _quota(request)
    response["Referrer-Policy"] = "no-referrer"
    return open_to_browsers(request, response)


@by_address
def _quota(request: HttpRequest, key: ApiKey) -> HttpResponse:
    try:
        days = _days(request)
    except ValueError as error:
        return plain.failure(400, "invalid_date", str(error))
    found, own = (
        balance.of_wallet(key.wallet),
        list(ApiKey.objects.filter(wallet=key.wallet_id).order_by("id")),
    )
    states.put(own)
    listed = [each for each in own if each.kind in ASKING and not each.is_revoked]
    answer: dict[str, Any] = {
        "username": f"user-{key.wallet.owner_id}",
        "total_quota": dollars(found.left_nanousd),
        "total_used_quota": dollars(found.used_nanousd),
        "request_count": sum(each.spend.calls for each in own),
        "keys": [
            {
                "name": each.name,
                "remain_quota": _remaining(each),
                "used_quota": dollars(each.spend.spent_nanousd),
            }
            for each in listed
        ],
    }
    if days:
        answer["daily_quota"] = _daily(key.wallet_id, days, {each.pk: each.name for each in own})
    return JsonResponse(answer)


def _remaining(key: ApiKey) -> float:
    left = key.standing.left_nanousd
    return -1 if left is None else dollars(max(left, 0))


def _daily(wallet_id: int, days: tuple[date, date], names: dict[int, str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for used in spending.by_key_and_day(wallet_id, *days):
        row = {
            "token_name": names.get(used.key_id, ""),
            "quota_used": dollars(used.spent_nanousd),
            "request_count": used.calls,
        }
        found.setdefault(used.day.isoformat(), []).append(row)
    return found


def _days(request: HttpRequest) -> tuple[date, date] | None:
    """Where both are given. Raises ValueError, which names what is wrong."""
    told = [request.GET.get(name, "") for name in ("start_date", "end_date")]
    if not all(told):
        return None
    first, last = (_day(name, text) for name, text in zip(("start_date", "end_date"), told, strict=True))
    if last < first:
        raise ValueError("end_date lies before start_date.")
    if last - first > LONGEST_RANGE:
        raise ValueError(f"At most {LONGEST_RANGE.days} days can be asked for at once.")
    return first, last


def _day(name: str, text: str) -> date:
    try:
        if not DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} must be a day that exists, as YYYY-MM-DD.") from None


def _expiry(key: ApiKey) -> int:
    return int(key.expires_at.timestamp()) if key.expires_at else 0


def _model_names(key: ApiKey) -> Iterable[str] | None:
    if key.model_ids is None:
        return None
    return Model.objects.filter(pk__in=key.model_ids).order_by("name").values_list("name", flat=True)
