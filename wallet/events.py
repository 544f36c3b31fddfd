"""The inbox of Stripe's events: stored once as they come, handled when there is time, found again by the periodic job.

An event is a hint. What it tells is read again from Stripe, at our own API version, before anything follows from it; its
effect and its `handled` mark are one transaction. An event that fails is tried again later and parked at last; it never
holds up another.
"""

import datetime
import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.utils import timezone
from psycopg.types.json import Jsonb

from wallet import cards, disputes, rounds, topups
from wallet.models import StripeEvent
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import NotStripe, StripeRefused, StripeUnavailable
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost, rows

logger = logging.getLogger(__name__)

State = StripeEvent.State

type Follow = Callable[[], None]
"""What follows from an object, to be run in the transaction that marks its event as handled."""

# By the type of an event: who reads its object (by its id) from Stripe again, outside of any transaction, and says what
# follows from it. They raise Parked, StripeUnavailable or StripeRefused. Other types need nothing done.
READERS: dict[str, Callable[[str], Follow]] = {
    "charge.dispute.closed": disputes.heard_of,
    "charge.dispute.created": disputes.heard_of,
    "charge.dispute.funds_reinstated": disputes.heard_of,
    "charge.dispute.funds_withdrawn": disputes.heard_of,
    "charge.dispute.updated": disputes.heard_of,
    "checkout.session.completed": topups.heard_of_session,
    "checkout.session.async_payment_succeeded": topups.heard_of_session,
    "checkout.session.async_payment_failed": topups.heard_of_session,
    "checkout.session.expired": topups.heard_of_session,
    "customer.deleted": cards.heard_of_customer,
    "customer.updated": cards.heard_of_customer,
    "payment_intent.canceled": topups.heard_of_payment,
    "payment_intent.payment_failed": topups.heard_of_payment,
    "payment_intent.processing": topups.heard_of_payment,
    "payment_intent.succeeded": topups.heard_of_payment,
    "payment_method.automatically_updated": cards.heard_of_card,
    "payment_method.detached": cards.heard_of_card,
    "payment_method.updated": cards.heard_of_card,
    # Of one refund several come, and `charge.refunded` beside them; any one of them is enough.
    "charge.refund.updated": refund_asking.heard_of_refund,
    "charge.refunded": refund_asking.heard_of_charge,
    "refund.created": refund_asking.heard_of_refund,
    "refund.failed": refund_asking.heard_of_refund,
    "refund.updated": refund_asking.heard_of_refund,
}
# Who pays is Stripe's to know. These are never kept, however deep they stand, so that an account can be closed.
PEOPLE = {
    "account_holder_name", "address", "billing_details", "buyer_id", "cashtag", "collected_information", "custom_fields",
    "customer_address", "customer_details", "customer_email", "customer_name", "customer_phone", "customer_shipping",
    "customer_tax_ids", "email", "evidence", "individual_name", "ip_address", "name", "payer_email", "payer_id",
    "payer_name", "payment_method_details", "phone", "receipt_email", "shipping", "shipping_details", "tax_ids",
}  # fmt: skip
ATTEMPTS = 8
LONGEST_TEXT = 128
DEEPEST = 100


def store(event: dict[str, Any]) -> bool:
    """Keep a verified event, but not who paid; False where it was kept before.

    Raises NotStripe for what can't be one of Stripe's.
    """
    event_id, kind, livemode = event.get("id"), event.get("type"), event.get("livemode")
    if not (_is_text(event_id) and _is_text(kind) and isinstance(livemode, bool)):
        raise NotStripe("An event has an id, a type and a livemode.")
    if not _is_storable(event):
        raise NotStripe("This event cannot be stored.")
    found = _object(event)
    stored = rows(
        "INSERT INTO wallet_stripeevent (id, type, object_id, livemode, api_version, payload, state, received_at,"
        " attempts, next_attempt_at, error) VALUES (%s, %s, %s, %s, %s, %s, 'pending', now(), 0, now(), '')"
        " ON CONFLICT (id) DO NOTHING RETURNING id",
        [
            event_id,
            kind,
            _text(found.get("id")),
            livemode,
            _text(event.get("api_version"))[:64],
            Jsonb(_without_people(event)),
        ],
    )
    return bool(stored)


