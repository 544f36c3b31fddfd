"""What a reconciliation found on its way to Stripe, and what keeps events from coming here."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0009_automatic_top_ups")]

    operations = [
        migrations.AddField(
            model_name="reconciliation",
            name="in_transit_nanousd",
            field=models.BigIntegerField(
                help_text="Credited, while Stripe has no balance transaction yet: explains that much.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="reconciliation",
            name="warnings",
            field=models.JSONField(
                default=list, help_text="What keeps Stripe's events from coming here: a sentence each."
            ),
        ),
    ]
