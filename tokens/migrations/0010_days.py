"""The last days of everybody's usage are found without reading all of the past, which an estimate does every minute."""

from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("tokens", "0009_count_again"),
    ]

    operations = [
        # What a run that was cut off left behind is not valid.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS daily_usage_days", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="dailyusage",
            index=BrinIndex(fields=["day"], name="daily_usage_days", pages_per_range=32, autosummarize=True),
        ),
    ]
