"""What must not go into production stops the start of every process, by the name of the setting."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

STRIPE = "https://api.stripe.com"


def require() -> None:
    """Stop where the settings could send money or secrets astray. Raises ImproperlyConfigured with a sentence."""
    for problem in problems():
        raise ImproperlyConfigured(problem)


def problems() -> list[str]:
    found: list[str] = []
    base, key = settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY
    if not settings.STRIPE_WEBHOOK_SECRET.strip():
        found.append("STRIPE_WEBHOOK_SECRET is empty: anybody could sign events. Set it.")
    if not base.startswith(("https://", "http://")):
        found.append("STRIPE_API_BASE must be an address like https://api.stripe.com.")
    if base != STRIPE and not settings.LOCAL:
        found.append("STRIPE_API_BASE is not Stripe's address. A stand-in is for DEBUG=true only.")
    if base != STRIPE and settings.STRIPE_LIVEMODE:
        found.append("STRIPE_SECRET_KEY is a live key, but STRIPE_API_BASE is not Stripe's address.")
    if base == STRIPE and key.startswith("sk_test_sandbox"):
        found.append("STRIPE_SECRET_KEY is the stand-in's. Set one of Stripe's, or STRIPE_API_BASE.")
    return found
