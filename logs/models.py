"""Calls and what is counted from them. The calls' table is partitioned by month of the id; see logs/partitions.py.

No foreign key points at calls, and theirs are kept by the recording transaction, not by the database: it has the keys,
the wallets and the price versions in hand, and none of those rows can ever be deleted.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now

from pricing.models import GroupRate, Model, PriceVersion
from tokens.models import ApiKey
from wallet.models import Transfer, Wallet


class Call(models.Model):
    """One API call, as it was charged. Immutable: the database refuses UPDATE, DELETE and TRUNCATE."""

    class Status(models.TextChoices):
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed; costs nothing"

    id = models.UUIDField(primary_key=True)
    wallet = models.ForeignKey(
        Wallet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="calls"
    )
    key = models.ForeignKey(
        ApiKey, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="calls"
    )
    model = models.ForeignKey(
        Model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="calls"
    )
    price_version = models.ForeignKey(
        PriceVersion, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="calls"
    )
    group_rate = models.ForeignKey(
        GroupRate,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text="The rate of the customer's group; null where the list's prices were paid.",
    )
    status = models.CharField(max_length=9, choices=Status)
    started_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    usage = models.JSONField(help_text="Disjoint quantities by unit.")
    charged_nanousd = models.BigIntegerField()
    promotional_nanousd = models.BigIntegerField(help_text="The part of the charge that given credit paid.")
    promotional_transfer = models.ForeignKey(
        Transfer,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    paid_transfer = models.ForeignKey(
        Transfer,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    held_nanousd = models.BigIntegerField(null=True, help_text="What was held for it; null without a hold.")
    balance_after_nanousd = models.BigIntegerField()
    stream = models.BooleanField(null=True)
    latency_ms = models.IntegerField(null=True)
    first_token_ms = models.IntegerField(null=True)
    endpoint = models.CharField(max_length=200, blank=True)
    upstream_id = models.CharField(max_length=200, blank=True)
    upstream_cost_nanousd = models.BigIntegerField(null=True)
    is_estimated = models.BooleanField(
        db_default=False, help_text="Whether the gateway counted the usage, since the provider told none."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["wallet", "id"], name="call_wallet"),
            models.Index(fields=["wallet", "model", "id"], name="call_wallet_model"),
            models.Index(fields=["wallet", "key", "id"], name="call_wallet_key"),
            models.Index(fields=["wallet", "id"], name="call_failed", condition=models.Q(status="failed")),
            # A fingerprint of each stretch of the table: a tree of these would be a quarter of the table, written at random.
            BrinIndex(
                fields=["upstream_id"],
                name="call_upstream",
                opclasses=["text_bloom_ops(n_distinct_per_range=4300)"],
                autosummarize=True,
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class CallDetails(models.Model):
    """What may identify a person in a call. It can be deleted; the call cannot."""

    call_id = models.UUIDField(primary_key=True)
    wallet = models.ForeignKey(Wallet, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    client_ip = models.GenericIPAddressField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "call details"


class RejectedCall(models.Model):
    """A reported call that could not be charged, kept for staff to rate."""

    call_id = models.CharField(max_length=64)
    wallet = models.ForeignKey(Wallet, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=40)
    message = models.TextField()
    payload = models.JSONField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["call_id", "reason"], name="rejected_call_once")]

    def __str__(self) -> str:
        return f"{self.call_id}: {self.reason}"


class RiseNotice(models.Model):
    """That the owner of a wallet is told of a price that rises: of a model they use, or by their group's rate."""

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="+")
    price_version = models.ForeignKey(PriceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    group_rate = models.ForeignKey(GroupRate, null=True, on_delete=models.PROTECT, related_name="+")
    noted_at = models.DateTimeField(db_default=Now(), editable=False)
    mail_begun_at = models.DateTimeField(null=True, help_text="Somebody sends the mail since then.")
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["wallet", "price_version"], name="rise_notice_once_a_version"),
            models.UniqueConstraint(fields=["wallet", "group_rate"], name="rise_notice_once_a_rate"),
            models.CheckConstraint(
                condition=models.Q(price_version=None) ^ models.Q(group_rate=None),
                name="rise_notice_of_version_or_rate",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="rise_notice_untold", condition=models.Q(told_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.wallet_id}: {self.price_version_id or self.group_rate_id}"


class ArchivedMonth(models.Model):
    """A month whose calls lie in a file. It counts by its seals from the moment this row is there (logs/archive)."""

    month = models.DateField(primary_key=True, help_text="Its first day, in UTC.")
    upper_id = models.UUIDField(help_text="Calls with smaller ids are archived.")
    calls = models.BigIntegerField()
    file = models.CharField(max_length=100, help_text="In the folder CALLS_ARCHIVE_DIR.")
    size_bytes = models.BigIntegerField()
    digest = models.BinaryField(max_length=32, help_text="SHA-256 of the file.")
    archived_at = models.DateTimeField(db_default=Now(), editable=False)
    dropped_at = models.DateTimeField(null=True, help_text="Since when the database has none of its calls.")

    class Meta:
        ordering = ["-month"]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class SealedUsage(models.Model):
    """What a key's calls of an archived month add up to, of one model. Never changes."""

    pk = models.CompositePrimaryKey("wallet_id", "month_id", "key_id", "model_id")
    wallet = models.ForeignKey(
        Wallet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    month = models.ForeignKey(ArchivedMonth, on_delete=models.DO_NOTHING, db_index=False, related_name="+")
    key = models.ForeignKey(
        ApiKey, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    model = models.ForeignKey(
        Model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    calls = models.BigIntegerField()
    failed = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    charged_nanousd = models.BigIntegerField()
    promotional_nanousd = models.BigIntegerField()
    largest_nanousd = models.BigIntegerField()


class SealedTransfers(models.Model):
    """What a wallet's usage transfers paid for calls of an archived month. Never changes.

    One row for all those that paid for calls of this month alone, whose `transfer` is null, and one for each that paid
    for calls of other months too, with its part.
    """

    month = models.ForeignKey(ArchivedMonth, on_delete=models.DO_NOTHING, db_index=False, related_name="+")
    wallet = models.ForeignKey(
        Wallet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    transfer = models.ForeignKey(
        Transfer,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    number = models.BigIntegerField()
    amount_nanousd = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "month", "transfer"], name="sealed_transfers_once", nulls_distinct=False
            )
        ]
