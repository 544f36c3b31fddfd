"""Stripe's side of the books: every balance transaction of Stripe's, stored once and booked once.

Owns wallet_stripetransaction, and `stripe_clearing` but for the credit and tax of a top-up, which a charge's own
balance transaction is matched with. The wallet's side of refunds and disputes is booked by their own modules;
`refunds_pending` and `disputes` stand between the two and are zero when both are known. Nothing is guessed: what fits
nothing of ours moves nothing, stays `unexplained` with a sentence, and is tried again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min, Q, QuerySet
from django.utils import timezone

from pricing.money import NANO_PER_CENT, usd
from wallet import ledger
from wallet.models import Code, Dispute, Refund, StripeTransaction, TopUp, Transfer
from wallet.stripe_api.listing import BalanceTransaction
from wallet.transactions import again_if_lost, report_rows

State = StripeTransaction.State

CURRENCY = "usd"
# Stripe's clock and ours need not be the same.
BEFORE = timedelta(days=1)
# By then every payment that a top-up can claim is credited: each run looks at all that is unfinished.
UNCLAIMED = timedelta(days=1)
CHARGES = {"charge", "payment"}
# By type, or reporting category where that says more: the house account that stands opposite, and the codes of money
# that leaves Stripe and of money that comes back.
REFUNDS = ("refunds_pending", Code.REFUND, Code.REFUND_REVERSAL)
DISPUTES = ("disputes", Code.DISPUTE, Code.DISPUTE_REVERSAL)
PAYOUTS = ("bank", Code.PAYOUT, Code.PAYOUT)
REFUND_TYPES = {"refund", "payment_refund", "refund_failure", "payment_failure_refund"}
DISPUTE_CATEGORIES = {"dispute", "dispute_reversal"}
PAYOUT_TYPES = {"payout", "payout_failure", "payout_cancel"}
# The amount is itself a fee.
FEE_TYPES = {"stripe_fee", "stripe_fx_fee", "tax_fee", "network_cost"}


class Unexplained(Exception):
    """Fits nothing of ours; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Posting:
    """What leaves `stripe_clearing` for the house account `kind` (negative: what comes from it), in cents."""

    code: Code
    kind: str
    cents: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Our ledger beside Stripe, in nano-dollars, as of one moment."""

    clearing_nanousd: int
    stripe_nanousd: int
    in_transit_nanousd: int
    unexplained_nanousd: int
    corrections_nanousd: int

    @property
    def difference_nanousd(self) -> int:
        """What the ledger has beyond Stripe and what is on its way there; zero where they are equal."""
        return self.clearing_nanousd - self.stripe_nanousd - self.in_transit_nanousd


def book(told: BalanceTransaction) -> StripeTransaction:
    """Store a balance transaction and post what it moved, in one transaction. Any number of times, at once: once.

    Never raises for what it says; the row's state and `problem` do. What could not be explained before is tried again.
    """
    return again_if_lost(lambda: _book(told))


def unexplained() -> QuerySet[StripeTransaction]:
    """Those that fit nothing of ours, oldest first."""
    return StripeTransaction.objects.filter(state=State.UNEXPLAINED).order_by("made_at", "pk")


def to_try_again(limit: int) -> list[StripeTransaction]:
    """So many of the unexplained, those that were not asked about for longest; the next call gives others."""
    found = list(unexplained().order_by(F("checked_at").asc(nulls_first=True), "pk")[:limit])
    StripeTransaction.objects.filter(pk__in=[row.pk for row in found]).update(checked_at=timezone.now())
    return found


def begin() -> datetime | None:
    """Since when what lies at Stripe can be ours: a day before our first top-up. None where there is none."""
    first: datetime | None = TopUp.objects.aggregate(first=Min("created_at"))["first"]
    return first and first - BEFORE


def in_transit() -> QuerySet[TopUp]:
    """Top-ups that are credited while Stripe has not told its balance transaction."""
    matched = StripeTransaction.objects.filter(type__in=CHARGES, state=State.BOOKED)
    waiting = TopUp.objects.filter(state=TopUp.State.PAID, payment_intent_id__isnull=False)
    waiting = waiting.filter(Q(received_cents__gt=0) | Q(tax_cents__gt=0))
    return waiting.filter(Q(charge_id=None) | ~Q(charge_id__in=matched.order_by().values("source_id")))


# One statement, so that all numbers are of one moment. Money that lies at Stripe is a debit balance.
STANDING = """
    SELECT
        (SELECT coalesce(-sum(h.balance_nanousd), 0) FROM wallet_housebalance h WHERE h.account_id = %(clearing)s),
        (SELECT coalesce(sum(amount_cents - fee_cents), 0) FROM wallet_stripetransaction WHERE currency = 'usd'),
        (SELECT coalesce(sum(received_cents + coalesce(tax_cents, 0)), 0) FROM wallet_topup t
            WHERE t.state = 'paid' AND NOT EXISTS (SELECT FROM wallet_stripetransaction s
                WHERE s.source_id = t.charge_id AND s.type IN ('charge', 'payment') AND s.state = 'booked')),
        (SELECT coalesce(sum(amount_cents - fee_cents), 0) FROM wallet_stripetransaction
            WHERE state = 'unexplained' AND currency = 'usd'),
        (SELECT coalesce(sum(CASE WHEN debit_account_id = %(clearing)s THEN amount_nanousd ELSE -amount_nanousd END), 0)
            FROM wallet_transfer WHERE corrects_id IS NOT NULL
                AND %(clearing)s IN (debit_account_id, credit_account_id))
