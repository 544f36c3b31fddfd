"""The page of statistics: what was used in a time, with the log's own filter, drawn and as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from logs import forecasts, latencies, listing, statistics, statistics_tables, wanted
from logs.statistics import Measure, Step
from logs.sums import Span
from logs.wanted import Wanted
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import AutoTopUp, Wallet
from wallet.wallets import wallet_of

# What of the log's filter a roll-up can tell apart.
FILTERS = ("preset", "from", "to", "model", "token")
# And what it can't, as people call it.
LEFT_OUT = {"status": "status", "stream": "streaming", "above": "cost", "call": "request ID"}
USUAL_PRESET = "30d"
MEASURES = {Measure.SPEND: "Spend", Measure.CALLS: "Calls", Measure.TOKENS: "Tokens"}


class ShownForm(forms.Form):
    """How the time is cut, and what is drawn of it."""

    by = forms.ChoiceField(
        required=False,
        choices=[("", "Automatic"), (Step.HOUR.value, "Hour"), (Step.DAY.value, "Day")],
        error_messages={"invalid_choice": "Choose hour or day."},
    )
    measure = forms.ChoiceField(
        required=False,
        choices=[(measure.value, name) for measure, name in MEASURES.items()],
        error_messages={"invalid_choice": "Choose spend, calls or tokens."},
    )

    @property
    def chosen(self) -> dict[str, str]:
        found = ((name, self.data.get(name, "").strip()) for name in self.fields)
        return {name: text for name, text in found if text}


@login_required
@require_safe
def statistics_page(request: HttpRequest) -> HttpResponse:
    """What the wallet used; 400 with a sentence where what was asked for makes no sense."""
    wallet = wallet_of(cast("User", request.user))
    form = listing.FilterForm({name: request.GET[name] for name in FILTERS if name in request.GET})
    shown = ShownForm(request.GET.dict())
    is_valid = form.is_valid() and shown.is_valid()
    first_used = statistics.first_day(wallet.pk)
    keys = listing.keys_of(wallet)
    context = {
        "form": form,
        "shown": shown,
        "models": listing.models_of(wallet),
        "keys": keys,
        "chosen": form.chosen,
        "log_query": form.query,
        "left_out": [text for name, text in LEFT_OUT.items() if request.GET.get(name)],
        "is_valid": is_valid,
        "first_used": first_used,
        "preset": form.chosen.get("preset", "" if {"from", "to"} & form.chosen.keys() else USUAL_PRESET),
    }
    if is_valid and first_used is not None:
        context |= _used(wallet, form, shown, keys, first_used)
    return render(request, "logs/statistics.html", context, status=200 if is_valid else 400)


def _used(
    wallet: Wallet, form: listing.FilterForm, shown: ShownForm, keys: Sequence[ApiKey], first_used: date
) -> dict[str, Any]:
    """All that is shown to somebody who has used something, as both forms (valid) ask for."""
    now, asked, by = timezone.now(), form.wanted(wallet.pk), shown.cleaned_data["by"]
    chosen, span = form.chosen, asked.span
    if not {"preset", "from", "to"} & chosen.keys():
        chosen, span = {**chosen, "preset": USUAL_PRESET}, wanted.of_preset(USUAL_PRESET, now)
    period = statistics.period(span, by, first_used=first_used, now=now)
    measure = Measure(shown.cleaned_data["measure"] or Measure.SPEND)
    found = statistics.of(wallet.pk, period, measure, model_id=asked.model_id, key_id=asked.key_id)
    return {
        "period": period,
        "shows": statistics_tables.written(period.start, period),
        # The log, into which the rows lead, begins and ends at the very second.
        "is_rounded": span.start is not None and period.start < span.start,
        # An hour is a point on a clock, and the last one would look as if it were left out.
        "until": statistics_tables.written(period.end if period.step is Step.HOUR else period.last, period),
        "has_no_hours": by == Step.HOUR and period.step is not Step.HOUR,
        "measure": MEASURES[measure],
        "measures": _measures(measure, {**chosen, **shown.chosen}),
        "total": found.total,
        "latencies": latencies.of(replace(asked, span=Span(period.start, period.end))),
        "newest": latencies.NEWEST,
        **statistics_tables.of(found, {key.pk: key for key in keys}, chosen),
        **_outlook(wallet, asked, first_used, now),
    }


def _outlook(wallet: Wallet, asked: Wanted, first_used: date, now: datetime) -> dict[str, Any]:
    """This month against the last, of the model and key that were asked for; the forecasts, of the whole wallet."""
    ids = {"model": asked.model_id, "key": asked.key_id}
    chosen = Q(**{name: pk for name, pk in ids.items() if pk is not None})
    funds = ledger.balances(wallet)
    outlook = forecasts.of(wallet.pk, funds.available_nanousd, first_used=first_used, now=now, chosen=chosen)
    tops_up = AutoTopUp.objects.filter(wallet=wallet, is_on=True, paused_for="").exists()
    return {"months": outlook.months, "paces": outlook.paces, "funds": funds, "tops_up": tops_up}


def _measures(current: Measure, chosen: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """Each measure's name, the query of its address, and whether it is the one that is shown."""
    return [
        (name, urlencode({**chosen, "measure": measure.value}), measure is current)
        for measure, name in MEASURES.items()
    ]
