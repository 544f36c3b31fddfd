"""Events as Stripe posts them: what it signed, and nothing else."""

import json
import re
import time
from typing import Any

import stripe
from django.conf import settings

SIGNATURE_TOLERANCE_S = 300
# Two secrets sign while one is being changed, and `v0` comes in test mode; Stripe sends a few hundred characters.
LONGEST_SIGNATURE = 2048
_TIME = re.compile(r"t=([0-9]{1,12})")
_V1 = re.compile(r"v1=[0-9a-f]{64}")


class NotStripe(Exception):
    """A webhook that Stripe did not sign, or that is no event."""


def signature_of(header: str | None) -> str:
    """The header, where a body could fit it: one time of these minutes, and a `v1`. Raises NotStripe with a sentence.

    A signature is good for 300 seconds to either side; the library by itself takes any time to come.
    """
    if not header:
        raise NotStripe("The Stripe-Signature header is missing.")
    parts = [part.strip() for part in header[: LONGEST_SIGNATURE + 1].split(",")]
    times = [part for part in parts if part.startswith("t=")]
    at = _TIME.fullmatch(times[0]) if len(times) == 1 else None
    if len(header) > LONGEST_SIGNATURE or at is None or not any(_V1.fullmatch(part) for part in parts):
        raise NotStripe("The Stripe-Signature header is not one of Stripe's.")
    if abs(int(at[1]) - time.time()) > SIGNATURE_TOLERANCE_S:
        raise NotStripe("The signature was not made within 300 seconds of now.")
    return header


def read_event(body: bytes, signature: str) -> dict[str, Any]:
    """The event in a webhook's body, once its signature is verified. Raises NotStripe with a sentence.

    `signature` has passed `signature_of`.
    """
    try:
        # What construct_event does, without making an object of the library's that nobody needs.
        text = body.decode()
        stripe.WebhookSignature.verify_header(
            text, signature, settings.STRIPE_WEBHOOK_SECRET, tolerance=SIGNATURE_TOLERANCE_S
        )
        event = json.loads(text, parse_constant=_refuse_constant)
    except stripe.SignatureVerificationError as error:
        raise NotStripe("The signature does not fit this body and this time.") from error
    except (ValueError, RecursionError) as error:
        raise NotStripe("This is not an event.") from error
    if not isinstance(event, dict) or event.get("object") != "event":
        # Among others the thin events, which are named otherwise.
        raise NotStripe("This is not an event.")
    return event


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")
