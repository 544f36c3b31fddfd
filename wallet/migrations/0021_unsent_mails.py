import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Mails that a server does not take: when to try again, and until when."""

    dependencies = [("wallet", "0020_tax_of_disputes")]

    operations = [
        migrations.CreateModel(
            name="UnsentMail",
            fields=[
                (
                    "name",
                    models.CharField(
                        help_text="What it tells of.", max_length=160, primary_key=True, serialize=False
                    ),
                ),
                ("since", models.DateTimeField()),
                ("tried_at", models.DateTimeField(help_text="When it was tried last.")),
                ("problem", models.CharField(help_text="What became of that.", max_length=200)),
                (
                    "is_given_up",
                    models.BooleanField(default=False, help_text="It is not tried any more."),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="unsent_mails",
                        to="wallet.wallet",
                    ),
                ),
            ],
            options={"ordering": ["-since"]},
        ),
    ]
