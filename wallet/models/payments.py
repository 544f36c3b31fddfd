"""Money that people pay, get back, and are taken back by their banks; the card that they save."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from pricing.money import NANO_PER_CENT
from wallet.models.books import Wallet


class StripeCustomer(models.Model):
    """Who a wallet is at Stripe, and who it was: one that is deleted there is followed by another."""

    customer_id = models.CharField(primary_key=True, max_length=64)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="stripe_customers")
    gone_at = models.DateTimeField(null=True, help_text="When we learned that Stripe has it no more.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"], name="stripe_customer_one_at_a_time", condition=Q(gone_at=None)
            )
        ]

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
    charge_id = models.CharField(max_length=128, null=True, unique=True)
    is_automatic = models.BooleanField(
        default=False, help_text="Charged to the saved card, without a page to pay on."
    )
    payment_method_id = models.CharField(
        max_length=128, blank=True, help_text="What an automatic one charges: Stripe is asked the same again."
    )
    receipt_url = models.URLField(max_length=2000, blank=True, help_text="Stripe's receipt of the payment.")
    invoice_url = models.URLField(
        max_length=2000, blank=True, help_text="Stripe's invoice, where it makes one."
    )
    # Both are known already while the bank is still to pay them.
    received_cents = models.PositiveIntegerField(null=True, help_text="What Stripe received, less tax.")
    tax_cents = models.PositiveIntegerField(null=True)
    presentment_amount = models.PositiveBigIntegerField(
        null=True, help_text="Minor units of what the person paid in."
    )
    presentment_currency = models.CharField(max_length=3, blank=True)
    problem = models.TextField(blank=True, help_text="Why it is parked, or what Stripe answered.")
    is_told = models.BooleanField(
        default=True,
        db_default=True,
        help_text="The owner was written to, where an automatic one asks for it.",
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["checked_at"],
                name="top_up_unfinished",
                condition=Q(state__in=["created", "open", "pending"]),
            ),
            models.Index(fields=["created_at"], name="top_up_untold", condition=Q(is_told=False)),
        ]
        constraints = [
            models.CheckConstraint(name="top_up_amount_positive", condition=Q(amount_cents__gt=0)),
            models.UniqueConstraint(
                fields=["wallet"],
                name="top_up_one_automatic",
                condition=Q(is_automatic=True, state__in=["created", "open", "pending"]),
            ),
        ]

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

    @property
    def paid_nanousd(self) -> int:
        """With its tax, as a card's statement shows it."""
        return self.received_nanousd + self.tax_nanousd


