"""Whether a call's usage was told by its provider. A constant default, so no row is written and the table is locked for moments."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0010_more_indexes"),
    ]

    operations = [
        # The table is taken for itself only if that is possible soon: calls that wait behind this would pile up.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="call",
            name="is_estimated",
            field=models.BooleanField(
                db_default=False,
                help_text="Whether the gateway counted the usage, since the provider told none.",
            ),
        ),
    ]
