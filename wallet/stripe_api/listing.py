"""Lists of what lies at Stripe, page by page and newest first, and waiting where Stripe is busy.

A page begins after the last id of the page before, so what is made meanwhile shifts nothing, and a reader that
was stopped goes on from the last id that it kept.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from wallet.stripe_api.client import StripeRefused, StripeUnavailable, asking, optional
from wallet.stripe_api.sessions import Session, read_session

PAGE = 100
# How long a list waits for a Stripe that fails or asks for patience: about two minutes in all, then it gives up.
WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
_sleep = time.sleep

API_VERSION = stripe.api_version or ""
"""The version in which objects are read, whatever version an endpoint's events come in."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A PaymentIntent. `amount_received` is in minor units of its currency."""

    id: str
    status: str
    amount_received: int


@dataclass(frozen=True, slots=True)
class Charge:
    """An attempt to take money; `paid` where it was taken. `refunded` counts refunds that did not fail."""

    id: str
    payment_intent_id: str | None
    paid: bool
    amount: int
    refunded: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Returned:
    """A refund, as far as it is compared; whoever books it reads it again."""

    id: str
    status: str | None
    amount: int


@dataclass(frozen=True, slots=True)
class Disputed:
    """A dispute, as far as it is compared: its status, and what its balance transactions took and gave back."""

    id: str
    status: str
    withdrawn: int
    reinstated: int


