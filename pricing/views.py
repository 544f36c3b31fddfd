"""The public catalogue: what can be called, and what it costs."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from pricing import browsing, calling, catalogue, charts, estimating, groups, history
from pricing.estimating import Choice, Offer
from pricing.kept import PLACE, around, for_visitors
from pricing.listings import UNDATED_FROM


@require_safe
@for_visitors
def pricing(request: HttpRequest) -> HttpResponse:
    """All models for sale, or those that were looked for; only the list itself for an htmx request."""
    now = timezone.now()
    query = browsing.Query.parse(request.GET)
    member = groups.membership(request.user.pk, at=now)
    whole = browsing.whole(member.multiplier_bp)
    listed = whole.html
    if query != browsing.Query():
        found = browsing.groups(filter(query.matches, whole.models), at=now, group_bp=member.multiplier_bp)
        listed = browsing.html_of(found, len(whole.models))
    is_fragment = (
        request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
    )
    if is_fragment:
        response = HttpResponse(listed)
    else:
        context = {"query": query, "member": member, "whole": whole, "list": PLACE}
        response = around(render(request, "pricing/pricing.html", context), listed)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model: its prices now, before and to come, what a call costs (by the query's quantities), and how to make one."""
    now = timezone.now()
    found = catalogue.find(name, at=now)
    current = found.version_at(now) if found else None
    if found is None or current is None:
        raise Http404("There is no model of this name.")
    member = groups.membership(request.user.pk, at=now)
    offer = Offer(found, current.table.with_rate(member.multiplier_bp))
    asked = estimating.quantities(request.GET, [offer])
    context = {
        "model": found,
        "offer": offer,
        "member": member,
        "tiers": [above for above, _ in current.table.rates],
        "unit_rows": browsing.unit_rows(current.table, own=offer.table),
        "current": current,
        "next_change": next(
            (each.effective_from for each in found.versions if each.effective_from > now), None
        ),
        "history": history.of(found, at=now),
        "history_units": history.units_of(found.versions),
        "chart": charts.of_history(found.versions, now=now),
        "undated": UNDATED_FROM,
        "choice": Choice(found.name, offer),
        "quantities": asked,
        "estimate": None if asked.is_wrong else estimating.estimate(offer, asked.usage),
        "address": calling.address_of(found, current.table),
        "snippets": calling.snippets(found, current.table, base_url=settings.GATEWAY_BASE_URL),
        "base_url": settings.GATEWAY_BASE_URL,
    }
    return render(request, "pricing/model.html", context)
