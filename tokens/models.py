"""Keys are stored as a digest; the key itself is shown once and never written anywhere."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

from pricing.models import Model
from wallet.models import Wallet

if TYPE_CHECKING:
    from tokens.spending import Spend


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
    spend: "Spend"  # Where tokens/spending.py put it.

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


class DailyUsage(models.Model):
    """What a key used of a model on a day (UTC, by the time in the call's id). Owned by tokens/spending.py."""

    pk = models.CompositePrimaryKey("wallet_id", "day", "key_id", "model_id")
    wallet = models.ForeignKey(
        Wallet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    day = models.DateField()
    key = models.ForeignKey(
        ApiKey, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    model = models.ForeignKey(
        Model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    last_used_at = models.DateTimeField()
    calls = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0, help_text="All input, cached and not.")
    output_tokens = models.BigIntegerField(default=0, help_text="All output, reasoning included.")
    charged_nanousd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "daily usage"


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
