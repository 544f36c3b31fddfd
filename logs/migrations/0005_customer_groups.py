"""A call keeps the rate of its customer's group."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0004_limits_of_keys"),
        ("pricing", "0002_customer_groups"),
    ]

    operations = [
        migrations.AddField(
            model_name="call",
            name="group_rate",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The rate of the customer's group; null where the list's prices were paid.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pricing.grouprate",
            ),
        ),
    ]
