"""A wallet keeps the group in which it was before, whose prices calls pay that had started then."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0002_customer_groups"),
        ("wallet", "0024_movements"),
    ]

    operations = [
        migrations.AddField(
            model_name="wallet",
            name="group_since",
            field=models.DateTimeField(editable=False, help_text="Null: it never was in another.", null=True),
        ),
        migrations.AddField(
            model_name="wallet",
            name="group_before",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="pricing.customergroup",
            ),
        ),
    ]