"""


def standing() -> Standing:
    """How our ledger and Stripe's balance transactions stand to each other now."""
    parameters = {"clearing": ledger.house_id("stripe_clearing")}
    clearing, stripe, transit, unknown, corrections = map(int, report_rows(STANDING, parameters)[0])
    return Standing(
        clearing_nanousd=clearing,
        stripe_nanousd=stripe * NANO_PER_CENT,
        in_transit_nanousd=transit * NANO_PER_CENT,
        unexplained_nanousd=unknown * NANO_PER_CENT,
        corrections_nanousd=corrections,
    )


def _book(told: BalanceTransaction) -> StripeTransaction:
    _store(told)
    row = StripeTransaction.objects.select_for_update().get(pk=told.id)
    if row.state == State.BOOKED:
        return row
    try:
        # Its transfers, all or none.
        with transaction.atomic():
            for posting in _postings(told):
                _post(told, posting)
    except (Unexplained, ledger.ReferenceConflict) as reason:
        row.problem = str(reason)
    else:
        row.state, row.problem = State.BOOKED, ""
    row.save(update_fields=["state", "problem"])
    return row


def _store(told: BalanceTransaction) -> None:
    row = StripeTransaction(
        id=told.id,
        type=told.type,
        reporting_category=told.reporting_category,
        source_id=told.source_id,
        currency=told.currency,
        amount_cents=told.amount,
        fee_cents=told.fee,
        made_at=told.made_at,
        checked_at=timezone.now(),
    )
    StripeTransaction.objects.bulk_create([row], ignore_conflicts=True)


def _postings(told: BalanceTransaction) -> list[Posting]:
    """What a balance transaction moves in our books. Raises Unexplained."""
    if told.currency != CURRENCY:
        raise Unexplained(f"Its currency is {told.currency}; the books are in {CURRENCY}.")
    if told.net != told.amount - told.fee:
        raise Unexplained(f"Its net of {told.net} is not {told.amount} less a fee of {told.fee}.")
    fee = Posting(Code.STRIPE_FEE, "stripe_fees", told.fee)
    if told.type in FEE_TYPES:
        return [Posting(Code.STRIPE_FEE, "stripe_fees", told.fee - told.amount)]
    if told.type in CHARGES:
        return [*_charge(told), fee]
    kind, out, back = _opposite(told)
    return [Posting(out if told.amount < 0 else back, kind, -told.amount), fee]


def _opposite(told: BalanceTransaction) -> tuple[str, Code, Code]:
    if told.type in REFUND_TYPES or told.reporting_category in REFUND_TYPES:
        _expect_refund(told)
        return REFUNDS
    if told.type == "adjustment" and told.reporting_category in DISPUTE_CATEGORIES:
        if not Dispute.objects.filter(pk=told.source_id).exists():
            raise Unexplained(f"Dispute {told.source_id} is not known here.")
        return DISPUTES
    if told.type in PAYOUT_TYPES:
        return PAYOUTS
    raise Unexplained(f"Nothing here moves money as {told.type}, {told.reporting_category}.")


