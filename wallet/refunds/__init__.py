"""Refunds: credit leaves the wallet first, then Stripe is asked. Owns wallet_refund, and the wallet's side of refunds.

Never asks Stripe itself (wallet/refunds/asking.py does, outside of any transaction), never takes more than is refundable
at that moment, and never guesses how much of a refund that was made at Stripe is tax. Invariants: a row has moved
`refund:<id>` once, and `refund_reversal:<id>` once where nothing came of it; a refund of Stripe's is one row. Whatever
changes a row holds the lock of the wallet's row, then the ledger's; so any number of callers, in any order, come to the
same books.
"""

import functools
import logging
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from wallet import corrections, dispute_shares, ledger, wallets
from wallet.models import Code, Funds, Refund, TopUp, Wallet
from wallet.refunds import mail as refund_mail
from wallet.refunds import payments as refund_payments
from wallet.refunds import refundable
from wallet.refunds.refundable import Part, Refundable
from wallet.refunds.verdicts import (
    CANCELED_BY_OWNER,
    difference,
    is_news,
    of_failure,
    state_of,
    while_pending,
)
from wallet.stripe_api import StripeRefund
from wallet.topups.verdicts import Parked
from wallet.transactions import again_if_lost

logger = logging.getLogger(__name__)

State = Refund.State
FORMS = UUID("0a1dd5a4-6d0b-4b43-8f0e-4f7f6d2f0c55")
LIMIT_HOLDS_FOR = timedelta(hours=24)
# Not when Stripe was asked, which is written while no lock is held.
WRITTEN = [
    "state", "problem", "refusal", "refund_id", "transaction_id", "checked_at", "settled_at", "decided_by", "decided_at",
]  # fmt: skip
UNKNOWN_PAYMENT = "is of no payment that is known here"


class TooMuch(Exception):
    """More than can be given back at this moment, which `refundable` explains."""

    def __init__(self, found: Refundable) -> None:
        super().__init__(f"{found.cents} cents can be given back")
        self.refundable = found


class TooManyRefunds(Exception):
    """This wallet asked for as many refunds within an hour as it may."""


class OtherAmount(Exception):
    """The form led to a refund of another amount before, of which something came."""

    def __init__(self, cents: int) -> None:
        super().__init__(f"this form led to a refund of {cents} cents before")
        self.cents = cents


def overview(wallet: Wallet) -> Refundable:
    """What can be given back, as last committed."""
    return _refundable(wallet, ledger.balances(wallet))


def start(wallet: Wallet, amount_cents: int, form_id: str = "") -> UUID:
    """Take `amount_cents` out of the wallet, to be given back; returns the id that the rows of this request share.

    The same form sent again leads to the same request, unless nothing came of that: then to the next one, however often
    it is sent. Raises TooMuch, TooManyRefunds, and OtherAmount where something came of this form with another amount;
    nothing is taken.
    The rows wait for staff where the operator's settings say so, or the wallet is suspended.
    """
    key = uuid5(FORMS, f"{wallet.pk} {form_id}") if form_id else uuid4()

    def work() -> UUID:
        locked = wallets.require_owner(lock(wallet.pk))
        request_id = key
        while before := _of_request(request_id):
            if _came_to_something(before):
                _same_amount(before, amount_cents)
                return request_id
            request_id = uuid5(request_id, "next")
        _check_rate(locked)
        _take(locked, amount_cents, request_id)
        return request_id

    return again_if_lost(work)


def cancel(wallet: Wallet, request_id: UUID) -> bool:
    """Put back what still waits for staff; False where nothing does. Any number of times."""

    def work() -> bool:
        lock(wallet.pk)
        waiting = list(
            Refund.objects.filter(wallet=wallet, request_id=request_id, state=State.WAITING).order_by("pk")
        )
        for row in waiting:
            end(row, State.CANCELED, CANCELED_BY_OWNER)
        return bool(waiting)

    return again_if_lost(work)


def record(told: StripeRefund) -> Refund:
    """Write down what Stripe just told about a refund, in a transaction of its own. Raises Parked."""
    return again_if_lost(lambda: apply(told))


def apply(told: StripeRefund) -> Refund:
    """The same inside the caller's transaction, whether we asked for it or it was made at Stripe.

    Locks the wallet's row, then `ledger.lock`. Raises Parked for what can't be understood, with nothing written.
    """
    state = state_of(told)
    top_up = payment_of(told)
    lock(top_up.wallet_id)
    row = _row_of(told, top_up) or _made_at_stripe(told, top_up, state)
    row.checked_at = timezone.now()
    row.transaction_id = told.transaction_id or row.transaction_id
    if row.refund_id is None or row.refund_id == row.transaction_id:
        row.refund_id = told.id
    if is_news(state, row):
        if state in Refund.RETURNED:
            end(row, state, _sentence(told, state))
            return row
        row.state = state
        row.problem = ""
        if state == State.SUCCEEDED:
            row.settled_at = row.checked_at
            _tell(row)
    if row.state == state == State.PENDING:
        row.problem = while_pending(told)
    row.save(update_fields=WRITTEN)
    dispute_shares.tell_excess(top_up)
    return row


