"""Proof of the books: runs of the invariants, and seals over closed days."""

from django.db import models
from django.db.models.functions import Now

BOOKS = "books"


class CheckRun(models.Model):
    """One run of the invariants of a subject: what was looked at, as of which moment, and what was found."""

    subject = models.CharField(max_length=20, default=BOOKS, db_default=BOOKS)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    is_full = models.BooleanField(help_text="All wallets, or those whose money moved since the run before.")
    wallets = models.BigIntegerField(default=0, help_text="Wallets looked at.")
    last_transfer_id = models.BigIntegerField(
        default=0, help_text="The newest transfer that a run over the books could see."
    )
    failures = models.JSONField(
        default=dict, help_text="Offending ids by the name of the invariant; empty is good."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["subject", "id"], name="check_run_subject")]

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


class DayRest(models.Model):
    """What was left of a sealed day when other rows of it were archived; the newest one holds instead of the seal.

    Chained to the rest before. Older ones of a day can't be compared with its rows any more, so their digest stays too.
    """

    table = models.CharField(max_length=40)
    day = models.DateField()
    rows = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)
    chain = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["table", "day", "id"]
        verbose_name = "seal of the rest of a day"
        verbose_name_plural = "seals of rests of days"

    def __str__(self) -> str:
        return f"{self.table} of {self.day}"