def in_no_wallet(payment_id: str | None, cents: int, why: str) -> str:
    """The sentence for money that Stripe received and no wallet has; the same wherever that is found."""
    return f"Payment {payment_id} of {_usd(cents)} at Stripe is in no wallet: {why}"


def is_given_back(made_at: datetime, amount: int, returned: int) -> bool:
    """Whether a payment of no wallet is over: old enough that nothing of ours will claim it, and all of it went back."""
    return 0 < amount == returned and timezone.now() - made_at > UNCLAIMED


def is_of_nobody(charge_id: str | None) -> bool:
    """Whether the charge was booked as one of no wallet that was given back; then none is credited with it any more.

    Locks its transaction, as booking it does: who credits the charge and who books it so wait for one another.
    """
    charges = StripeTransaction.objects.select_for_update().filter(
        source_id=charge_id or "-", type__in=CHARGES
    )
    references = [f"{Code.REFUND_REVERSAL.value}:{each}" for each in charges.values_list("pk", flat=True)]
    return Transfer.objects.filter(reference__in=references).exists()


def _charge(told: BalanceTransaction) -> list[Posting]:
    """A charge belongs to a credited top-up of exactly that amount; that was booked when it was credited.

    One of no wallet, all of which was given back at Stripe, is owed by `refunds_pending` until that is booked too.
    """
    known = Q(charge_id=told.source_id)
    if told.payment_intent_id:
        known |= Q(payment_intent_id=told.payment_intent_id)
    top_up = TopUp.objects.filter(known, state=TopUp.State.PAID).first()
    if top_up is None and is_given_back(told.made_at, told.amount, told.returned):
        return [Posting(Code.REFUND_REVERSAL, "refunds_pending", -told.amount)]
    _match(told, top_up)
    return []


def _match(told: BalanceTransaction, top_up: TopUp | None) -> None:
    if top_up is None:
        raise Unexplained(in_no_wallet(told.payment_intent_id, told.amount, "no top-up has it."))
    credited = (top_up.received_cents or 0) + (top_up.tax_cents or 0)
    if told.amount != credited:
        raise Unexplained(
            f"Payment {told.payment_intent_id} is {_usd(told.amount)} at Stripe; top-up {top_up.pk} has {_usd(credited)}."
        )
    if top_up.charge_id is None:
        TopUp.objects.filter(pk=top_up.pk, charge_id=None).update(charge_id=told.source_id)
    elif top_up.charge_id != told.source_id:
        raise Unexplained(
            f"Payment {told.payment_intent_id} was credited for charge {top_up.charge_id}, not {told.source_id}."
        )


def _expect_refund(told: BalanceTransaction) -> None:
    """A refund, or its return, is of a row of ours. Where a bank took a debit back, that is known by the transaction."""
    known = Refund.objects.filter(Q(refund_id=told.source_id) | Q(transaction_id=told.id))
    found = list(known.annotate(whole=F("amount_cents") + F("tax_cents")))
    if not found and is_of_nobody(told.charge_id):
        return
    if not found:
        raise Unexplained(f"Refund {told.source_id} of {_usd(abs(told.amount))} is not known here.")
    if not any(refund.whole == abs(told.amount) for refund in found):
        raise Unexplained(
            f"Refund {told.source_id} is {_usd(abs(told.amount))} at Stripe; here it is {_usd(found[0].whole)}."
        )


def _post(told: BalanceTransaction, posting: Posting) -> None:
    if not posting.cents:
        return
    clearing, other = ledger.house("stripe_clearing"), ledger.house(posting.kind)
    leaves = posting.cents > 0
    ledger.post(
        code=posting.code,
        reference=f"{posting.code.value}:{told.id}",
        debit=other if leaves else clearing,
        credit=clearing if leaves else other,
        amount_nanousd=abs(posting.cents) * NANO_PER_CENT,
        details={"balance_transaction": told.id, "type": told.type, "source": told.source_id},
    )


def _usd(cents: int) -> str:
    return usd(cents * NANO_PER_CENT)
