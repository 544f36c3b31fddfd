from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """When pages to save a card on are asked about, and which charges their owner has to be written to about."""

    dependencies = [("wallet", "0013_customers_that_go")]

    operations = [
        migrations.AddField(
            model_name="cardsetup",
            name="checked_at",
            field=models.DateTimeField(help_text="When Stripe was last asked about it.", null=True),
        ),
        migrations.AddField(
            model_name="cardsetup",
            name="is_over",
            field=models.BooleanField(
                db_default=False, default=False, help_text="The page closed, and no card was saved on it."
            ),
        ),
        migrations.AddIndex(
            model_name="cardsetup",
            index=models.Index(
                condition=Q(is_done=False, is_over=False), fields=["created_at"], name="card_setup_open"
            ),
        ),
        migrations.AddField(
            model_name="topup",
            name="is_told",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="The owner was written to, where an automatic one asks for it.",
            ),
        ),
        migrations.AddIndex(
            model_name="topup",
            index=models.Index(condition=Q(is_told=False), fields=["created_at"], name="top_up_untold"),
        ),
    ]
