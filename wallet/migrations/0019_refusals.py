from django.db import migrations, models


class Migration(migrations.Migration):
    """What Stripe answers to staff, apart from what the owner of a refund reads."""

    dependencies = [("wallet", "0018_refund_mails")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="refusal",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="What Stripe answered, which the owner isn't shown.",
            ),
        ),
    ]