def handle(event_id: str) -> bool:
    """Do what follows from a stored event. Safe to call at any time and in parallel: one caller gets to work.

    Never raises for what the event holds or Stripe answers; the row tells. False where Stripe did not answer, or failed.
    """
    try:
        _handle(event_id)
    except StripeUnavailable:
        return False
    return True


def handle_some(ids: Iterable[str]) -> int:
    """The same of several, for as long as a round lasts; the periodic job comes back to the rest. Returns how many."""
    return rounds.go_round("Stripe event", ids, _handle)


def handle_due(limit: int = 500) -> int:
    """One round of the periodic job: events whose time has come, oldest first. Returns how many were handled."""
    due = StripeEvent.objects.filter(state=State.PENDING, next_attempt_at__lte=timezone.now())
    return handle_some(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def _handle(event_id: str) -> None:
    """Raises StripeUnavailable, and SoftTimeLimitExceeded where the task ends in between: both say nothing of the event."""
    event = _claim(event_id)
    if event is None:
        return
    try:
        _work(event)
    except Parked as reason:
        _close(event_id, State.PARKED, str(reason))
    except (StripeUnavailable, SoftTimeLimitExceeded) as error:
        # So it may wait for as long as it takes.
        StripeEvent.objects.filter(pk=event_id).update(attempts=event.attempts - 1)
        _note(event_id, str(error))
        raise
    except Exception as error:
        logger.exception("Stripe event %s failed, attempt %s", event_id, event.attempts)
        text = f"{type(error).__name__}: {error}"[:2000].replace("\x00", "")
        if event.attempts >= ATTEMPTS:
            _close(event_id, State.PARKED, text)
        else:
            _note(event_id, text)


def wait_before(attempt: int) -> datetime.timedelta:
    """How long after this attempt the next one may come: half a minute, doubling up to an hour."""
    return datetime.timedelta(seconds=min(3600, 15 * 2**attempt))


def _claim(event_id: str) -> StripeEvent | None:
    """Take the event and push its next attempt away, so that nobody else takes it and a crash only delays it."""
    with_wait = " ".join(
        f"WHEN attempts = {done} THEN {int(wait_before(done + 1).total_seconds())}"
        for done in range(ATTEMPTS)
    )
    taken = rows(
        "UPDATE wallet_stripeevent SET attempts = attempts + 1,"  # noqa: S608 (numbers of ours)
        f" next_attempt_at = now() + make_interval(secs => CASE {with_wait} ELSE 3600 END)"
        " WHERE id = %s AND state = 'pending' AND next_attempt_at <= now() RETURNING id",
        [event_id],
    )
    return StripeEvent.objects.get(pk=event_id) if taken else None


def _work(event: StripeEvent) -> None:
    reader = READERS.get(event.type)
    if reader is None:
        _close(event.pk, State.IGNORED)
        return
    if event.livemode != settings.STRIPE_LIVEMODE:
        raise Parked(f"Its livemode is {event.livemode}, ours is {settings.STRIPE_LIVEMODE}.")
    if event.payload.get("account"):
        raise Parked(f"It comes from the connected account {event.payload['account']}.")
    if not event.object_id:
        raise Parked("It names no object.")
    try:
        follow = reader(event.object_id)
    except StripeRefused as error:
        raise Parked(f"Stripe does not tell about {event.object_id}: {error}") from error

    def settle() -> None:
        row = StripeEvent.objects.select_for_update().get(pk=event.pk)
        if row.state == State.PENDING:
            follow()
            _close(event.pk, State.HANDLED)

    again_if_lost(settle)


def _close(event_id: str, state: State, error: str = "") -> None:
    StripeEvent.objects.filter(pk=event_id, state=State.PENDING).update(
        state=state, handled_at=timezone.now(), error=error
    )


def _note(event_id: str, error: str) -> None:
    StripeEvent.objects.filter(pk=event_id, state=State.PENDING).update(error=error)


def _object(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    found = data.get("object") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _without_people(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_people(item) for name, item in value.items() if name not in PEOPLE}
    return [_without_people(item) for item in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    return value if _is_text(value) and isinstance(value, str) else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT


def _is_storable(value: object) -> bool:
    """Whether PostgreSQL's JSON can hold it: no NUL, no half of a surrogate pair, no infinity, not nested for ever."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
            elif not _is_storable_leaf(item):
                return False
        if not below:
            return True
        level = below
    return False


def _is_storable_leaf(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, float) or math.isfinite(value)
