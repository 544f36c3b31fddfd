"""An index of what one key used. Built while calls are recorded, of which the roll-up may hold millions of days."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("tokens", "0004_notices"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="dailyusage",
            index=models.Index(fields=["key", "day"], name="daily_usage_of_key"),
        ),
    ]
