"""Keys are stored as a digest; the key itself is shown once and never written anywhere."""

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import MD5, Now

from pricing.models import Model
from wallet.models import Wallet

if TYPE_CHECKING:
    from tokens.spending import Spend
    from tokens.states import Standing


class ApiKey(models.Model):
    """What a program shows us. The id of one that calls models is the metering API's `token_id`.

    A limit that is null does not bind. Amounts in nano-dollars; days, weeks (from Monday) and months are UTC's.
    """

    class Kind(models.TextChoices):
        INFERENCE = "inference", "Calls models"
        QUERY = "query", "Asks for balance and usage"
        ACCOUNT = "account", "Uses the account API"

    class Period(models.TextChoices):
        DAY = "day", "a day"
        WEEK = "week", "a week"
        MONTH = "month", "a month"

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="api_keys")
    kind = models.CharField(
        max_length=9, choices=Kind, default=Kind.INFERENCE, db_default=Kind.INFERENCE, editable=False
    )
    name = models.CharField(max_length=80)
    notes = models.CharField(max_length=1000, blank=True, default="", db_default="")
    prefix = models.CharField(
        max_length=20, db_index=True, help_text="The key's first characters, to recognise it by."
    )
    last_four = models.CharField(max_length=4)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    form_id = models.UUIDField(
        null=True, unique=True, editable=False, help_text="The form that made it: once."
    )
    # Rotated: the text before is good for a while beside the new one.
    previous_digest = models.BinaryField(max_length=32, null=True, unique=True, editable=False)
    previous_hint = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_asked_at = models.DateTimeField(
        null=True, editable=False, help_text="When it last asked an API of this site, to about a minute."
    )
    limit_nanousd = models.BigIntegerField(null=True, blank=True, help_text="Over its whole life.")
    period = models.CharField(max_length=5, choices=Period, blank=True, default="", db_default="")
    period_limit_nanousd = models.BigIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveBigIntegerField(null=True, blank=True)
    calls_in_flight = models.PositiveIntegerField(null=True, blank=True)
    model_ids = ArrayField(
        models.BigIntegerField(), null=True, blank=True, help_text="Models that it may call; null: every one."
    )
    networks = ArrayField(
        models.CharField(max_length=43),
        null=True,
        blank=True,
        help_text="Ranges of addresses that calls may come from; null: everywhere.",
    )
    spend: "Spend"  # Where tokens/spending.py put it.
    standing: "Standing"  # Where tokens/states.py put it.

    class Meta:
        ordering = ["-id"]
        verbose_name = "API key"
        permissions = [("revoke_apikey", "Can revoke people's API keys")]
        constraints = [
            models.CheckConstraint(
                name="key_period_with_its_limit",
                condition=Q(period="", period_limit_nanousd=None)
                | ~Q(period="") & Q(period_limit_nanousd__isnull=False),
            ),
            models.CheckConstraint(
                name="key_overlap_is_whole",
                condition=Q(previous_digest=None, previous_until=None)
                | Q(previous_digest__isnull=False, previous_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def hint(self) -> str:
        return f"{self.prefix}…{self.last_four}"

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None


class Notice(models.Model):
    """What was done to a key by somebody else than its owner, who is told by mail, once. Owned by tokens/notices.py."""

    class Cause(models.TextChoices):
        LEAK = "leak", "Found in public"
        STAFF = "staff", "Revoked by staff"

    class Ended(models.TextChoices):
        KEY = "key", "The key"
        PREVIOUS = "previous", "The text from before its rotation"
        NOTHING = "nothing", "Nothing; it was over before"

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="notices")
    at = models.DateTimeField(db_default=Now(), editable=False)
    cause = models.CharField(max_length=5, choices=Cause)
    ended = models.CharField(max_length=8, choices=Ended)
    hint = models.CharField(max_length=32, help_text="What the text is recognised by.")
    url = models.CharField(max_length=2000, blank=True, help_text="Where it was found.")
    source = models.CharField(
        max_length=40, blank=True, help_text="What was found there, in the finder's word."
    )
    reason = models.CharField(max_length=500, blank=True, help_text="As staff wrote it; its owner reads it.")
    told_at = models.DateTimeField(
        null=True, help_text="When its owner was written to; null while that is due."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            # The same finding again is no news.
            models.UniqueConstraint(
                "key", "hint", MD5("url"), name="notice_of_leak_once", condition=Q(cause="leak")
            )
        ]
        indexes = [models.Index(fields=["id"], name="notice_due", condition=Q(told_at=None))]

    def __str__(self) -> str:
        return f"{self.get_cause_display()}: {self.hint}"


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
    cached_input_tokens = models.BigIntegerField(
        default=0, db_default=0, help_text="Input read from caches, of all kinds; part of all input."
    )
    largest_nanousd = models.BigIntegerField(
        default=0, db_default=0, help_text="The charge of the dearest call."
    )

    class Meta:
        verbose_name_plural = "daily usage"
        indexes = [
            # What one key used, whatever its wallet's other keys did.
            models.Index(fields=["key", "day"], name="daily_usage_of_key"),
            # The last days of everybody: rows lie in the order of their days.
            BrinIndex(fields=["day"], name="daily_usage_days", pages_per_range=32, autosummarize=True),
        ]


class HourlyUsage(models.Model):
    """What a key used of a model in an hour (UTC, by the time in the call's id). Kept for spending.HOURS_KEPT."""

    # Its hour first: what is recorded at a time, of however many wallets, lies together.
    pk = models.CompositePrimaryKey("hour", "wallet_id", "key_id", "model_id")
    wallet = models.ForeignKey(
        Wallet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    hour = models.DateTimeField(help_text="Its start.")
    key = models.ForeignKey(
        ApiKey, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    model = models.ForeignKey(
        Model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    calls = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0, help_text="All input, cached and not.")
    cached_input_tokens = models.BigIntegerField(default=0, help_text="Input read from caches, of all kinds.")
    output_tokens = models.BigIntegerField(default=0, help_text="All output, reasoning included.")
    charged_nanousd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "hourly usage"


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
