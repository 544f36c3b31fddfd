"""What staff want done that needs a second person."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from wallet.models.books import Code, Transfer, Wallet


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
