from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform


class Migration(migrations.Migration):
    """Finds the tax of a dispute, which is in no wallet, without reading all transfers. Built while the site runs."""

    atomic = False
    dependencies = [("wallet", "0019_refusals")]

    operations = [
        AddIndexConcurrently(
            model_name="transfer",
            index=models.Index(
                KeyTextTransform("dispute", "details"),
                name="transfer_tax_of_dispute",
                condition=Q(code="tax"),
            ),
        ),
    ]