class Refund(models.Model):
    """A part of a payment that goes back to who paid. One request may take several payments; each has a row.

    The credit leaves the wallet when the row is made, before Stripe is asked, and returns where nothing comes of it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Staff have to approve it"
        CREATED = "created", "Stripe was not asked yet, or did not answer"
        PENDING = "pending", "On its way"
        SUCCEEDED = "succeeded", "Given back"
        FAILED = "failed", "Could not be given back; it is in the wallet again"
        CANCELED = "canceled", "Canceled; it is in the wallet again"
        DECLINED = "declined", "Staff declined it; it is in the wallet again"

    UNFINISHED: ClassVar[list[str]] = [State.WAITING, State.CREATED, State.PENDING]
    RETURNED: ClassVar[list[str]] = [State.FAILED, State.CANCELED, State.DECLINED]

    class Origin(models.TextChoices):
        OWNER = "owner", "Asked for on the wallet's page"
        STRIPE = "stripe", "Made at Stripe, in its dashboard or by a bank"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request_id = models.UUIDField(db_index=True, help_text="What was asked for at once has it in common.")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="refunds")
    top_up = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="refunds")
    origin = models.CharField(max_length=6, choices=Origin, default=Origin.OWNER)
    amount_cents = models.PositiveIntegerField(help_text="Credit that leaves the wallet, without tax.")
    tax_cents = models.PositiveIntegerField(default=0, help_text="Tax that goes back beside it.")
    state = models.CharField(max_length=9, choices=State, default=State.CREATED)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="refunds_decided"
    )
    decided_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(
        null=True, help_text="When Stripe was first asked: it forgets our key after a day."
    )
    checked_at = models.DateTimeField(null=True, help_text="When Stripe was last asked about it.")
    settled_at = models.DateTimeField(null=True)
    refund_id = models.CharField(max_length=128, null=True, unique=True, help_text="Stripe's id.")
    transaction_id = models.CharField(
        max_length=128,
        null=True,
        unique=True,
        help_text="Stripe's movement of its money. Where a bank took a debit back, it stands for the refund too.",
    )
    left_wallet = models.BooleanField(
        default=True,
        db_default=True,
        help_text="No where nothing had come of it when it was first heard of: no money moved.",
    )
    problem = models.TextField(blank=True, help_text="Why nothing came of it.")
    refusal = models.TextField(
        blank=True, default="", db_default="", help_text="What Stripe answered, which the owner isn't shown."
    )
    is_told = models.BooleanField(
        default=True, db_default=True, help_text="The owner was written to, where its end asks for it."
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["checked_at"],
                name="refund_unfinished",
                condition=Q(state__in=["waiting", "created", "pending"]),
            ),
            models.Index(fields=["settled_at"], name="refund_untold", condition=Q(is_told=False)),
        ]
        constraints = [
            models.CheckConstraint(
                name="refund_of_something", condition=Q(amount_cents__gt=0) | Q(tax_cents__gt=0)
            )
        ]

    def __str__(self) -> str:
        return f"Refund {self.pk}"

    @property
    def is_settled(self) -> bool:
        return self.state not in self.UNFINISHED

    @property
    def amount_nanousd(self) -> int:
        return self.amount_cents * NANO_PER_CENT

    @property
    def tax_nanousd(self) -> int:
        return self.tax_cents * NANO_PER_CENT


class Dispute(models.Model):
    """A bank questions a payment, or takes it back. Money follows only from Stripe's balance transactions."""

    class Status(models.TextChoices):
        INQUIRY = "warning_needs_response", "The bank asks, and no money moved; an answer is due"
        INQUIRY_REVIEW = "warning_under_review", "The bank asks, and no money moved; it reads our answer"
        INQUIRY_CLOSED = "warning_closed", "The bank asked, and let it be"
        NEEDS_RESPONSE = "needs_response", "The bank takes the payment back; evidence is due"
        UNDER_REVIEW = "under_review", "The bank takes the payment back; it reads our evidence"
        WON = "won", "The bank is with us"
        LOST = "lost", "The bank is with who paid"
        PREVENTED = "prevented", "Settled before it became a dispute"

    class Told(models.TextChoices):
        ASKED = "asked", "The bank asks"
        OPENED = "opened", "The bank disputes"
        DECIDED = "decided", "It is over"

    # Stripe may call it what this release does not know; that counts as open.
    CLOSED: ClassVar[list[str]] = [Status.INQUIRY_CLOSED, Status.WON, Status.LOST, Status.PREVENTED]
    INQUIRIES: ClassVar[list[str]] = [Status.INQUIRY, Status.INQUIRY_REVIEW]
    TO_ANSWER: ClassVar[list[str]] = [Status.INQUIRY, Status.NEEDS_RESPONSE]

    id = models.CharField(primary_key=True, max_length=128, help_text="Stripe's id.")
    top_up = models.ForeignKey(
        TopUp,
        null=True,
        on_delete=models.PROTECT,
        related_name="disputes",
        help_text="None until it is known and credited; then the wallet's side is booked.",
    )
    charge_id = models.CharField(max_length=128, blank=True)
    payment_intent_id = models.CharField(max_length=128, blank=True)
    amount_cents = models.PositiveIntegerField(help_text="What is disputed; may differ from the payment.")
    currency = models.CharField(max_length=3, default="usd")
    status = models.CharField(max_length=64, help_text="As Stripe names it.")
    reason = models.CharField(max_length=64, blank=True)
    opened_at = models.DateTimeField()
    evidence_due_at = models.DateTimeField(null=True)
    has_evidence = models.BooleanField(default=False)
    withdrawn_cents = models.PositiveIntegerField(default=0)
    reinstated_cents = models.PositiveIntegerField(default=0)
    tax_cents = models.IntegerField(
        default=0, help_text="Tax in what is withdrawn and not reinstated; the rest is the wallet's."
    )
    fee_cents = models.PositiveIntegerField(default=0, help_text="What Stripe kept; the house pays it.")
    checked_at = models.DateTimeField(null=True, help_text="When Stripe was last asked about it.")
    problem = models.TextField(blank=True, help_text="What does not add up.")
    told = models.CharField(
        max_length=7,
        choices=Told,
        blank=True,
        default="",
        db_default="",
        help_text="What the wallet's owner was last written to about.",
    )
    mail_begun_at = models.DateTimeField(null=True, help_text="Somebody writes to the owner since then.")

    class Meta:
        ordering = ["-opened_at"]
        indexes = [models.Index(fields=["checked_at"], name="dispute_by_check")]

    def __str__(self) -> str:
        return self.id

    @property
    def is_open(self) -> bool:
        return self.status not in self.CLOSED

    @property
    def amount_nanousd(self) -> int:
        return self.amount_cents * NANO_PER_CENT

    @property
    def taken_cents(self) -> int:
        """What the wallet lacks because of it: withdrawn less reinstated, without tax."""
        return self.withdrawn_cents - self.reinstated_cents - self.tax_cents if self.top_up_id else 0

    @property
    def taken_nanousd(self) -> int:
        return self.taken_cents * NANO_PER_CENT

    @property
    def tax_nanousd(self) -> int:
        """Tax that the bank took beside it."""
        return self.tax_cents * NANO_PER_CENT if self.top_up_id else 0


