"""Imports the price lists that the product carries, and tells what that changes: whoever runs it, or staff by mail."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from accounts import audit
from accounts.models import User
from logs import repricing
from logs.repricing import Cost
from pricing import catalogue, genai_listings, importing, per_use_listings, rises
from pricing.importing import Outcome, Summary
from pricing.money import per_million, usd, usd_from_pico
from pricing.publishing import Price
from pricing.rating import PriceTable
from pricing.rises import Step
from pricing.units import UNITS
from wallet import rounds

PERMISSION = "pricing.act_on_prices"


class UnknownName(ValueError):
    """A price is to be forced of a model that no list has. The text names it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did, or would do, and what it would have cost."""

    summary: Summary
    costs: list[Cost]
    is_dry_run: bool = False

    @property
    def is_news(self) -> bool:
        changed = {Outcome.NEW, Outcome.CHANGED} & set(self.summary.outcomes.values())
        return bool(changed or self.summary.refused)

    def lines(self) -> Iterator[str]:
        """For people: a sentence, then each price that changes or was refused."""
        yield _sentence(self.summary, is_dry_run=self.is_dry_run)
        for cost in self.costs:
            yield from _change(cost)
        for name, reason in sorted(self.summary.refused.items()):
            yield f"not taken over: {name}: {reason}"

    def outcomes(self) -> Iterator[str]:
        """Every model that is new, changed or left to staff."""
        for outcome in (Outcome.NEW, Outcome.CHANGED, Outcome.LEFT_TO_STAFF):
            for name, found in sorted(self.summary.outcomes.items()):
                if found is outcome:
                    yield f"{outcome}: {name}"

    def unsold(self) -> Iterator[str]:
        """Every model that is not for sale, and why."""
        for name, reason in sorted(self.summary.unsold.items()):
            yield f"not sold: {name}: {reason}"


def run(*, forced: Collection[str] = (), dry_run: bool = False) -> Report:
    """Bring the catalogue in line with the lists. Raises UnknownName, PublishingError or ValueError for a bad list."""
    now = timezone.now()
    listings = list(chain(genai_listings.listings(), per_use_listings.listings()))
    unknown = sorted(set(forced) - {listing.name for listing in listings})
    if unknown:
        raise UnknownName(f"No price list has a model named {', '.join(unknown)}.")
    summary = importing.run(listings, forced=forced, dry_run=dry_run)
    catalogue.forget()
    return Report(summary, repricing.costs(summary.changes, now), dry_run)


def run_daily() -> None:
    """The periodic job, where the operator turned it on: import, and write to staff what changed or was refused."""
    if not settings.PRICE_IMPORT_DAILY:
        return
    report = run()
    if not report.is_news:
        return
    staff = [
        user.email
        for user in User.objects.filter(is_staff=True, is_active=True)
        if audit.may(user, PERMISSION)
    ]
    rounds.go_round("the mail about imported prices to", staff, partial(_write_to, report))


def _write_to(report: Report, address: str) -> None:
    text = "\n".join([*report.lines(), "", *report.outcomes()])
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}Prices were imported",
        f"{text}\n\nA price that was not taken over is imported by: manage.py import_prices --force NAME\n",
        None,
        [address],
    )


def _sentence(summary: Summary, *, is_dry_run: bool) -> str:
    new, changed = summary.count(Outcome.NEW), summary.count(Outcome.CHANGED)
    what = f"{new} new, {changed} changed" if new or changed else "nothing changed"
    if is_dry_run:
        what = f"{new} would be new, {changed} would change" if new or changed else "nothing would change"
    left = summary.count(Outcome.LEFT_TO_STAFF)
    staff = f", {left} left to staff" if left else ""
    refused = f", {len(summary.refused)} prices not taken over" if summary.refused else ""
    return (
        f"{len(summary.outcomes)} models: {what}{staff}{refused}; {len(summary.unsold)} of them are not sold."
    )


def _change(cost: Cost) -> Iterator[str]:
    change = cost.change
    yield f"{change.name}, from {_moment(change.after.effective_from)}:"
    steps = rises.steps(_table(change.before), _table(change.after))
    yield from (f"  {_step(step)}" for step in steps)
    if not steps:
        yield "  other units or context sizes are priced"
    if not cost.calls and not cost.not_ratable:
        yield "  nobody called it in the last 30 days"
        return
    difference = cost.would_nanousd - cost.charged_nanousd
    sign = "+" if difference > 0 else ""
    yield (
        f"  last 30 days: {cost.calls:,} calls of {len(cost.wallets):,} customers cost {usd(cost.charged_nanousd)},"
        f" and would have cost {usd(cost.would_nanousd)} ({sign}{usd(difference)})"
    )
    if cost.not_ratable:
        yield f"  {cost.not_ratable:,} calls could not have been charged: they used what has no price any more"


def _table(price: Price) -> PriceTable:
    return PriceTable(0, price.multiplier_bp, price.rates)


def _step(step: Step) -> str:
    unit = UNITS[step.unit]
    show = per_million if unit.is_per_million else usd_from_pico
    above = f" above {step.above_input_tokens:,} input tokens" if step.above_input_tokens else ""
    return f"{unit.label}{above}: {show(step.before_picousd)} → {show(step.after_picousd)} / {unit.per}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
