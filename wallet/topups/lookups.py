"""“I paid and see nothing”: asks Stripe now about everything of one wallet that was not credited.

Reads what belongs to the wallet's own customer at Stripe and to its own top-ups, nobody else's, and settles it as an
event would; so it works where no event comes. A paid page that no top-up of ours knows is kept, parked, for staff.
"""

import datetime
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.utils import timezone

from wallet import counting, stripe_api, topups
from wallet.models import TopUp, Wallet
from wallet.stripe_api import Session, StripeRefused, StripeUnavailable
from wallet.topups import customers

logger = logging.getLogger(__name__)

SPAN = datetime.timedelta(days=30)
# Of those that the list of the customer's pages doesn't tell about, so many are asked about one by one.
MOST_ASKED = 50
# Of customers that were deleted, the last ones.
MOST_CUSTOMERS = 5
PATIENCE_S = 15.0
PER_MINUTE = 6


class TooManyLookups(Exception):
    """This wallet asked as often within a minute as it may."""


class Outcome(StrEnum):
    """What Stripe says of a top-up."""

    CREDITED = "credited"  # It was paid, and is in the wallet now.
    WAITING = "waiting"  # The bank was asked and has not answered.
    OPEN = "open"  # The page still waits for a payment.
    UNPAID = "unpaid"  # It was never paid, and can't be any more.
    REFUSED = "refused"  # The bank did not pay.
    PARKED = "parked"  # Something does not fit; staff decide.
    UNKNOWN = "unknown"  # Stripe did not answer.


OUTCOMES = {
    TopUp.State.CREATED: Outcome.UNPAID,
    TopUp.State.OPEN: Outcome.OPEN,
    TopUp.State.PENDING: Outcome.WAITING,
    TopUp.State.PAID: Outcome.CREDITED,
    TopUp.State.FAILED: Outcome.REFUSED,
    TopUp.State.EXPIRED: Outcome.UNPAID,
    TopUp.State.PARKED: Outcome.PARKED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`amount_nanousd` is what was credited, and what was wanted where nothing was."""

    outcome: Outcome
    top_up: TopUp

    @property
    def amount_nanousd(self) -> int:
        is_credited = self.outcome == Outcome.CREDITED
        return self.top_up.received_nanousd if is_credited else self.top_up.amount_nanousd


@dataclass(slots=True)
class _Look:
    """Sessions that Stripe listed, by the top-up that they belong to, and whether it stopped answering."""

    wallet: Wallet
    told: dict[UUID, Session] = field(default_factory=dict)
    is_away: bool = False


def look(wallet: Wallet) -> list[Finding]:
    """Settle what can be settled, newest first. Raises TooManyLookups. Any number of times, at once: credits once."""
    if counting.count(f"top-up-lookups-{wallet.pk}", seconds=60) > PER_MINUTE:
        raise TooManyLookups
    since = timezone.now() - SPAN
    own = TopUp.objects.filter(wallet=wallet, created_at__gt=since)
    # Those that were credited meanwhile by somebody else are told of too.
    wanted = list(own.exclude(state=TopUp.State.PAID).values_list("pk", flat=True))
    seen = _Look(wallet)
    with stripe_api.in_a_hurry(PATIENCE_S):
        try:
            listed = _sessions(wallet, since)
        except StripeUnavailable as error:
            logger.warning("Stripe is away, a look at wallet %s waits: %s", wallet.pk, error)
            listed, seen.is_away = [], True
        kept = _sort(seen, listed)
        found = own.filter(pk__in=[*wanted, *kept]).order_by("-created_at")
        return [_finding(seen, top_up, number) for number, top_up in enumerate(found)]


def _sessions(wallet: Wallet, since: datetime.datetime) -> list[Session]:
    """The pages that this wallet's own customers were given. Raises StripeUnavailable."""
    found: list[Session] = []
    for customer_id in customers.ids_of(wallet.pk)[:MOST_CUSTOMERS]:
        try:
            found += stripe_api.sessions_of_customer(customer_id, since=since)
        except StripeRefused as error:
            # One that is deleted may have none to tell of any more.
            logger.warning("Stripe refused to list the pages of %s: %s", customer_id, error)
    return found


def _sort(seen: _Look, listed: Iterable[Session]) -> list[UUID]:
    """Notes whose each session is; returns the rows made for paid ones that are nobody's."""
    kept: list[UUID] = []
    for session in listed:
        top_up = topups.of_session(session)
        if top_up is None:
            if session.payment_status == "paid" and session.amount_total:
                kept.append(_keep(seen.wallet, session, session.amount_total))
        elif top_up.wallet_id == seen.wallet.pk:
            seen.told[top_up.pk] = session
        else:
            logger.error("Session %s of wallet %s names another's top-up.", session.id, seen.wallet.pk)
    return kept


def _keep(wallet: Wallet, session: Session, amount_total: int) -> UUID:
    """A parked row, once, so that staff see what was paid and belongs to nothing."""
    problem = (
        f"Session {session.id} of this wallet's customer is paid with {amount_total} minor units of"
        f" {session.currency}, but belongs to no top-up."
    )
    made = TopUp(
        wallet=wallet,
        amount_cents=amount_total,
        state=TopUp.State.PARKED,
        session_id=session.id,
        created_at=timezone.now(),
        checked_at=timezone.now(),
        problem=problem,
    )
    TopUp.objects.bulk_create([made], ignore_conflicts=True)
    logger.error("Wallet %s: %s", wallet.pk, problem)
    return TopUp.objects.get(session_id=session.id).pk


def _finding(seen: _Look, top_up: TopUp, number: int) -> Finding:
    if top_up.state == TopUp.State.PARKED:
        return Finding(Outcome.PARKED, top_up)
    try:
        now = _ask(seen, top_up, number)
    except StripeUnavailable as error:
        logger.warning("Stripe is away, a look at top-up %s waits: %s", top_up.pk, error)
        seen.is_away = True
        return Finding(Outcome.UNKNOWN, top_up)
    except StripeRefused as error:
        logger.error("Stripe refused to tell about top-up %s: %s", top_up.pk, error)
        return Finding(Outcome.UNKNOWN, top_up)
    return Finding(OUTCOMES[TopUp.State(now.state)], now)


def _ask(seen: _Look, top_up: TopUp, number: int) -> TopUp:
    """How it stands now. Raises StripeUnavailable and StripeRefused."""
    session = seen.told.get(top_up.pk)
    if session is not None:
        return topups.record(top_up.pk, session).top_up
    if seen.is_away or number >= MOST_ASKED:
        raise StripeUnavailable("It is not asked about any more while a person waits.")
    if top_up.session_id:
        return topups.record(top_up.pk, stripe_api.session(top_up.session_id)).top_up
    if top_up.is_automatic:
        return topups.settle(top_up.pk).top_up
    # Stripe lists no page for it, so nobody could pay.
    return top_up