@dataclass(frozen=True, slots=True)
class BalanceTransaction:
    """A movement of the money that lies at Stripe. Signed, in minor units; `net = amount − fee`.

    `returned` is what went back of the charge that it is of.
    """

    id: str
    type: str
    reporting_category: str
    source_id: str
    charge_id: str | None
    payment_intent_id: str | None
    currency: str
    amount: int
    fee: int
    net: int
    made_at: datetime
    returned: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Stripe posts events to. `api_version` is None where it is the account's own."""

    url: str
    status: str
    api_version: str | None
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Up to 100 objects. `last_id` is where the next page begins, `reached` when the oldest of them was made."""

    items: list[T]
    last_id: str
    reached: datetime


type Pages[T] = Iterator[Page[T]]


def sessions(since: datetime, after: str | None = None) -> Pages[Session]:
    def ask(client: stripe.StripeClient, given: Any) -> Any:
        return client.v1.checkout.sessions.list(given | {"expand": ["data.payment_intent"]})

    return _pages(ask, read_session, since, after)


def payments(since: datetime, after: str | None = None) -> Pages[Payment]:
    return _pages(lambda client, given: client.v1.payment_intents.list(given), _payment, since, after)


def charges(since: datetime, after: str | None = None) -> Pages[Charge]:
    return _pages(lambda client, given: client.v1.charges.list(given), _charge, since, after)


def refunds(since: datetime, after: str | None = None) -> Pages[Returned]:
    return _pages(lambda client, given: client.v1.refunds.list(given), _returned, since, after)


def disputes(since: datetime, after: str | None = None) -> Pages[Disputed]:
    return _pages(lambda client, given: client.v1.disputes.list(given), _disputed, since, after)


def balance_transactions(since: datetime, after: str | None = None) -> Pages[BalanceTransaction]:
    def ask(client: stripe.StripeClient, given: Any) -> Any:
        return client.v1.balance_transactions.list(given | {"expand": ["data.source"]})

    return _pages(ask, _balance_transaction, since, after)


def balance_transaction(transaction_id: str) -> BalanceTransaction:
    """One of them, as it is now. Raises StripeRefused where there is none."""

    def ask() -> Any:
        with asking() as client:
            return client.v1.balance_transactions.retrieve(transaction_id, {"expand": ["source"]})

    return _balance_transaction(patiently(ask))


def payment(payment_intent_id: str) -> Payment | None:
    """A payment as it is now; None where Stripe knows none of this id."""

    def ask() -> Any:
        with asking() as client:
            return client.v1.payment_intents.retrieve(payment_intent_id)

    try:
        return _payment(patiently(ask))
    except StripeRefused as error:
        if error.code != "resource_missing":
            raise
        return None


def charge(charge_id: str) -> Charge:
    """A charge as it is now."""

    def ask() -> Any:
        with asking() as client:
            return client.v1.charges.retrieve(charge_id)

    return _charge(patiently(ask))


def refunds_of(charge_id: str) -> list[str]:
    """Ids of all refunds of a charge."""
    pages = _pages(
        lambda client, given: client.v1.refunds.list(given | {"charge": charge_id}), _returned, None, None
    )
    return [refund.id for page in pages for refund in page.items]


def endpoints() -> list[Endpoint]:
    """Every webhook endpoint of the account."""
    pages = _pages(lambda client, given: client.v1.webhook_endpoints.list(given), _endpoint, None, None)
    return [endpoint for page in pages for endpoint in page.items]


def _pages[T](
    ask: Callable[[stripe.StripeClient, Any], Any],
    read: Callable[[Any], T],
    since: datetime | None,
    after: str | None,
) -> Pages[T]:
    """Raises StripeUnavailable where Stripe stays away, StripeRefused as where `after` is not known any more."""

    def asked() -> Any:
        with asking() as client:
            return ask(client, given)

    while True:
        given: dict[str, Any] = {"limit": PAGE}
        if since is not None:
            given["created"] = {"gte": int(since.timestamp())}
        if after is not None:
            given["starting_after"] = after
        found = patiently(asked)
        if not found.data:
            return
        last = found.data[-1]
        yield Page([read(each) for each in found.data], last.id, _time(last.created))
        if not found.has_more:
            return
        after = last.id


def patiently[T](ask: Callable[[], T]) -> T:
    """Ask again where Stripe is busy or away, after waits that grow; reading has no effect that could come twice."""
    for wait_s in WAITS_S:
        try:
            return ask()
        except StripeUnavailable:
            _sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 (only spreads retries)
    return ask()


def _payment(found: Any) -> Payment:
    return Payment(id=found.id, status=found.status, amount_received=found.amount_received)


def _charge(found: Any) -> Charge:
    return Charge(
        id=found.id,
        payment_intent_id=_id(found.payment_intent),
        paid=bool(found.paid and found.captured),
        amount=found.amount_captured,
        refunded=found.amount_refunded,
        made_at=_time(found.created),
    )


def _returned(found: Any) -> Returned:
    return Returned(id=found.id, status=found.status, amount=found.amount)


def _disputed(found: Any) -> Disputed:
    moved = [entry.amount for entry in found.balance_transactions]
    return Disputed(
        id=found.id,
        status=found.status,
        withdrawn=-sum(amount for amount in moved if amount < 0),
        reinstated=sum(amount for amount in moved if amount > 0),
    )


def _balance_transaction(found: Any) -> BalanceTransaction:
    source = found.source
    source_id = _id(source) or ""
    kind = optional(source, "object")
    return BalanceTransaction(
        id=found.id,
        type=found.type,
        reporting_category=found.reporting_category or "",
        source_id=source_id,
        charge_id=source_id if kind == "charge" else _id(optional(source, "charge")),
        payment_intent_id=_id(optional(source, "payment_intent")),
        currency=found.currency,
        amount=found.amount,
        fee=found.fee,
        net=found.net,
        made_at=_time(found.created),
        returned=source.amount_refunded if kind == "charge" else 0,
    )


def _endpoint(found: Any) -> Endpoint:
    return Endpoint(
        url=found.url,
        status=found.status,
        api_version=optional(found, "api_version"),
        events=frozenset(found.enabled_events),
    )


def _id(found: Any) -> str | None:
    """The id of what is named or expanded."""
    return found if found is None or isinstance(found, str) else str(found.id)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
