"""The tables of the wallet. The migrations add triggers that refuse what these models would let through."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from pricing.money import NANO_PER_CENT


class Wallet(models.Model):
    """What everything hangs off: keys, holds, calls and transfers. It has an owner; it holds no amount itself."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="wallets")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        # One wallet each until several people can share one.
        constraints = [models.UniqueConstraint(fields=["owner"], name="wallet_one_per_owner")]
        permissions = [("act_on_books", "Can grant credit, correct transfers and suspend wallets")]

    def __str__(self) -> str:
        return f"Wallet {self.pk}"


class Account(models.Model):
    """A bucket of the ledger. A wallet has `promotional` and `paid`, made with it; all others are the house's."""

    class Kind(models.TextChoices):
        PROMOTIONAL = "promotional", "Credit that was given; used first, never refunded"
        PAID = "paid", "Credit that was bought; refundable while unused"
        STRIPE_CLEARING = "stripe_clearing", "Money that lies at Stripe"
        REVENUE = "revenue", "What calls earned"
        PROMOTIONS = "promotions", "What given credit cost"
        REFUNDS_PENDING = "refunds_pending", "Taken from wallets, not yet returned by Stripe"
        DISPUTES = "disputes", "Money that banks took back"
        STRIPE_FEES = "stripe_fees", "What Stripe kept"
        TAX_PAYABLE = "tax_payable", "Tax collected, owed to the state"
        BANK = "bank", "Money paid out to the bank"
        ADJUSTMENTS = "adjustments", "The other side of corrections"

    wallet = models.ForeignKey(Wallet, null=True, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=20, choices=Kind)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "kind"], name="account_one_of_a_kind", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="account_kind_fits_owner",
                condition=Q(wallet__isnull=False, kind__in=["promotional", "paid"])
                | (Q(wallet__isnull=True) & ~Q(kind__in=["promotional", "paid"])),
            ),
        ]

    def __str__(self) -> str:
        return self.kind if self.wallet_id is None else f"{self.kind} of wallet {self.wallet_id}"


class Funds(models.Model):
    """Cached balances of a wallet's two accounts and the total of its open holds, in nano-dollars.

    One row, so that the lock that admits a call sees all three at once. The database writes the balances together with
    the transfers, and refuses any other write; `held_nanousd` belongs to wallet/holds.py.
    """

    wallet = models.OneToOneField(Wallet, primary_key=True, on_delete=models.PROTECT, related_name="funds")
    promotional_nanousd = models.BigIntegerField(default=0)
    paid_nanousd = models.BigIntegerField(default=0)
    held_nanousd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "funds"
        constraints = [
            models.CheckConstraint(name="funds_held_not_negative", condition=Q(held_nanousd__gte=0))
        ]

    @property
    def balance_nanousd(self) -> int:
        return self.promotional_nanousd + self.paid_nanousd

    @property
    def available_nanousd(self) -> int:
        return self.balance_nanousd - self.held_nanousd


class HouseBalance(models.Model):
    """Cached balance of a house account, in slots, so that parallel batches don't queue for one row. The sum counts."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="house_balances")
    slot = models.SmallIntegerField()
    balance_nanousd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "slot"], name="house_balance_slot")]


class Code(models.TextChoices):
    """Why money moved."""

    STARTER_GRANT = "starter_grant", "Starter credit"
    TOP_UP = "top_up", "Top-up"
    USAGE = "usage", "Usage"
    REFUND = "refund", "Refund"
    REFUND_REVERSAL = "refund_reversal", "Refund returned"
    DISPUTE = "dispute", "Dispute"
    DISPUTE_REVERSAL = "dispute_reversal", "Dispute won"
    STRIPE_FEE = "stripe_fee", "Stripe fee"
    TAX = "tax", "Tax"
    PAYOUT = "payout", "Payout"
    GRANT = "grant", "Credit"
    GRANT_VOID = "grant_void", "Credit withdrawn"
    CORRECTION = "correction", "Correction"


class Transfer(models.Model):
    """One immutable movement from a debit account to a credit account. Only wallet/ledger.py makes them."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    code = models.CharField(max_length=20, choices=Code)
    reference = models.CharField(max_length=200, help_text="The same reference moves money once.")
    # The trigger that moves the balances refuses accounts that do not exist, so these need no foreign key.
    debit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="debits"
    )
    credit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="credits"
    )
    wallet = models.ForeignKey(
        Wallet,
        null=True,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="transfers",
    )
    amount_nanousd = models.BigIntegerField()
    corrects = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="corrected_by")
    details = models.JSONField(
        default=dict, help_text="Ids that explain the movement; never what identifies a person."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["wallet", "id"], name="transfer_wallet_history")]
        constraints = [
            models.UniqueConstraint(fields=["reference"], name="transfer_reference_once"),
            models.CheckConstraint(name="transfer_amount_positive", condition=Q(amount_nanousd__gt=0)),
            models.CheckConstraint(
                name="transfer_two_accounts", condition=~Q(debit_account=models.F("credit_account"))
            ),
            models.CheckConstraint(name="transfer_code_known", condition=Q(code__in=Code.values)),
            models.CheckConstraint(name="transfer_reference_given", condition=~Q(reference="")),
        ]

    def __str__(self) -> str:
        return self.reference


