"""Keys are stored as a digest; the key itself is shown once and never written anywhere."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from wallet.models import Wallet


class ApiKey(models.Model):
    """What a program calls models with. Its id is the metering API's `token_id`."""

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(
        max_length=16, db_index=True, help_text="The key's first characters, to recognise it by."
    )
    last_four = models.CharField(max_length=4)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def hint(self) -> str:
        return f"{self.prefix}…{self.last_four}"

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None


class KeySpend(models.Model):
    """What a key has spent so far; written in the transaction that records its calls."""

    key = models.OneToOneField(ApiKey, primary_key=True, on_delete=models.PROTECT, related_name="spend")
    spent_nanousd = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="key_spend_not_negative", condition=Q(spent_nanousd__gte=0))
        ]


class GatewayKey(models.Model):
    """What a gateway shows the metering API. Several are good at a time, so that one can be replaced."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
