from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Which refunds their owner has to be written to about."""

    dependencies = [("wallet", "0017_differences")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="is_told",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="The owner was written to, where its end asks for it.",
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(condition=Q(is_told=False), fields=["settled_at"], name="refund_untold"),
        ),
    ]