class Proposal(models.Model):
    """What staff want done above the operator's limit; a second person approves or declines it, once, and for good."""

    class State(models.TextChoices):
        WAITING = "waiting", "A second person has to decide"
        APPROVED = "approved", "Done, with the transfer in the books"
        DECLINED = "declined", "Will not be done"

    id = models.UUIDField(primary_key=True, help_text="The id of the request that asked for it.")
    code = models.CharField(max_length=20, choices=Code, help_text="Of the transfer that it leads to.")
    wallet = models.ForeignKey(Wallet, null=True, on_delete=models.PROTECT, related_name="proposals")
    corrects = models.ForeignKey(
        Transfer,
        null=True,
        on_delete=models.PROTECT,
        related_name="proposals",
        help_text="The wrong transfer.",
    )
    amount_nanousd = models.BigIntegerField()
    reason = models.CharField(max_length=500)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="proposals")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="decisions"
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-asked_at"]
        indexes = [
            models.Index(fields=["asked_at"], name="proposal_by_time"),
            models.Index(fields=["asked_at"], name="proposal_waiting", condition=Q(state="waiting")),
        ]
        constraints = [
            models.CheckConstraint(name="proposal_amount_positive", condition=Q(amount_nanousd__gt=0)),
            models.CheckConstraint(
                name="proposal_code_of_staff", condition=Q(code__in=["grant", "grant_void", "correction"])
            ),
            models.CheckConstraint(
                name="proposal_second_person", condition=~Q(decided_by=models.F("asked_by"))
            ),
            models.CheckConstraint(
                name="proposal_decided_by_somebody",
                condition=Q(state="waiting", decided_by=None, decided_at=None)
                | Q(state__in=["approved", "declined"], decided_by__isnull=False, decided_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Proposal {self.pk}"

    @property
    def reference(self) -> str:
        """Of the transfer that it leads to."""
        return f"{self.code}:{self.pk}"


class Hold(models.Model):
    """What an admitted call is expected to cost. Recording the call removes it; an abandoned one expires."""

    class State(models.TextChoices):
        OPEN = "open", "Counted against the balance"
        EXPIRED = "expired", "Never reported; no longer counted"

    id = models.UUIDField(primary_key=True, help_text="The id of the call.")
    # Placed in the statement that has just written the wallet's funds, so it needs no foreign key.
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="holds"
    )
    reference = models.CharField(max_length=64, help_text="Who asked: the API key's id.")
    memo = models.CharField(max_length=200, help_text="What it is for: the model's name.")
    amount_nanousd = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)

    class Meta:
        indexes = [models.Index(fields=["wallet", "expires_at"], name="hold_open", condition=Q(state="open"))]
        constraints = [
            models.CheckConstraint(name="hold_amount_not_negative", condition=Q(amount_nanousd__gte=0))
        ]


class StripeCustomer(models.Model):
    """Who a wallet is at Stripe."""

    wallet = models.OneToOneField(
        Wallet, primary_key=True, on_delete=models.PROTECT, related_name="stripe_customer"
    )
    customer_id = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.customer_id


class TopUp(models.Model):
    """Somebody wants to pay. Made before Stripe is asked; the credit follows only from what Stripe received."""

    class State(models.TextChoices):
        CREATED = "created", "Stripe was not asked yet, or did not answer"
        OPEN = "open", "Waiting for the payment page"
        PENDING = "pending", "Waiting for the bank"
        PAID = "paid", "Paid and credited"
        FAILED = "failed", "The bank did not pay"
        EXPIRED = "expired", "Not paid in time, or cancelled"
        PARKED = "parked", "Does not add up; staff decide"

    UNFINISHED: ClassVar[list[str]] = [State.CREATED, State.OPEN, State.PENDING]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="top_ups")
    amount_cents = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.CREATED)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    checked_at = models.DateTimeField(null=True, help_text="When Stripe was last asked about it.")
    paid_at = models.DateTimeField(null=True)
    session_id = models.CharField(max_length=128, null=True, unique=True)
    payment_intent_id = models.CharField(max_length=128, null=True, unique=True)
    received_cents = models.PositiveIntegerField(null=True, help_text="What Stripe received, less tax.")
    tax_cents = models.PositiveIntegerField(null=True)
    presentment_amount = models.PositiveBigIntegerField(
        null=True, help_text="Minor units of what the person paid in."
    )
    presentment_currency = models.CharField(max_length=3, blank=True)
    problem = models.TextField(blank=True, help_text="Why it is parked, or what Stripe answered.")

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["checked_at"],
                name="top_up_unfinished",
                condition=Q(state__in=["created", "open", "pending"]),
            )
        ]
        constraints = [models.CheckConstraint(name="top_up_amount_positive", condition=Q(amount_cents__gt=0))]

    def __str__(self) -> str:
        return f"Top-up {self.pk}"

    @property
    def is_settled(self) -> bool:
        return self.state not in self.UNFINISHED

    @property
    def amount_nanousd(self) -> int:
        return self.amount_cents * NANO_PER_CENT

    @property
    def received_nanousd(self) -> int:
        return (self.received_cents or 0) * NANO_PER_CENT

    @property
    def tax_nanousd(self) -> int:
        return (self.tax_cents or 0) * NANO_PER_CENT


