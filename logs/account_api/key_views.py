"""A person's API keys, masked. Access tokens are none: they call no model."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from logs.account_api import asking, rows
from logs.account_api.looking import DEFAULT_GROUP
from pricing import quota
from tokens import keys, states
from tokens.models import ApiKey
from tokens.states import State

# As clients number them; revoked keys are not listed.
STATUSES = {State.IN_USE: 1, State.DISABLED: 2, State.EXPIRED: 3, State.EXHAUSTED: 4}
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
    states.put(listed)
    group = token.wallet.customer_group
    return [_row(key) | {"group": group.name if group else DEFAULT_GROUP} for key in listed]


def _row(key: ApiKey) -> dict[str, Any]:
    left, last_used_at = key.standing.left_nanousd, key.spend.last_used_at
    return {
        "id": key.pk,
        "name": key.name,
        "key": key.hint,
        "status": STATUSES[key.standing.state],
        "unlimited_quota": left is None,
        "remain_quota": UNLIMITED if left is None else quota.units(max(left, 0)),
        "used_quota": quota.used_units(key.spend.spent_nanousd),
        "created_time": rows.seconds(key.created_at),
        "accessed_time": rows.seconds(last_used_at) if last_used_at else 0,
        "expired_time": rows.seconds(key.expires_at) if key.expires_at else NEVER,
    }
