"""Whether Stripe's events can come here. Without them everything is still booked, only later."""

from django.conf import settings
from django.urls import reverse

from wallet import events
from wallet.stripe_api import listing
from wallet.stripe_api.listing import Endpoint


def warnings() -> list[str]:
    """What keeps Stripe's events from coming here: a sentence each. Raises StripeUnavailable, StripeRefused."""
    # Without its last slash it leads to the same place.
    address = settings.SITE_URL + reverse("stripe_webhook").rstrip("/")
    ours = [endpoint for endpoint in listing.endpoints() if endpoint.url.rstrip("/") == address]
    if not ours:
        return [f"Stripe has no webhook endpoint with the address {address}/."]
    enabled = [endpoint for endpoint in ours if endpoint.status == "enabled"]
    if not enabled:
        return [f"The webhook endpoint {address}/ is {ours[0].status} at Stripe."]
    return [*_lacking(enabled), *_other_versions(enabled)]


def _lacking(enabled: list[Endpoint]) -> list[str]:
    subscribed = frozenset[str]().union(*(endpoint.events for endpoint in enabled))
    lacking = [] if "*" in subscribed else sorted(events.READERS.keys() - subscribed)
    return [f"The webhook endpoint is not subscribed to {', '.join(lacking)}."] if lacking else []


def _other_versions(enabled: list[Endpoint]) -> list[str]:
    """Stripe fixes the version when an endpoint is made; none means the account's own, which is not told."""
    others = sorted({str(each.api_version) for each in enabled} - {"None", listing.API_VERSION})
    if not others:
        return []
    return [
        f"The webhook endpoint sends events in version {', '.join(others)}; objects are read in {listing.API_VERSION}."
    ]