class StripeEvent(models.Model):
    """The inbox: every verified event once, with what became of it. The payload is a hint; the object is re-read."""

    class State(models.TextChoices):
        PENDING = "pending", "To be handled"
        HANDLED = "handled", "Its effect is in the books"
        IGNORED = "ignored", "Nothing the wallet needs"
        PARKED = "parked", "Not understood; staff decide"

    id = models.CharField(primary_key=True, max_length=128)
    type = models.CharField(max_length=128)
    object_id = models.CharField(max_length=128, db_index=True)
    livemode = models.BooleanField()
    api_version = models.CharField(max_length=64, blank=True)
    payload = models.JSONField()
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    handled_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-received_at"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="stripe_event_pending", condition=Q(state="pending")
            )
        ]

    def __str__(self) -> str:
        return self.id


class CheckRun(models.Model):
    """One run of the invariants: what was looked at, as of which moment, and what was found."""

    started_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    is_full = models.BooleanField(help_text="All wallets, or those whose money moved since the run before.")
    wallets = models.BigIntegerField(default=0, help_text="Wallets looked at.")
    last_transfer_id = models.BigIntegerField(help_text="The newest transfer that the run could see.")
    failures = models.JSONField(
        default=dict, help_text="Offending ids by the name of the invariant; empty is good."
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Check of {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def is_good(self) -> bool:
        return self.finished_at is not None and not self.failures


class DaySeal(models.Model):
    """The hash over a closed day's rows of one table, chained to the day before: a later edit or deletion breaks it."""

    table = models.CharField(max_length=40)
    day = models.DateField()
    rows = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["table", "-day"]
        constraints = [models.UniqueConstraint(fields=["table", "day"], name="day_seal_once")]

    def __str__(self) -> str:
        return f"{self.table} of {self.day}"
