"""A form makes one key, however often it is sent."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0005_daily_usage_of_key"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="form_id",
            field=models.UUIDField(
                editable=False, help_text="The form that made it: once.", null=True, unique=True
            ),
        ),
    ]
