"""The public catalogue: what can be called, and what it costs."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from pricing import browsing, catalogue, examples
from pricing.kept import for_visitors
from pricing.listings import UNDATED_FROM
from pricing.rating import rate


@require_safe
@for_visitors
def pricing(request: HttpRequest) -> HttpResponse:
    """All models for sale, or those that were looked for; only the list itself for an htmx request."""
    now = timezone.now()
    query = browsing.Query.parse(request.GET)
    models = catalogue.sellable(at=now)
    groups = browsing.groups(filter(query.matches, models), at=now)
    context = {
        "query": query,
        "groups": groups,
        "found": sum(len(group.rows) for group in groups),
        "total": len(models),
        "providers": browsing.providers(models),
        "kinds": browsing.kinds(models),
    }
    is_fragment = (
        request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
    )
    response = render(
        request, "pricing/pricing.html#found" if is_fragment else "pricing/pricing.html", context
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model: its prices now, before and to come, what a call costs, and how to make one."""
    now = timezone.now()
    found = catalogue.find(name, at=now)
    current = found.version_at(now) if found else None
    if found is None or current is None:
        raise Http404("There is no model of this name.")
    table = current.table
    context = {
        "model": found,
        "kind": dict(browsing.kinds([found]))[found.kind],
        "table": table,
        "multiplier": f"{table.multiplier_bp / 10_000:g}" if table.multiplier_bp != 10_000 else "",
        "tiers": [above for above, _ in table.rates],
        "unit_rows": browsing.unit_rows(table),
        "upcoming": [version for version in found.versions if version.effective_from > now],
        "history": [(version, browsing.unit_rows(version.table)) for version in reversed(found.versions)],
        "current": current,
        "undated": UNDATED_FROM,
        "receipt": rate(examples.usage_of(found.kind, table), table),
        "snippets": examples.snippets(found, table, base_url=settings.GATEWAY_BASE_URL),
        "base_url": settings.GATEWAY_BASE_URL,
    }
    return render(request, "pricing/model.html", context)
