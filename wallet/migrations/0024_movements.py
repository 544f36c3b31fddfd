"""Indexes of the movements that are no usage, for lists by time. Built while the site runs."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("wallet", "0023_customer_groups"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="transfer",
            index=models.Index(
                fields=["wallet", "created_at", "id"],
                name="transfer_wallet_movements",
                condition=~Q(code="usage"),
            ),
        ),
        AddIndexConcurrently(
            model_name="transfer",
            index=models.Index(
                fields=["created_at", "id"], name="transfer_movements", condition=~Q(code="usage")
            ),
        ),
    ]
