"""The page of “I paid and see nothing”: asks Stripe, and says what it told."""

import uuid
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods

from accounts.models import User
from wallet import ledger
from wallet.models import Wallet
from wallet.topups import lookups
from wallet.topups.lookups import Finding, Outcome
from wallet.wallets import wallet_of

# Where the last answer lies between the form and the page that shows it.
KEPT = "top_up_lookup"
# Pages that were opened and left may be thousands; what concerns money is told of before them.
MOST_TOLD = 100
OF_MONEY = {Outcome.CREDITED, Outcome.PARKED, Outcome.WAITING}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def top_up_check(request: HttpRequest) -> HttpResponse:
    mine = wallet_of(cast("User", request.user))
    if request.method != "POST":
        return _page(request, mine)
    try:
        found = lookups.look(mine)
    except lookups.TooManyLookups:
        return _page(request, mine, is_too_often=True)
    request.session[KEPT] = {
        "wallet": mine.pk,
        "at": timezone.now().isoformat(),
        "findings": [_plain(one) for one in _worth_telling(found)],
    }
    answer = HttpResponseRedirect(reverse("top_up_check"))
    answer.status_code = 303
    return answer


def _page(request: HttpRequest, mine: Wallet, *, is_too_often: bool = False) -> HttpResponse:
    kept = request.session.get(KEPT)
    if not kept or kept["wallet"] != mine.pk:
        kept = None
    findings = [_read(one) for one in kept["findings"]] if kept else []
    context = {
        "asked_at": parse_datetime(kept["at"]) if kept else None,
        "findings": findings,
        "credited_nanousd": sum(one["nanousd"] for one in findings if one["outcome"] == "credited"),
        "is_away": any(one["outcome"] == "unknown" for one in findings),
        "is_too_often": is_too_often,
        "balances": ledger.balances(mine),
    }
    return render(request, "wallet/lookup.html", context, status=429 if is_too_often else 200)


def _worth_telling(found: list[Finding]) -> list[Finding]:
    if len(found) <= MOST_TOLD:
        return found
    return sorted(found, key=lambda one: one.outcome not in OF_MONEY)[:MOST_TOLD]


def _plain(found: Finding) -> dict[str, Any]:
    return {
        "outcome": found.outcome.value,
        "top_up": str(found.top_up.pk),
        "nanousd": found.amount_nanousd,
        "paid_nanousd": found.top_up.paid_nanousd,
        "tax_nanousd": found.top_up.tax_nanousd,
        "at": found.top_up.created_at.isoformat(),
    }


def _read(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "top_up": uuid.UUID(plain["top_up"]), "at": parse_datetime(plain["at"])}