class SavedCard(models.Model):
    """The card that a wallet charges by itself. The card lies at Stripe; here is what names it to its owner."""

    wallet = models.OneToOneField(
        Wallet, primary_key=True, on_delete=models.PROTECT, related_name="saved_card"
    )
    payment_method_id = models.CharField(max_length=128, unique=True)
    brand = models.CharField(max_length=32, blank=True)
    last_four = models.CharField(max_length=4, blank=True)
    expires = models.DateField(null=True, help_text="The last day on which it is good.")
    saved_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.payment_method_id


class CardSetup(models.Model):
    """Somebody wants to save a card, on Stripe's page. Made before Stripe is asked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="card_setups")
    session_id = models.CharField(max_length=128, null=True, unique=True)
    is_done = models.BooleanField(default=False)
    is_over = models.BooleanField(
        default=False, db_default=False, help_text="The page closed, and no card was saved on it."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    checked_at = models.DateTimeField(null=True, help_text="When Stripe was last asked about it.")

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"], name="card_setup_open", condition=Q(is_done=False, is_over=False)
            )
        ]

    def __str__(self) -> str:
        return f"Card setup {self.pk}"


class AutoTopUp(models.Model):
    """What a wallet's owner wants: when it falls below, charge the saved card, up to so much in a calendar month."""

    wallet = models.OneToOneField(
        Wallet, primary_key=True, on_delete=models.PROTECT, related_name="auto_top_up"
    )
    is_on = models.BooleanField(default=False)
    below_cents = models.PositiveIntegerField()
    add_cents = models.PositiveIntegerField()
    monthly_cents = models.PositiveIntegerField(help_text="At most so much in a calendar month, UTC.")
    declines = models.PositiveIntegerField(
        default=0, help_text="One after the other; a success forgets them."
    )
    next_attempt_at = models.DateTimeField(null=True, help_text="Not before, after a decline.")
    paused_for = models.TextField(blank=True, help_text="Why it stopped by itself; empty while it runs.")
    is_told = models.BooleanField(default=True, help_text="The owner was written to about that.")
    agreed_at = models.DateTimeField(
        null=True, help_text="When the owner last switched it on, and agreed to be charged."
    )
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["wallet"], name="auto_top_up_running", condition=Q(is_on=True, paused_for="")
            )
        ]
        constraints = [
            models.CheckConstraint(name="auto_top_up_adds", condition=Q(add_cents__gt=0)),
            models.CheckConstraint(
                name="auto_top_up_within_month", condition=Q(monthly_cents__gte=models.F("add_cents"))
            ),
        ]

    def __str__(self) -> str:
        return f"Auto top-up of wallet {self.wallet_id}"


class UnsentMail(models.Model):
    """A mail to a wallet's owner that could not be sent. It holds no address; a row goes when the mail does."""

    name = models.CharField(primary_key=True, max_length=160, help_text="What it tells of.")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="unsent_mails")
    since = models.DateTimeField()
    tried_at = models.DateTimeField(help_text="When it was tried last.")
    problem = models.CharField(max_length=200, help_text="What became of that.")
    is_given_up = models.BooleanField(default=False, help_text="It is not tried any more.")

    class Meta:
        ordering = ["-since"]

    def __str__(self) -> str:
        return f"Mail about {self.name}"
