"""What a call would cost: of one model, and of up to four side by side. Both pages are plain addresses to link to."""

from collections.abc import Mapping
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from pricing import catalogue, comparing, estimating, groups
from pricing.kept import Kept


@require_safe
def estimate(request: HttpRequest) -> HttpResponse:
    """One model's price for the quantities of the query; the part of the page that an htmx request is for."""
    now = timezone.now()
    member = groups.membership(request.user.pk, at=now)
    choice = next(
        iter(estimating.chosen([request.GET.get("model", "")], at=now, group_bp=member.multiplier_bp)), None
    )
    offers = estimating.offers([choice] if choice else [])
    asked = estimating.quantities(request.GET, offers)
    found = estimating.estimate(offers[0], asked.usage) if offers and not asked.is_wrong else None
    context = {
        "choice": choice,
        "choice_error": choice.error if choice else "",
        "quantities": asked,
        "estimate": found,
        "member": member,
    }
    return _answer(request, "pricing/estimate.html", context)


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Up to four models, their prices and the price of one call."""
    now = timezone.now()
    member = groups.membership(request.user.pk, at=now)
    choices = estimating.chosen(request.GET.getlist("model"), at=now, group_bp=member.multiplier_bp)
    offers = estimating.offers(choices)
    asked = estimating.quantities(request.GET, offers)
    found = [] if asked.is_wrong else [estimating.estimate(offer, asked.usage) for offer in offers]
    empty = [estimating.Choice("")] * (estimating.MOST_MODELS - len(choices))
    context = {
        "choices": [*choices, *empty],
        "quantities": asked,
        "offers": offers,
        "unit_rows": comparing.unit_rows(offers),
        "estimates": found,
        "cheapest": comparing.cheapest(found),
        "member": member,
    }
    return _answer(request, "pricing/compare.html", context)


def _answer(request: HttpRequest, template: str, context: Mapping[str, object]) -> HttpResponse:
    """The whole page; or its answer alone, which is what changes as one types; or that with the form, for another model."""
    part = ""
    if request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers:
        part = "#estimator" if request.headers.get("HX-Target") == "estimator" else "#answer"
    names = "" if part else _names.current(_name_options)
    response = render(request, f"{template}{part}", {**context, "names": names, "is_part": bool(part)})
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _name_options(at: datetime) -> SafeString:
    """What the fields for a model suggest. Made here, since a template takes ten times as long for thousands of them."""
    return format_html_join(
        "", '<option value="{}"></option>', ((model.name,) for model in catalogue.sellable(at=at))
    )


_names = Kept[SafeString]()
