"""Refunds are known by the movement of their money too; owners are told of disputes."""

from django.db import migrations, models

# A debit that a bank took back was written down as a refund under the id of its movement. Nobody is written to about what
# happened before.
SQL = """
    UPDATE wallet_refund SET transaction_id = refund_id WHERE refund_id LIKE 'txn\\_%';
    UPDATE wallet_dispute SET told = CASE
        WHEN status IN ('warning_closed', 'won', 'lost', 'prevented') THEN 'decided'
        WHEN status IN ('warning_needs_response', 'warning_under_review') THEN 'asked' ELSE 'opened' END;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0015_events_without_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="left_wallet",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="No where nothing had come of it when it was first heard of: no money moved.",
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="transaction_id",
            field=models.CharField(
                help_text="Stripe's movement of its money. Where a bank took a debit back, it stands for the refund too.",
                max_length=128,
                null=True,
                unique=True,
            ),
        ),
        migrations.AlterField(
            model_name="refund",
            name="problem",
            field=models.TextField(blank=True, help_text="Why nothing came of it."),
        ),
        migrations.AlterField(
            model_name="refund",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Staff have to approve it"),
                    ("created", "Stripe was not asked yet, or did not answer"),
                    ("pending", "On its way"),
                    ("succeeded", "Given back"),
                    ("failed", "Could not be given back; it is in the wallet again"),
                    ("canceled", "Canceled; it is in the wallet again"),
                    ("declined", "Staff declined it; it is in the wallet again"),
                ],
                default="created",
                max_length=9,
            ),
        ),
        migrations.AddField(
            model_name="dispute",
            name="told",
            field=models.CharField(
                blank=True,
                choices=[
                    ("asked", "The bank asks"),
                    ("opened", "The bank disputes"),
                    ("decided", "It is over"),
                ],
                db_default="",
                default="",
                help_text="What the wallet's owner was last written to about.",
                max_length=7,
            ),
        ),
        migrations.AddField(
            model_name="dispute",
            name="mail_begun_at",
            field=models.DateTimeField(null=True, help_text="Somebody writes to the owner since then."),
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
