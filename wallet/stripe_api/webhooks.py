"""Events as Stripe posts them: what it signed, and nothing else."""

import json
import time
from typing import Any, cast

import stripe
from django.conf import settings

SIGNATURE_TOLERANCE_S = 300


class NotStripe(Exception):
    """A webhook that Stripe did not sign, or that is no event."""


def read_event(body: bytes, signature: str | None) -> dict[str, Any]:
    """The event in a webhook's body, once its signature is verified. Raises NotStripe with a sentence.

    A signature is good for 300 seconds to either side; the library by itself takes any time to come.
    """
    try:
        stripe.Webhook.construct_event(
            body, signature, settings.STRIPE_WEBHOOK_SECRET, tolerance=SIGNATURE_TOLERANCE_S
        )
        event = json.loads(body, parse_constant=_refuse_constant)
    except stripe.SignatureVerificationError as error:
        raise NotStripe("The signature does not fit this body and this time.") from error
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise NotStripe("This is not an event.") from error
    if _signed_at(signature or "") > time.time() + SIGNATURE_TOLERANCE_S:
        raise NotStripe("The signature was made in the future.")
    return cast("dict[str, Any]", event)


def _signed_at(signature: str) -> int:
    # The same `t` that construct_event took: the first.
    return int(next(item[2:] for item in signature.split(",") if item.startswith("t=")))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")
