"""System checks: what must not go into production stops the start, by the name of the setting."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags
from django.core.checks import register as register_check

STRIPE = "https://api.stripe.com"


def register() -> None:
    register_check(check_stripe, Tags.security)


def check_stripe(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [Error(text, id=f"wallet.E{number:03}") for number, text in _problems()]


def _problems() -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    base, key = settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY
    if not settings.STRIPE_WEBHOOK_SECRET.strip():
        found.append((1, "STRIPE_WEBHOOK_SECRET is empty: anybody could sign events. Set it."))
    if not base.startswith(("https://", "http://")):
        found.append((2, "STRIPE_API_BASE must be an address like https://api.stripe.com."))
    if base != STRIPE and not settings.LOCAL:
        found.append((3, "STRIPE_API_BASE is not Stripe's address. A stand-in is for DEBUG=true only."))
    if base != STRIPE and settings.STRIPE_LIVEMODE:
        found.append((4, "STRIPE_SECRET_KEY is a live key, but STRIPE_API_BASE is not Stripe's address."))
    if key.startswith("sk_test_sandbox") and base == STRIPE:
        found.append(
            (5, "STRIPE_SECRET_KEY belongs to the local stand-in; set one of Stripe's, or STRIPE_API_BASE.")
        )
    return found