def payment_of(told: StripeRefund) -> TopUp:
    """The top-up that a refund gives back. Raises Parked where no payment of ours is known by these ids."""
    paid = TopUp.objects.filter(state=TopUp.State.PAID)
    found = None
    if told.payment_intent_id:
        found = paid.filter(payment_intent_id=told.payment_intent_id).first()
    elif told.charge_id:
        found = paid.filter(charge_id=told.charge_id).first()
    if found is None:
        named = told.payment_intent_id or told.charge_id
        raise Parked(f"Refund {told.id} {UNKNOWN_PAYMENT}: {named}.")
    return found


def give_up(refund_id: UUID, problem: str, refusal: str = "") -> None:
    """Nothing came of asking Stripe: back into the wallet with it, unless it is at Stripe after all.

    The owner reads `problem`; `refusal` is what Stripe said, for staff.
    """

    def work() -> None:
        row = Refund.objects.get(pk=refund_id)
        lock(row.wallet_id)
        row.refresh_from_db()
        if row.state == State.CREATED and row.refund_id is None:
            row.refusal = refusal
            end(row, State.FAILED, problem)

    again_if_lost(work)


def end(row: Refund, state: Refund.State, problem: str) -> None:
    """Put it back into the wallet. The wallet's row must be locked, and the row read after that."""
    row.state, row.problem, row.settled_at = state, problem, timezone.now()
    _move(row.wallet, [row], is_back=True)
    if row.wallet.owner.closed_at is not None:
        row.problem = f"{problem} Its owner has closed the account, so staff pay it back in another way."
        logger.error("Refund %s came back into the wallet of a closed account: %s", row.pk, problem)
    row.save(update_fields=WRITTEN)
    dispute_shares.split_anew(row)
    dispute_shares.tell_excess(row.top_up)
    _tell(row)


def waits_for_staff(wallet: Wallet) -> bool:
    """Whether staff approve every refund of this wallet, whatever its amount."""
    days = settings.REFUND_MIN_ACCOUNT_AGE_DAYS
    is_young = days is not None and wallet.owner.date_joined > timezone.now() - timedelta(days=days)
    return wallet.suspended_at is not None or is_young


def lock(wallet_id: int) -> Wallet:
    """Hold the wallet's row until the transaction ends, as everybody does who changes its refunds; then the ledger's."""
    locked = wallets.lock(wallet_id)
    ledger.lock([wallet_id])
    return locked


def _of_request(request_id: UUID) -> list[Refund]:
    return list(Refund.objects.filter(request_id=request_id))


def _came_to_something(before: list[Refund]) -> bool:
    return any(row.state not in Refund.RETURNED for row in before)


def _same_amount(before: list[Refund], amount_cents: int) -> None:
    asked_cents = sum(row.amount_cents for row in before)
    if asked_cents != amount_cents:
        raise OtherAmount(asked_cents)


def _refundable(wallet: Wallet, funds: Funds) -> Refundable:
    return refundable.of_wallet(
        paid_nanousd=funds.paid_nanousd,
        promotional_nanousd=funds.promotional_nanousd,
        held_nanousd=funds.held_nanousd,
        payments=refund_payments.of_wallet(wallet),
    )


def _check_rate(wallet: Wallet) -> None:
    """Whatever became of them: each is some questions to Stripe, or a look of staff."""
    an_hour_ago = timezone.now() - timedelta(hours=1)
    lately = Refund.objects.filter(wallet=wallet, origin=Refund.Origin.OWNER, created_at__gt=an_hour_ago)
    if lately.order_by().values("request_id").distinct().count() >= settings.REFUNDS_PER_HOUR:
        raise TooManyRefunds


def _take(wallet: Wallet, amount_cents: int, request_id: UUID) -> None:
    # With the funds locked no call is let in meanwhile on what leaves the wallet here.
    funds = Funds.objects.select_for_update().get(wallet=wallet)
    found = _refundable(wallet, funds)
    if amount_cents > found.cents:
        raise TooMuch(found)
    state = State.WAITING if _needs_staff(wallet, amount_cents) else State.CREATED
    rows = [
        _row(wallet, part, id=uuid5(request_id, str(part.top_up_id)), request_id=request_id, state=state)
        for part in refundable.allocate(found.payments, amount_cents)
    ]
    Refund.objects.bulk_create(rows)
    _move(wallet, rows)


