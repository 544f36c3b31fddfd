"""What Stripe gives who paid: the charge, its receipt, an invoice. Kept with the top-up; moves no money.

Stripe may make them after the payment, so what is missing is looked for again. A stored address is shown only where it
leads to Stripe, whatever the row says.
"""

import datetime
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from wallet import rounds, stripe_api
from wallet.models import TopUp
from wallet.stripe_api import Session

# Stripe makes them within minutes; what is not there after days never comes.
LOOKED_FOR = datetime.timedelta(days=3)
PAUSE = datetime.timedelta(minutes=10)
LONGEST_URL = 2000
STRIPE = "stripe.com"


@dataclass(frozen=True, slots=True)
class Link:
    """A page of Stripe's about a payment."""

    name: str
    url: str


def note(top_up: TopUp, charge_id: str | None, receipt_url: str | None, invoice_url: str | None) -> bool:
    """Write into the row, unsaved, what it lacks of these; whether that was anything."""
    before = (top_up.charge_id, top_up.receipt_url, top_up.invoice_url)
    top_up.charge_id = top_up.charge_id or charge_id
    top_up.receipt_url = top_up.receipt_url or _kept(receipt_url)
    top_up.invoice_url = top_up.invoice_url or _kept(invoice_url)
    return before != (top_up.charge_id, top_up.receipt_url, top_up.invoice_url)


def fill(top_up: TopUp, session: Session) -> None:
    """Complete a paid row, whose lock the caller holds, from what Stripe just told of its own payment."""
    if session.payment_intent_id != top_up.payment_intent_id:
        return
    if note(top_up, session.charge_id, session.receipt_url, session.invoice_url):
        top_up.save(update_fields=["charge_id", "receipt_url", "invoice_url"])


def is_incomplete(top_up: TopUp) -> bool:
    """Whether Stripe may still have something that the row lacks, and was not asked a moment ago."""
    now = timezone.now()
    return (
        top_up.state == TopUp.State.PAID
        and bool(top_up.payment_intent_id)
        and bool(top_up.paid_at and top_up.paid_at > now - LOOKED_FOR)
        and not (top_up.checked_at and top_up.checked_at > now - PAUSE)
        and not (top_up.charge_id and top_up.receipt_url and (top_up.invoice_url or not _invoices(top_up)))
    )


def look_again(top_up_id: UUID) -> TopUp:
    """Ask Stripe for what a paid row lacks. Raises StripeUnavailable and StripeRefused."""
    TopUp.objects.filter(pk=top_up_id).update(checked_at=timezone.now())
    top_up = TopUp.objects.get(pk=top_up_id)
    told: tuple[str | None, str | None, str | None]
    if top_up.session_id:
        found = stripe_api.session(top_up.session_id)
        told = (found.charge_id, found.receipt_url, found.invoice_url)
    else:
        told = (*stripe_api.proof_of_payment(str(top_up.payment_intent_id)), None)
    if note(top_up, *told):
        top_up.save(update_fields=["charge_id", "receipt_url", "invoice_url"])
    return top_up


def fill_missing(limit: int = 100) -> int:
    """One round of the periodic job; returns how many rows were asked about."""
    return rounds.go_round(
        "the receipt of top-up", _missing().values_list("pk", flat=True)[:limit], look_again
    )


def links(top_up: TopUp) -> list[Link]:
    """What may be shown as a link: pages of Stripe's own, and of the stand-in while that is in use."""
    known = [("Receipt", top_up.receipt_url), ("Invoice", top_up.invoice_url)]
    return [Link(name, url) for name, url in known if url and leads_to_stripe(url)]


def leads_to_stripe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    # A browser may read these otherwise than Python does.
    if "\\" in url or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        return False
    if parts.scheme == "https" and port in (None, 443) and f".{host}".endswith(f".{STRIPE}"):
        return True
    base = urlsplit(settings.STRIPE_API_BASE)
    return (parts.scheme, parts.netloc) == (base.scheme, base.netloc)


def _kept(url: str | None) -> str:
    return url if url and len(url) <= LONGEST_URL and leads_to_stripe(url) else ""


def _invoices(top_up: TopUp) -> bool:
    return settings.STRIPE_INVOICES and not top_up.is_automatic


def _missing() -> QuerySet[TopUp]:
    now = timezone.now()
    lacks = Q(charge_id=None) | Q(receipt_url="")
    if settings.STRIPE_INVOICES:
        lacks |= Q(invoice_url="", is_automatic=False)
    paid = TopUp.objects.filter(lacks, state=TopUp.State.PAID, paid_at__gt=now - LOOKED_FOR)
    waited = Q(checked_at=None) | Q(checked_at__lt=now - PAUSE)
    return paid.filter(waited, payment_intent_id__isnull=False).order_by(
        F("checked_at").asc(nulls_first=True)
    )
