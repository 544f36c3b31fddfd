"""Keys that never call models are in use too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0006_forms_of_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="last_asked_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When it last asked an API of this site, to about a minute.",
                null=True,
            ),
        ),
    ]
