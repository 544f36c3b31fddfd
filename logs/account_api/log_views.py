"""A person's own log. See `looking` for what a filter finds, and `rows` for what a row says."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone

from logs import sums
from logs.account_api import asking, looking, rows
from logs.account_api.asking import Unclear
from logs.account_api.exporting import OwnLog
from logs.account_api.looking import Sought, Type
from logs.archive import Unreadable
from logs.export_places import Busy, TooMany
from logs.export_progress import Progress
from logs.export_streams import HEADERS, Export
from logs.exporting import Format
from logs.sums import Span
from pricing import quota
from tokens.models import ApiKey

log = logging.getLogger(__name__)

MINUTE = timedelta(seconds=60)


@asking.own
def mine(request: HttpRequest, token: ApiKey) -> HttpResponse:
    return list_of(request, sought_of(request, [token.wallet_id]))


@asking.own
def my_search(request: HttpRequest, token: ApiKey) -> HttpResponse:
    """Rows in which `keyword` stands, as it is written: no character of it stands for others."""
    word = asking.text(request, "keyword")
    if not word:
        raise Unclear("keyword is empty.")
    return list_of(request, looking.with_word(word, token.wallet_id))


@asking.own
def my_stat(request: HttpRequest, token: ApiKey) -> HttpResponse:
    return stat_of(sought_of(request, [token.wallet_id]))


@asking.own
def my_export(request: HttpRequest, token: ApiKey) -> HttpResponseBase:
    """All rows as CSV, however many, archived ones too; no more of them are read once the client has left."""
    sought = sought_of(request, [token.wallet_id])
    try:
        file = Export(Progress(token.wallet_id), Format.CSV, lambda: OwnLog(sought))
    except TooMany:
        return asking.later(
            429, "rate_limited", "Your exports that are under way must end before another one can begin."
        )
    except Busy:
        return asking.later(
            503,
            "unavailable",
            "The export can't begin now: too many are under way, or the database is busy. Ask again in a moment.",
        )
    except Unreadable:
        log.exception("An export could not begin.")
        return asking.later(
            503, "unavailable", "Calls of an archived month can't be read. Ask for a later time."
        )
    # It closes what it streams, however it ends.
    return StreamingHttpResponse(
        file,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="log.csv"', **HEADERS},
    )


def sought_of(request: HttpRequest, wallets: Sequence[int] | None) -> Sought:
    """What the parameters ask for, of these wallets. Raises Unclear."""
    told = {
        name: asking.text(request, name)
        for name in ("model_name", "token_name", "group", "request_id", "response_id")
    }
    kind = asking.integer(request, "type", least=min(Type), most=max(Type)) or Type.ANY
    usage, call = Q(), Q()
    if told["model_name"]:
        usage &= looking.of_models(told["model_name"])
    if told["token_name"]:
        usage &= looking.of_keys(told["token_name"], wallets)
    if told["group"]:
        call &= looking.of_group(told["group"])
    if told["request_id"]:
        call &= looking.of_request(told["request_id"])
    if told["response_id"]:
        call &= looking.of_response(told["response_id"])
    span = Span(*asking.moments(request, "start_timestamp", "end_timestamp"))
    found = Sought(wallets, span, Type(kind), usage, call or None)
    return replace(found, codes=frozenset()) if any(told.values()) else found


def list_of(request: HttpRequest, sought: Sought) -> HttpResponse:
    page = asking.page(request)
    places = sought.page(page.offset, page.size)
    return page.answer(list(rows.of(places)), sought.total())


def stat_of(sought: Sought) -> HttpResponse:
    """What was spent; and of the last minute how many calls there were, and how many tokens they used."""
    now = timezone.now()
    minute = sums.of_calls(sought.calls.filter(Span(now - MINUTE).of_ids))
    spent = 0 if sought.type is Type.ERROR else sought.sums().charged_nanousd
    return asking.answer({"quota": quota.used_units(spent), "rpm": minute.calls, "tpm": minute.tokens})
