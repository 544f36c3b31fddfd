"""A hold says how many tokens its call is expected to take."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0021_unsent_mails"),
    ]

    operations = [
        migrations.AddField(
            model_name="hold",
            name="expected_tokens",
            field=models.BigIntegerField(db_default=0, help_text="Of the call, as the amount is its cost."),
        ),
    ]
