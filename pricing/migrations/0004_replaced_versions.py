"""Of several price versions from one moment the newest is in force."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0003_markups"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="priceversion", name="pricing_version_once_a_moment"),
        migrations.AlterModelOptions(
            name="priceversion", options={"ordering": ["model_id", "effective_from", "id"]}
        ),
    ]
