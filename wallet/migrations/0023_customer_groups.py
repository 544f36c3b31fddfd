"""Wallets may belong to a group of customers."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0002_customer_groups"),
        ("wallet", "0022_expected_tokens"),
    ]

    operations = [
        migrations.AddField(
            model_name="wallet",
            name="customer_group",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="wallets",
                to="pricing.customergroup",
            ),
        ),
    ]
