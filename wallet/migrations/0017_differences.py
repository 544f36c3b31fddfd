"""Staff accept differences, and what nothing explained is asked about in turn."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0016_refunds_and_disputes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="stripetransaction",
            name="checked_at",
            field=models.DateTimeField(
                null=True, help_text="When Stripe was last asked about an unexplained one."
            ),
        ),
        migrations.RemoveIndex(model_name="stripetransaction", name="stripe_txn_unexplained"),
        migrations.AddIndex(
            model_name="stripetransaction",
            index=models.Index(
                condition=models.Q(("state", "unexplained")),
                fields=["checked_at"],
                name="stripe_txn_unexplained",
            ),
        ),
        migrations.AddField(
            model_name="reconciliation",
            name="accepted",
            field=models.JSONField(
                default=list,
                help_text="What of that staff accepted, so that it counts no more: a sentence each.",
            ),
        ),
        migrations.CreateModel(
            name="Difference",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        help_text="Follows from the name and the sentence.", primary_key=True, serialize=False
                    ),
                ),
                (
                    "name",
                    models.CharField(db_index=True, help_text="The object that it is about.", max_length=255),
                ),
                ("sentence", models.TextField()),
                (
                    "first_seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        help_text="When a run last said so.",
                    ),
                ),
                ("accepted_at", models.DateTimeField(null=True)),
                (
                    "accepted_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accepted_differences",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"ordering": ["-seen_at", "name"]},
        ),
    ]
