"""What Stripe told: its events, its movements of money, and our comparisons with it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# A bank expects that the owner of the card will dispute a payment. Nothing follows by itself; staff look at it.
FRAUD_WARNING = "radar.early_fraud_warning.created"


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
            ),
            models.Index(fields=["received_at"], name="stripe_event_parked", condition=Q(state="parked")),
            models.Index(
                fields=["received_at"], name="stripe_event_warning", condition=Q(type=FRAUD_WARNING)
            ),
        ]

    def __str__(self) -> str:
        return self.id


class StripeTransaction(models.Model):
    """A balance transaction of Stripe's: every movement of the money that lies there, once, and what we made of it."""

    class State(models.TextChoices):
        BOOKED = "booked", "In our books"
        UNEXPLAINED = "unexplained", "Fits nothing of ours; staff decide"

    id = models.CharField(primary_key=True, max_length=128, help_text="Stripe's id.")
    type = models.CharField(max_length=64)
    reporting_category = models.CharField(max_length=64, blank=True)
    source_id = models.CharField(
        max_length=128, blank=True, db_index=True, help_text="The object it belongs to."
    )
    currency = models.CharField(max_length=3)
    amount_cents = models.BigIntegerField(help_text="Signed: what it changes before the fee.")
    fee_cents = models.BigIntegerField()
    made_at = models.DateTimeField(db_index=True)
    seen_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=11, choices=State, default=State.UNEXPLAINED)
    problem = models.TextField(blank=True, help_text="Why it is unexplained.")
    checked_at = models.DateTimeField(
        null=True, help_text="When Stripe was last asked about an unexplained one."
    )

    class Meta:
        ordering = ["-made_at"]
        indexes = [
            models.Index(
                fields=["checked_at"], name="stripe_txn_unexplained", condition=Q(state="unexplained")
            )
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def net_cents(self) -> int:
        return self.amount_cents - self.fee_cents


class Reconciliation(models.Model):
    """One run of us against Stripe: what was compared, repaired, and could not be explained. Goes on where it stopped."""

    started_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    since = models.DateTimeField(help_text="Objects made at or after it are compared.")
    cursor = models.JSONField(
        default=dict, help_text="How far it is: the kind of object, and the last id of it."
    )
    compared = models.JSONField(default=dict, help_text="How many, by kind of object.")
    repaired = models.JSONField(default=list, help_text="What events had not told: a sentence each.")
    differences = models.JSONField(default=list, help_text="What is left unexplained: a sentence each.")
    accepted = models.JSONField(
        default=list, help_text="What of that staff accepted, so that it counts no more: a sentence each."
    )
    clearing_nanousd = models.BigIntegerField(null=True, help_text="What our ledger says lies at Stripe.")
    stripe_nanousd = models.BigIntegerField(null=True, help_text="The sum of Stripe's balance transactions.")
    in_transit_nanousd = models.BigIntegerField(
        null=True, help_text="Credited, while Stripe has no balance transaction yet: explains that much."
    )
    warnings = models.JSONField(
        default=list, help_text="What keeps Stripe's events from coming here: a sentence each."
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Reconciliation of {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def is_good(self) -> bool:
        return self.finished_at is not None and not self.differences


class Difference(models.Model):
    """What a reconciliation could not explain, once for each sentence. Staff may accept it as it stands."""

    id = models.UUIDField(primary_key=True, help_text="Follows from the name and the sentence.")
    name = models.CharField(max_length=255, db_index=True, help_text="The object that it is about.")
    sentence = models.TextField()
    first_seen_at = models.DateTimeField(db_default=Now(), editable=False)
    seen_at = models.DateTimeField(db_default=Now(), db_index=True, help_text="When a run last said so.")
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="accepted_differences"
    )
    accepted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-seen_at", "name"]

    def __str__(self) -> str:
        return f"Difference about {self.name}"
