from django.db import migrations


class Migration(migrations.Migration):
    """The roll-up went to the keys (tokens/migrations/0002_daily_usage.py), table and all."""

    dependencies = [("logs", "0002_rejected_without_people"), ("tokens", "0002_daily_usage")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("DailyUsage")])
    ]
