"""The refund form, and what the wallet's page shows beside it."""

import uuid

from django import forms
from django.conf import settings

from pricing.money import NANO_PER_CENT, usd
from wallet import refunds
from wallet.forms import AmountForm
from wallet.models import Wallet
from wallet.refunds import payments as refund_payments
from wallet.refunds import refundable
from wallet.refunds import requests as refund_requests
from wallet.refunds.refundable import Part, Refundable

PAYMENTS_SHOWN = 10


class RefundForm(AmountForm):
    """`cleaned_data["amount"]` is whole cents of USD; whether so much is there, the wallet says."""

    def clean_amount(self) -> int:
        cents = super().clean_amount()
        if not cents:
            raise forms.ValidationError("Enter an amount above zero.")
        return cents


def unbound() -> RefundForm:
    return RefundForm(initial={"form_id": uuid.uuid4()}, auto_id="refund_%s")


def on_wallet_page(wallet: Wallet, form: RefundForm) -> dict[str, object]:
    """What the page says of refunds: those under way, what is refundable, and how that comes about."""
    found = refunds.overview(wallet)
    parts = refundable.allocate(found.payments, found.cents) if found.cents else []
    return {
        "refund_form": form,
        "refund_form_id": form["form_id"].value() or "",
        "refundable": found,
        "refundable_payments": _payments(parts, wallet),
        "payments_left_out": len(parts) - PAYMENTS_SHOWN,
        "refundable_tax_nanousd": sum(part.tax_cents for part in parts) * NANO_PER_CENT,
        "refundable_whole_nanousd": sum(part.amount_cents + part.tax_cents for part in parts) * NANO_PER_CENT,
        "are_disputed": refund_payments.are_disputed(wallet),
        "refunds_wait": refunds.waits_for_staff(wallet),
        "refund_approval_above": _limit(),
        "refund_requests": refund_requests.to_see(wallet),
    }


def too_much(found: Refundable) -> str:
    """The sentence beside the field."""
    if not found.cents:
        return "Nothing can be refunded at the moment."
    return f"At most {usd(found.nanousd)} can be refunded at the moment."


def other_amount(cents: int) -> str:
    """The sentence for a form that was sent before, with another amount."""
    return (
        f"This form was sent before, and a refund of {usd(cents * NANO_PER_CENT)} came of it."
        " Send it again only if you want this one too."
    )


def _payments(parts: list[Part], wallet: Wallet) -> list[dict[str, object]]:
    """The payments that all of it would go to, with how much; less tax that is together what is refundable."""
    shown = parts[:PAYMENTS_SHOWN]
    top_ups = wallet.top_ups.in_bulk([part.top_up_id for part in shown])
    return [
        {
            "top_up": top_ups[part.top_up_id],
            "tax_nanousd": part.tax_cents * NANO_PER_CENT,
            "whole_nanousd": (part.amount_cents + part.tax_cents) * NANO_PER_CENT,
        }
        for part in shown
    ]


def _limit() -> str:
    limit = settings.REFUND_APPROVAL_ABOVE_CENTS
    return "" if limit is None else usd(limit * NANO_PER_CENT)
