"""Indexes of what the log is filtered by: a key, failed calls, and the provider's id. Built while calls are recorded."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

from logs.indexing import AddIndexToPartitions


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("logs", "0009_archived_months"),
    ]

    operations = [
        AddIndexToPartitions(
            model_name="call",
            index=models.Index(fields=["wallet", "key", "id"], name="call_wallet_key"),
        ),
        AddIndexToPartitions(
            model_name="call",
            index=models.Index(
                fields=["wallet", "id"], name="call_failed", condition=models.Q(status="failed")
            ),
        ),
        AddIndexToPartitions(
            model_name="call",
            # About as many as there are calls in 128 pages.
            index=BrinIndex(
                fields=["upstream_id"],
                name="call_upstream",
                opclasses=["text_bloom_ops(n_distinct_per_range=4300)"],
                autosummarize=True,
            ),
        ),
    ]
