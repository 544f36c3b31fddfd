"""Calls of per-use work as tasks: a picture, a piece of music, a video. They are listed when they are finished."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from logs import call_ids
from logs.account_api import asking, rows
from logs.account_api.looking import Sought, Type, as_uuid
from logs.models import Call
from logs.sums import Span
from pricing import quota
from pricing.models import Kind, Model
from tokens.models import ApiKey, DailyUsage

KINDS = (Kind.IMAGE, Kind.MUSIC, Kind.VIDEO)
TYPES = {"SUCCESS": Type.CONSUME, "FAILURE": Type.ERROR}
# Known to clients, but a call is ours to show when it is over.
UNFINISHED = {"SUBMITTED", "QUEUED", "IN_PROGRESS", "UNKNOWN"}
# What clients call some providers.
PLATFORMS = {"mj": "midjourney", "runwayml": "runway"}
SHOWN_AS = {"midjourney": "mj"}


@asking.own
def mine(request: HttpRequest, token: ApiKey) -> HttpResponse:
    page, sought = asking.page(request), _sought(request, token)
    if sought is None:
        return page.answer([], 0)
    ids = list(
        sought.calls.filter(sought.span.of_ids)
        .order_by("-id")
        .values_list("pk", flat=True)[page.offset : page.offset + page.size]
    )
    calls = Call.objects.select_related("model").in_bulk(ids)
    # A month may have left the table in between.
    return page.answer([_row(calls[each]) for each in ids if each in calls], sought.total())


def _sought(request: HttpRequest, token: ApiKey) -> Sought | None:
    """The calls that the parameters ask for; None where there can be none. Raises Unclear."""
    platform, task, action = (asking.text(request, name) for name in ("platform", "task_id", "action"))
    status = asking.text(request, "status").upper()
    if status and status not in TYPES.keys() | UNFINISHED:
        raise asking.Unclear(f"status must be one of {', '.join(sorted(TYPES.keys() | UNFINISHED))}.")
    span = Span(*asking.moments(request, "start_timestamp", "end_timestamp"))
    if status in UNFINISHED:
        return None
    used = DailyUsage.objects.filter(wallet=token.wallet_id).values("model_id")
    models = Model.objects.filter(pk__in=used, kind__in=KINDS)
    if platform:
        models = models.filter(provider_code=PLATFORMS.get(platform.lower(), platform.lower()))
    call = Q()
    if task:
        call &= Q(id=as_uuid(task)) if as_uuid(task) else Q(upstream_id=task)
    if action:
        call &= Q(endpoint__iendswith=f"/{action}") | Q(endpoint__iexact=action)
    return Sought(
        [token.wallet_id],
        span,
        TYPES.get(status, Type.ANY),
        Q(model__in=list(models.values_list("pk", flat=True))),
        call or None,
        codes=frozenset(),
    )


def _row(call: Call) -> dict[str, Any]:
    finished = call.started_at + timedelta(milliseconds=call.latency_ms or 0)
    provider = call.model.provider_code
    return {
        "id": str(call.pk),
        "created_at": call_ids.milliseconds(call.pk) // 1000,
        "platform": SHOWN_AS.get(provider, provider),
        "task_id": call.upstream_id or str(call.pk),
        "action": call.endpoint.rstrip("/").rpartition("/")[2],
        "status": "FAILURE" if call.status == Call.Status.FAILED else "SUCCESS",
        "model_name": call.model.name,
        "progress": "100%",
        "quota": quota.used_units(call.charged_nanousd),
        "submit_time": rows.seconds(call.started_at),
        "finish_time": rows.seconds(finished),
    }