def _row(wallet: Wallet, part: Part, **more: object) -> Refund:
    return Refund(
        wallet=wallet,
        top_up_id=part.top_up_id,
        amount_cents=part.amount_cents,
        tax_cents=part.tax_cents,
        created_at=timezone.now(),
        **more,
    )


def _needs_staff(wallet: Wallet, amount_cents: int) -> bool:
    """Whether staff approve first. What was asked for within a day counts together, so that parts make no difference."""
    if waits_for_staff(wallet):
        return True
    limit = settings.REFUND_APPROVAL_ABOVE_CENTS
    if limit is None:
        return False
    recent = Refund.objects.filter(
        wallet=wallet, origin=Refund.Origin.OWNER, created_at__gt=timezone.now() - LIMIT_HOLDS_FOR
    ).exclude(state__in=Refund.RETURNED)
    asked_cents: int = recent.aggregate(total=Sum("amount_cents", default=0))["total"]
    return asked_cents + amount_cents > limit


def _row_of(told: StripeRefund, top_up: TopUp) -> Refund | None:
    """The row that stands for this refund; the wallet is locked.

    A row that Stripe answered for is known by Stripe's id, or by the movement of its money. One that it did not answer for
    is known by our metadata, as long as all else fits, and nothing else came of the row: else the refund is one that was
    made at Stripe.
    """
    rows = Refund.objects.select_related("top_up", "wallet")
    row = rows.filter(refund_id=told.id).first()
    if row is None and told.transaction_id:
        row = rows.filter(transaction_id=told.transaction_id).first()
    if row is not None:
        problem = difference(told, row)
        if problem:
            raise Parked(problem)
        return row
    if not told.transaction_id:
        # A debit that a bank took back was booked by its movement alone, which this refund does not name yet.
        row = rows.filter(top_up=top_up, refund_id=F("transaction_id")).first()
        if row is not None and not difference(told, row):
            return row
    try:
        row = rows.filter(pk=UUID(told.row_id or ""), refund_id=None, state=State.CREATED).first()
    except ValueError:
        return None
    return row if row is not None and not difference(told, row) else None


def _made_at_stripe(told: StripeRefund, top_up: TopUp, state: Refund.State) -> Refund:
    """A row for a refund that nobody asked for here: the credit leaves the wallet now, below zero if need be.

    One of which nothing has come already is only written down.
    """
    has_left = state not in Refund.RETURNED
    if has_left and corrections.is_undone(top_up):
        raise Parked(
            f"Refund {told.id} is of a payment that staff took back by a correction. Undo one of the two."
        )
    part = refundable.split(refund_payments.to_split(top_up, told.amount), told.amount)
    pk = uuid5(FORMS, told.id)
    row = _row(top_up.wallet, part, id=pk, request_id=pk, origin=Refund.Origin.STRIPE, left_wallet=has_left)
    if not has_left:
        row.state, row.settled_at = state, row.created_at
        row.problem = f"{_sentence(told, state)} Nothing had left the wallet for it."
    row.save(force_insert=True)
    if has_left:
        _move(top_up.wallet, [row])
    return row


def _move(wallet: Wallet, rows: Iterable[Refund], *, is_back: bool = False) -> None:
    """Out of the wallet, and the tax out of what is owed to the state; or both back. Once a row."""
    code = Code.REFUND_REVERSAL if is_back else Code.REFUND
    pending = ledger.house("refunds_pending")
    sources = ledger.paid(wallet), ledger.house("tax_payable")
    for row in rows:
        name = f"{code.value}:{row.pk}"
        details = {
            "refund": str(row.pk),
            "refund_request": str(row.request_id),
            "top_up": str(row.top_up_id),
        }
        moved = [(code, name, row.amount_nanousd), (Code.TAX, f"tax:{name}", row.tax_nanousd)]
        for source, (kind, reference, amount) in zip(sources, moved, strict=True):
            if amount:
                ledger.post(
                    code=kind,
                    reference=reference,
                    debit=pending if is_back else source,
                    credit=source if is_back else pending,
                    amount_nanousd=amount,
                    details=details,
                )


def _sentence(told: StripeRefund, state: Refund.State) -> str:
    return "Stripe canceled it." if state == State.CANCELED else of_failure(told.failure_reason)


def _tell(row: Refund) -> None:
    """A mail is due, and sent at once where the request has ended with this."""
    Refund.objects.filter(pk=row.pk).update(is_told=False)
    transaction.on_commit(functools.partial(refund_mail.tell, row.request_id), robust=True)
