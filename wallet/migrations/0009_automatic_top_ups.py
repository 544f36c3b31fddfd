from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """What an automatic top-up charges, one of them at a time, and whether its owner was told that it stopped."""

    dependencies = [("wallet", "0008_payments_life")]

    operations = [
        migrations.AddField(
            model_name="topup",
            name="payment_method_id",
            field=models.CharField(
                blank=True,
                default="",
                help_text="What an automatic one charges: Stripe is asked the same again.",
                max_length=128,
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="topup",
            constraint=models.UniqueConstraint(
                condition=Q(is_automatic=True, state__in=["created", "open", "pending"]),
                fields=("wallet",),
                name="top_up_one_automatic",
            ),
        ),
        migrations.AddField(
            model_name="autotopup",
            name="is_told",
            field=models.BooleanField(default=True, help_text="The owner was written to about that."),
        ),
        migrations.AddField(
            model_name="autotopup",
            name="agreed_at",
            field=models.DateTimeField(
                help_text="When the owner last switched it on, and agreed to be charged.", null=True
            ),
        ),
    ]
